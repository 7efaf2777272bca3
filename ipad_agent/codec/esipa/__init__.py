"""What an eIM says and is told: ESipa in its ASN.1 binding (SGP.32 §6.3).

It may import the other rooms of the codec. One typed class per message leaves it.
"""
