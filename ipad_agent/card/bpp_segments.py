"""Cut a BoundProfilePackage into the segments that are sent to the eUICC (SGP.22 §2.5.5, §5.7.6).

Every segment is a slice of the received buffer, so headers and lengths stay exactly as the SM-DP+ wrote them, and
all segments joined are the package again.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .apdu import MAX_BLOCKS, MAX_DATA_BYTES
from .errors import MalformedBpp

MAX_SEGMENT_BYTES: Final = MAX_BLOCKS * MAX_DATA_BYTES
_MOST_SHOWN: Final = 8

BPP: Final = 0xBF36
INITIALISE_SECURE_CHANNEL: Final = 0xBF23
CONFIGURE_ISDP: Final = 0xA0  # firstSequenceOf87
STORE_METADATA: Final = 0xA1  # sequenceOf88
REPLACE_SESSION_KEYS: Final = 0xA2  # secondSequenceOf87, optional
LOAD_ELEMENTS: Final = 0xA3  # sequenceOf86


@dataclass(frozen=True, slots=True)
class Segment:
    """``part`` is the tag of the part of the package it comes from; ``start``:``end`` are offsets into it. The bytes
    are only copied when they are sent: all segments together are as large as the package."""

    part: int
    start: int
    end: int
    package: bytes = field(repr=False)

    @property
    def data(self) -> bytes:
        """The bytes to send."""
        return self.package[self.start : self.end]


def split(bpp: bytes) -> tuple[Segment, ...]:
    """Cut ``bpp`` (one whole BF36) into its segments, in the order of sending. Raises ``MalformedBpp``."""
    try:
        return tuple(_split(bpp))
    except CodecError as error:
        raise MalformedBpp(f"the bound profile package is malformed: {error.message}") from error


def _split(bpp: bytes) -> list[Segment]:
    root = tlv.parse(bpp)
    if root.tag != BPP:
        raise MalformedBpp(f"a bound profile package starts with BF36, not with {tlv.hex_tag(root.tag)}")
    parts = root.children()
    tags = [part.tag for part in parts]
    expected = [INITIALISE_SECURE_CHANNEL, CONFIGURE_ISDP, STORE_METADATA, LOAD_ELEMENTS]
    if tags not in (expected, [*expected[:3], REPLACE_SESSION_KEYS, LOAD_ELEMENTS]):
        shown = " ".join(tlv.hex_tag(tag) for tag in tags[:_MOST_SHOWN]) + (" ..." if len(tags) > _MOST_SHOWN else "")
        raise MalformedBpp(f"the parts of the package are {shown or 'missing'}, expected BF23 A0 A1 [A2] A3")
    segments = [_slice(bpp, INITIALISE_SECURE_CHANNEL, root.start, parts[0].end)]
    for part in parts[1:]:
        if part.tag in (CONFIGURE_ISDP, REPLACE_SESSION_KEYS):
            segments += _header_with_first(part)
        elif part.tag == STORE_METADATA:
            segments += _header_alone(part, 0x88)
        else:
            segments += _header_alone(part, 0x86)
    return segments


def _header_with_first(part: Tlv) -> list[Segment]:
    first, *others = _elements(part, 0x87)
    return [
        _slice(part.buffer, part.tag, part.start, first.end),
        *(_slice(part.buffer, part.tag, element.start, element.end) for element in others),
    ]


def _header_alone(part: Tlv, inner: int) -> list[Segment]:
    return [
        _slice(part.buffer, part.tag, part.start, part.value_start),
        *(_slice(part.buffer, part.tag, element.start, element.end) for element in _elements(part, inner)),
    ]


def _elements(part: Tlv, tag: int) -> tuple[Tlv, ...]:
    elements = part.children()
    if not elements or any(element.tag != tag for element in elements):
        raise MalformedBpp(f"{tlv.hex_tag(part.tag)} must hold one or more {tlv.hex_tag(tag)} and nothing else")
    return elements


def _slice(buffer: bytes, part: int, start: int, end: int) -> Segment:
    if end - start > MAX_SEGMENT_BYTES:
        raise MalformedBpp(f"a segment of {end - start} bytes does not fit into 256 blocks")
    return Segment(part, start, end, buffer)
