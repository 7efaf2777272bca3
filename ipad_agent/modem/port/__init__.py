"""The port itself: serial or TCP, who may use it, which one belongs to a known modem.

It may import the ground of the modem room only; it knows no AT command. A ``byte_stream.ByteStream`` leaves it.
"""
