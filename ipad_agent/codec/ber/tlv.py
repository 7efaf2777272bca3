"""BER-TLV walker that keeps slices of the received buffer.

Anything signed, hashed or forwarded must travel as the bytes that arrived (SGP.32 v1.2 tables, rule T7), so a
``Tlv`` is a window into its buffer and never a copy that was encoded again. Only definite lengths are accepted;
a length that points beyond its parent, trailing bytes, or nesting and size beyond the limits raise ``CodecError``.
Non-minimal length forms are accepted on input (real cards send them) and kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

MAX_DEPTH = 24
MAX_ELEMENTS = 8192  # elements below one parent; a 64 kB BPP of 1-byte segments stays far below
MAX_SIZE_BYTES = 1 << 20
MAX_INTEGER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Tlv:
    """One element: ``buffer[start:end]`` is the whole TLV, ``buffer[value_start:end]`` its content.

    ``tag`` is the tag's bytes read as a big-endian number (``0x30``, ``0x5F37``, ``0xBF51``).
    """

    buffer: bytes = field(repr=False)  # the same for every element of a message: a list would show it as often
    tag: int
    start: int
    value_start: int
    end: int
    depth: int = 0

    @property
    def raw(self) -> bytes:
        """The whole element, exactly as received."""
        return self.buffer[self.start : self.end]

    @property
    def value(self) -> bytes:
        """The content, exactly as received."""
        return self.buffer[self.value_start : self.end]

    @property
    def header(self) -> bytes:
        """Tag and length, exactly as received (a BPP segment may need them alone, SGP.22 §2.5.5)."""
        return self.buffer[self.start : self.value_start]

    @property
    def constructed(self) -> bool:
        """Whether the tag says that the content is itself a list of TLVs."""
        return bool(self.buffer[self.start] & 0x20)

    def __iter__(self) -> Iterator[Tlv]:
        return iter(self.children())

    def children(self) -> tuple[Tlv, ...]:
        """The elements inside; raises ``CodecError`` if the content is not a gapless list of TLVs."""
        if self.depth >= MAX_DEPTH:
            raise CodecError(f"more than {MAX_DEPTH} levels of nesting", offset=self.start)
        return tuple(_elements(self.buffer, self.value_start, self.end, self.depth + 1))

    def find(self, *tags: int) -> Tlv | None:
        """The first child with one of these tags, or None."""
        return next((child for child in self.children() if child.tag in tags), None)

    def require(self, tag: int, what: str = "") -> Tlv:
        """The first child with this tag; raises ``CodecError`` when it is missing."""
        found = self.find(tag)
        if found is None:
            raise CodecError(f"{what or hex_tag(tag)} is missing in {hex_tag(self.tag)}", offset=self.start)
        return found

    def integer(self) -> int:
        """The content as a signed INTEGER (rule T10: 00 80 is 128, FF is -1)."""
        length = self.end - self.value_start
        if not 1 <= length <= MAX_INTEGER_BYTES:
            raise CodecError(f"an INTEGER of {length} bytes in {hex_tag(self.tag)}", offset=self.start)
        return int.from_bytes(self.value, "big", signed=True)

    def text(self, *, max_bytes: int = 4096) -> str:
        """The content as UTF-8; raises ``CodecError`` when it is too long or no UTF-8."""
        if self.end - self.value_start > max_bytes:
            raise CodecError(f"a text of over {max_bytes} bytes in {hex_tag(self.tag)}", offset=self.start)
        try:
            return self.value.decode("utf-8")
        except UnicodeDecodeError:
            raise CodecError(f"no UTF-8 in {hex_tag(self.tag)}", offset=self.start) from None

    def boolean(self) -> bool:
        """The content as BOOLEAN; any non-zero byte is true (rule T9)."""
        if self.end - self.value_start != 1:
            raise CodecError(f"a BOOLEAN that is not one byte in {hex_tag(self.tag)}", offset=self.start)
        return self.value != b"\0"

    def bits(self, *, max_bytes: int = 8) -> frozenset[int]:
        """The content as BIT STRING: the numbers of the set bits, bit 0 being the most significant (rule T8)."""
        value = self.value
        if not 1 <= len(value) <= max_bytes + 1 or value[0] > 7 or (len(value) == 1 and value[0]):
            raise CodecError(f"no BIT STRING in {hex_tag(self.tag)}", offset=self.start)
        count = (len(value) - 1) * 8 - value[0]
        return frozenset(i for i in range(count) if value[1 + i // 8] & (0x80 >> i % 8))


def hex_tag(tag: int) -> str:
    """A tag as people write it: ``BF51``."""
    return f"{tag:02X}" if tag < 0x100 else f"{tag:0{(tag.bit_length() + 7) // 8 * 2}X}"


def read(buffer: bytes, offset: int = 0, end: int | None = None, *, depth: int = 0) -> Tlv:
    """Read the one element that starts at ``offset``; it must end at or before ``end`` (default: the buffer's end)."""
    limit = len(buffer) if end is None else end
    if limit > MAX_SIZE_BYTES:
        raise CodecError(f"data of {limit} bytes is larger than the limit of {MAX_SIZE_BYTES}")
    at = offset
    if at >= limit:
        raise CodecError("a tag was expected, the data ended", offset=at)
    tag = buffer[at]
    at += 1
    if tag & 0x1F == 0x1F:
        while True:
            if at >= limit or at - offset > 3:
                raise CodecError("a tag that does not end", offset=offset)
            byte = buffer[at]
            tag = tag << 8 | byte
            at += 1
            if not byte & 0x80:
                break
    if at >= limit:
        raise CodecError(f"the length of {hex_tag(tag)} is missing", offset=at)
    length = buffer[at]
    at += 1
    if length == 0x80:
        raise CodecError(f"indefinite length in {hex_tag(tag)}", offset=offset)
    if length > 0x80:
        count = length & 0x7F
        if count > 4 or at + count > limit:
            raise CodecError(f"a length of {count} bytes in {hex_tag(tag)}", offset=offset)
        length = int.from_bytes(buffer[at : at + count], "big")
        at += count
    if length > limit - at:
        raise CodecError(f"{hex_tag(tag)} says {length} bytes, {limit - at} are there", offset=offset)
    return Tlv(buffer, tag, offset, at, at + length, depth)


def _elements(buffer: bytes, start: int, end: int, depth: int) -> list[Tlv]:
    found: list[Tlv] = []
    at, sizes_fit = start, end <= MAX_SIZE_BYTES
    while at < end:
        # Most elements have a tag and a length of one byte each: they need none of what ``read`` looks at besides.
        tag = buffer[at]
        length = buffer[at + 1] if at + 1 < end else 0x80
        if length < 0x80 and tag & 0x1F != 0x1F and at + 2 + length <= end and sizes_fit:
            element = Tlv(buffer, tag, at, at + 2, at + 2 + length, depth)
        else:
            element = read(buffer, at, end, depth=depth)
        found.append(element)
        at = element.end
        if len(found) > MAX_ELEMENTS:
            raise CodecError(f"more than {MAX_ELEMENTS} elements in a list", offset=start)
    return found


def parse(data: bytes) -> Tlv:
    """Read ``data`` as exactly one element; trailing bytes raise ``CodecError``."""
    element = read(data)
    if element.end != len(data):
        raise CodecError(f"{len(data) - element.end} bytes after the end of {hex_tag(element.tag)}", offset=element.end)
    return element


def parse_all(data: bytes) -> tuple[Tlv, ...]:
    """Read ``data`` as a gapless list of elements (may be empty)."""
    return tuple(_elements(data, 0, len(data), 0))


def announced_size(data: bytes) -> int | None:
    """How many bytes the first element of ``data`` claims to have in all; None while its header is incomplete.

    Lets a reader notice that a modem cut an answer short. Raises ``CodecError`` on what can never be a header, and
    for a size beyond ``MAX_SIZE_BYTES``: nobody should wait for that.
    """
    at = 1
    if not data:
        return None
    if data[0] & 0x1F == 0x1F:
        while True:
            if at > 3:
                raise CodecError("a tag that does not end", offset=0)
            if at >= len(data):
                return None
            at += 1
            if not data[at - 1] & 0x80:
                break
    if at >= len(data):
        return None
    length = data[at]
    at += 1
    if length < 0x80:
        return at + length
    count = length & 0x7F
    if not 1 <= count <= 4:
        raise CodecError("a length that cannot be", offset=at - 1)
    if at + count > len(data):
        return None
    size = at + count + int.from_bytes(data[at : at + count], "big")
    if size > MAX_SIZE_BYTES:
        raise CodecError(f"an element of {size} bytes is larger than the limit of {MAX_SIZE_BYTES}", offset=0)
    return size


def encode_length(length: int) -> bytes:
    """DER length octets."""
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def encode(tag: int, *parts: bytes) -> bytes:
    """A DER element with this tag whose content is the parts, joined."""
    content = b"".join(parts)
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + encode_length(len(content)) + content


def encode_integer(tag: int, value: int) -> bytes:
    """A DER INTEGER under this tag (minimal two's complement, rule T10)."""
    magnitude = value if value >= 0 else ~value
    return encode(tag, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def encode_bits(tag: int, bits: frozenset[int] | set[int]) -> bytes:
    """A DER BIT STRING with named bits under this tag: trailing zero bits are dropped (rule T8)."""
    if not bits:
        return encode(tag, b"\0")
    count = max(bits) + 1
    octets = bytearray((count + 7) // 8)
    for bit in bits:
        octets[bit // 8] |= 0x80 >> bit % 8
    return encode(tag, bytes([-count % 8]), bytes(octets))
