"""The pieces in which a bound profile package reaches the card (SGP.22 §2.5.5, §5.7.6).

Each piece is one command: BF36's header with the BF23; A0's header with an 87; A1's header; each 88; A2's header with
an 87; A3's header; each 86. The headers say how much belongs to each part, so the last piece is known as such.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.crypto import der

PACKAGE, INITIALISE = 0xBF36, 0xBF23
FIRST_87, ALL_88, SECOND_87, ALL_86 = 0xA0, 0xA1, 0xA2, 0xA3
ELEMENT = {FIRST_87: 0x87, ALL_88: 0x88, SECOND_87: 0x87, ALL_86: 0x86}
_NEXT = {PACKAGE: (FIRST_87,), FIRST_87: (ALL_88,), ALL_88: (SECOND_87, ALL_86), SECOND_87: (ALL_86,), ALL_86: ()}
_HEADER_WITH_ELEMENT = (FIRST_87, SECOND_87)


class SegmentError(Exception):
    """The piece is not one that can come here."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One protected TLV of ``part``, as received; ``last``: the part is complete with it."""

    part: int
    raw: bytes
    last: bool


class Segments:
    """Follows one package. Sizes in bytes; ``part`` is the part that the last header began."""

    def __init__(self) -> None:
        self.part = PACKAGE
        self._part_left = 0
        self._package_left = 0

    @property
    def expected_part(self) -> int:
        """The part that the next piece belongs to, if all is well (A1 may be followed by A2 or A3)."""
        return self.part if self._part_left else _NEXT[self.part][-1]

    def begin(self, raw: bytes) -> bytes:
        """The first command: the BF23 TLV in it; ``SegmentError`` when it is something else."""
        try:
            tag, length, offset = der.read_header(raw, ber=True)
            first = der.parse(raw[offset:], ber=True)
        except der.DerError as error:
            raise SegmentError(str(error)) from error
        if tag != PACKAGE or first.tag != INITIALISE or length < len(first.raw):
            raise SegmentError("not BF36 and its BF23")
        self._package_left = length - len(first.raw)
        return first.raw

    def take(self, raw: bytes) -> Piece | None:
        """A further command; None for a header alone. ``SegmentError`` when it cannot come here."""
        try:
            tag, length, offset = der.read_header(raw, ber=True)
            if tag not in ELEMENT:
                return self._element(raw)
            self._begin_part(tag, length, offset)
            rest = raw[offset:]
            if tag in _HEADER_WITH_ELEMENT:
                return self._element(rest)
        except der.DerError as error:
            raise SegmentError(str(error)) from error
        if rest:
            raise SegmentError(f"{tag:X} has to come without its elements")
        return None

    def _begin_part(self, tag: int, length: int, offset: int) -> None:
        if self._part_left or tag not in _NEXT[self.part] or not length:
            raise SegmentError(f"{tag:X} cannot follow")
        self._package_left -= offset + length
        if self._package_left < 0 or (tag == ALL_86 and self._package_left):
            raise SegmentError("the parts do not add up to the package")
        self.part, self._part_left = tag, length

    def _element(self, raw: bytes) -> Piece:
        node = der.parse(raw, ber=True)
        if self.part not in ELEMENT or node.tag != ELEMENT[self.part] or len(raw) > self._part_left:
            raise SegmentError(f"{node.tag:X} cannot follow")
        self._part_left -= len(raw)
        return Piece(self.part, raw, not self._part_left)
