"""Bytes to typed messages and back: BER-TLV, SGP.22 and SGP.32 messages, identifiers. No I/O, no clock.

Received bytes are the truth: a message keeps its ``raw`` slice, parsers read fields from it by tag and skip what they
do not know, and what is signed, hashed or forwarded is never written anew. Only ``CodecError`` escapes from a parser;
a liberty it took is named in ``tolerances``.

Which bytes a type has on the wire follows from these rules (X.680, X.690; the GSMA modules say AUTOMATIC TAGS and
EXTENSIBILITY IMPLIED). Comments refer to them by number, ``tests/codec/test_tagging_rules.py`` shows each by example.

T1  Where no component has a written tag, they are numbered 80, 81, ... (A0, A1, ... when constructed).
T2  Where one has, nothing is numbered: the others keep the tag of their own type, like 02 for an error code.
T3  A tag on a CHOICE without tag of its own wraps the alternative: A0 { 80 ... }.
T4  A tag on a type that has one replaces it; it does not nest.
T5  Certificates and keys under a context tag have lost their 30; it is put back for X.509 libraries.
T6  Unknown fields may be anywhere.
T7  What is signed is used as it came, even where DER would write it differently.
T8  BIT STRINGs with named bits have no trailing zero bits; bit 0 is the highest bit of the first byte.
T9  BOOLEAN true is written FF; any byte but 00 is true.
T10 INTEGERs are minimal two's complement: 128 is 00 80, -1 is FF.
"""
