"""What is done before the first poll: read the card, provision it, reset one that is silent; and a reset on request.

It may import the ground, the records and switching; it needs no eIM. ``device_start.read_card`` and its neighbours
leave it.
"""
