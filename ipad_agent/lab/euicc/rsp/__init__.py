"""A profile download at the card: ES10b of SGP.22 and the commands inside a bound profile package.

It may import the card's memory and its information. The dispatch of ``apdu`` names the functions.
"""
