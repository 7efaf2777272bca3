"""AT: the line grammar, one command at a time, how answers are read (V.250, 3GPP TS 27.007).

It may import the ground of the modem room and a byte stream; it knows no APDU. ``AtParser``,
``at_session.AtSession`` and the readers of answers leave it.
"""

from .at_parser import AtParser

__all__ = ["AtParser"]
