"""Object identifiers between dotted text and the content octets of X.690 §8.19."""

from __future__ import annotations

from ipad_agent.errors import CodecError

MAX_ARCS = 64
MAX_ARC_DIGITS = 39  # 128 bits, what UUID-based identifiers need


def encode_oid(text: str) -> bytes:
    """The content octets for ``2.999.1``; ``CodecError`` when the text is no OID."""
    arcs = text.split(".")
    if not 2 <= len(arcs) <= MAX_ARCS:
        raise CodecError("an OID needs two arcs or more")
    if not all(arc.isascii() and arc.isdigit() and len(arc) <= MAX_ARC_DIGITS for arc in arcs):
        raise CodecError("an OID consists of numbers and dots")
    first, second, *rest = (int(arc) for arc in arcs)
    if first > 2 or (first < 2 and second > 39):
        raise CodecError("no OID begins like this")
    return b"".join(_encode_arc(arc) for arc in (first * 40 + second, *rest))


def _encode_arc(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(arc & 0x7F | 0x80)
    return bytes(reversed(octets))


def decode_oid(content: bytes) -> str:
    """Dotted text; ``CodecError`` when the octets are no OID."""
    if not content or content[-1] & 0x80:
        raise CodecError("an OID that does not end")
    arcs: list[int] = []
    arc = size = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        size += 1
        if size > 19 or (size == 1 and octet == 0x80):
            raise CodecError("an OID arc that is too long")
        if not octet & 0x80:
            arcs.append(arc)
            arc = size = 0
    if len(arcs) >= MAX_ARCS:
        raise CodecError("an OID of too many arcs")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - first * 40, *arcs[1:]))
