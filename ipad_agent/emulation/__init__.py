"""IoT functions (SGP.32) in front of a consumer card (SGP.22) that has none.

Knows bytes and ES10; the card, the disk and the clock come in as protocols. ``EmulatedEuicc`` leaves it: a card like
any other to the procedures. The device key is for the commands of people.
"""
