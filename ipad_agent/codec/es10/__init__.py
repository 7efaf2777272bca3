"""What a card says and is asked: ES10 requests and answers and the objects inside (SGP.32 §5.9, SGP.22 §5.7).

It may import the other rooms of the codec. One typed class per object of the standard leaves it.
"""
