"""ES10 functions of the card, a file for each kind.

They may import the card's memory. The dispatch of ``apdu`` names them.
"""
