"""Reading fields by tag: what the message parsers share.

The types are extensible, so a parser asks for the tags it knows and never minds the others. ``Fields`` walks an
element's content once; ``outer`` finds the message in what a peer sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from ipad_agent.codec.identifiers import EID_BYTES, Eid, Iccid
from ipad_agent.codec.tolerances import (
    CHECK_DIGITS,
    DOUBLED_TAG,
    LETTERS_IN_IDENTIFIER,
    PADDED_MESSAGE,
    UNREADABLE_BITS,
    UNREADABLE_IDENTIFIER,
    UNREADABLE_TEXT,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from . import tlv
from .tlv import Tlv, hex_tag

_BLANKS = b"\r\n\t "


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An element of a list that could not be read: its bytes and why."""

    raw: bytes = field(repr=False)
    reason: str


class ResultCode(int):
    """A result number with its name from the schema; unknown numbers pass through (``name`` is then the number).

    It is an ``int``, 0 being success.
    """

    name: str

    def __new__(cls, code: int, names: Mapping[int, str] | None = None) -> ResultCode:
        self = super().__new__(cls, code)
        self.name = (names or {}).get(code, str(code))
        return self

    @property
    def ok(self) -> bool:
        """Whether the function did what it was asked."""
        return self == 0

    def __repr__(self) -> str:
        return f"<{int(self)} {self.name}>"

    def __str__(self) -> str:
        """For sentences; a ``repr`` in the log is for nobody."""
        return self.name


class Fields:
    """The children of one element, by tag. The first child wins when a tag is repeated."""

    __slots__ = ("items", "owner")

    def __init__(self, owner: Tlv) -> None:
        self.owner = owner
        self.items = owner.children()

    def first(self, *tags: int) -> Tlv | None:
        """The first child with one of these tags, or None."""
        for item in self.items:
            if item.tag in tags:
                return item
        return None

    def all(self, *tags: int) -> tuple[Tlv, ...]:
        """All children with one of these tags."""
        return tuple(item for item in self.items if item.tag in tags)

    def require(self, tag: int, what: str) -> Tlv:
        """The first child with this tag; ``CodecError`` when it is missing."""
        found = self.first(tag)
        if found is None:
            place = hex_tag(self.owner.tag)
            raise CodecError(f"{what} ({hex_tag(tag)}) is missing in {place}", offset=self.owner.start)
        return found

    def octets(self, *tags: int) -> bytes | None:
        """A field's content, or None."""
        found = self.first(*tags)
        return None if found is None else found.value

    def integer(self, *tags: int) -> int | None:
        """A field as INTEGER, or None."""
        found = self.first(*tags)
        return None if found is None else found.integer()

    def text(self, *tags: int) -> str | None:
        """A field as UTF-8, or None; ``CodecError`` when it is no UTF-8."""
        found = self.first(*tags)
        return None if found is None else found.text()

    def label(self, *tags: int, notes: Notes) -> str | None:
        """A text that is only shown to people: bad UTF-8 is replaced instead of refused."""
        found = self.first(*tags)
        if found is None:
            return None
        text = found.value[:4096].decode("utf-8", errors="replace")
        if text.encode("utf-8") != found.value:
            notes.take(UNREADABLE_TEXT)
        return text

    def present(self, *tags: int) -> bool:
        """Whether a NULL flag is there."""
        return self.first(*tags) is not None

    def boolean(self, *tags: int) -> bool | None:
        """A field as BOOLEAN, or None."""
        found = self.first(*tags)
        return None if found is None else found.boolean()

    def bits(self, *tags: int, notes: Notes) -> frozenset[int] | None:
        """A field as BIT STRING; None when it is absent or cannot be read."""
        found = self.first(*tags)
        if found is None:
            return None
        try:
            return found.bits()
        except CodecError:
            notes.take(UNREADABLE_BITS)
            return None

    def iccid(self, *tags: int, notes: Notes) -> Iccid | None:
        """A field as ICCID, whatever its octets are; None only when there is no such field."""
        found = self.first(*tags)
        if found is None:
            return None
        iccid = Iccid.from_tbcd(found.value)
        if not iccid.decimal:
            notes.take(LETTERS_IN_IDENTIFIER if iccid.readable else UNREADABLE_IDENTIFIER)
        return iccid

    def eid(self, *tags: int, notes: Notes) -> Eid | None:
        """A field as EID, whatever its octets are; None when there is no such field, or none in it. That an EID is no
        number is held against the card that has it (``note_eid``), not against others who repeat it."""
        found = self.first(*tags)
        if found is None:
            return None
        if len(found.value) != EID_BYTES:
            notes.take(UNREADABLE_IDENTIFIER)
        return Eid.from_bytes(found.value) if found.value else None


def note_eid(eid: Eid, notes: Notes) -> None:
    """Say what liberty it takes to serve a card that has this EID."""
    if not eid.regular:
        notes.take(LETTERS_IN_IDENTIFIER if len(eid.bytes) == EID_BYTES else UNREADABLE_IDENTIFIER)
    elif not eid.check_digits_ok:
        notes.take(CHECK_DIGITS)


def without_padding(body: bytes, notes: Notes) -> bytes:
    """``body`` up to the end of its one message, where nothing but line ends and blanks stand behind it.

    Unchanged in any other case: it is for the parser to say what is wrong."""
    if body and not body.strip(_BLANKS):
        notes.take(PADDED_MESSAGE)
        return b""
    try:
        size = tlv.announced_size(body)
    except CodecError:
        return body
    if size is None or size >= len(body) or body[size:].strip(_BLANKS):
        return body
    notes.take(PADDED_MESSAGE)
    return body[:size]


def undouble(element: Tlv, notes: Notes) -> Tlv:
    """``element``, or the one inside it when that is all of its content and carries the same tag."""
    if element.end - element.value_start > 2 and element.constructed:
        try:
            inner = tlv.read(element.buffer, element.value_start, element.end, depth=element.depth)
        except CodecError:
            return element
        if inner.tag == element.tag and inner.end == element.end:
            notes.take(DOUBLED_TAG)
            return inner
    return element


def outer(raw: bytes, tag: int, notes: Notes, what: str) -> Tlv:
    """``raw`` as the one element with this tag; ``CodecError`` for anything else."""
    element = tlv.parse(raw)
    if element.tag != tag:
        raise CodecError(f"{what} should begin with {hex_tag(tag)}, not {hex_tag(element.tag)}", offset=0)
    return undouble(element, notes)


def as_sequence(element: Tlv) -> bytes:
    """An implicitly tagged SEQUENCE with its ``30`` put back; length and content stay as they came (rule T5)."""
    tag_bytes = len(hex_tag(element.tag)) // 2
    return b"\x30" + element.raw[tag_bytes:]


def retag(raw: bytes, tag: int) -> bytes:
    """One element under another tag; length and content stay as they came."""
    element = tlv.parse(raw)
    tag_bytes = len(hex_tag(element.tag)) // 2
    return bytes.fromhex(hex_tag(tag)) + raw[tag_bytes:]


def result_code(raw: bytes, tag: int, known: Mapping[int, str], what: str) -> ResultCode:
    """The one number of an answer like ``BFxx { 80 code }``; under 02 or 81 it is read too."""
    fields = Fields(outer(raw, tag, Notes(), what))
    found = fields.first(0x80, 0x02, 0x81)
    if found is None:
        raise CodecError(f"{what} has no result code", offset=fields.owner.start)
    return ResultCode(found.integer(), known)
