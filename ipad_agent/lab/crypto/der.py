"""A small reader and writer of definite-length TLVs, for the lab alone.

The lab must not share a mistake with the agent it tests, so it has its own. ``Node`` keeps the received bytes
(``raw``); what is signed or forwarded is always a slice, never an encoding made again. Reading is strict DER by
default (shortest length form); ``ber=True`` accepts longer length forms, as cards do.

Builders return ``bytes`` and nest by plain concatenation: ``tlv(0xBF51, tlv(0x30, integer(1, tag=0x81)))``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_DEPTH = 32
MAX_TAG_BYTES = 4
MAX_LENGTH_BYTES = 4


class DerError(ValueError):
    """The bytes are not what they should be; the only error that reading raises."""


@dataclass(frozen=True, slots=True)
class Node:
    """One TLV: ``tag`` is its bytes as one number (0x30, 0x5F37, 0xBF51), ``raw`` the whole, ``value`` the content."""

    tag: int
    raw: bytes
    value: bytes
    ber: bool = False
    depth: int = 0

    @property
    def header(self) -> bytes:
        """Tag and length bytes as received."""
        return self.raw[: len(self.raw) - len(self.value)]

    @property
    def constructed(self) -> bool:
        """Whether the tag announces a list of TLVs."""
        return bool(self.raw[0] & 0x20)

    @property
    def children(self) -> list[Node]:
        """The TLVs inside, in order; ``DerError`` when the content is not a gapless list of them."""
        if self.depth >= MAX_DEPTH:
            raise DerError(f"nested deeper than {MAX_DEPTH}")
        return parse_all(self.value, ber=self.ber, depth=self.depth + 1)

    def find(self, *tags: int) -> Node | None:
        """The first child that has one of these tags; ``DerError`` as for ``children``."""
        if self.depth >= MAX_DEPTH:
            raise DerError(f"nested deeper than {MAX_DEPTH}")
        data, offset, found = self.value, 0, None
        while offset < len(data):
            tag, content, end = _bounds(data, offset, ber=self.ber)
            if found is None and tag in tags:
                found = Node(tag, data[offset:end], data[content:end], self.ber, self.depth + 1)
            offset = end
        return found

    def get(self, tag: int) -> Node:
        """The first child with this tag; ``DerError`` when there is none."""
        found = self.find(tag)
        if found is None:
            raise DerError(f"{tag:X} is missing in {self.tag:X}")
        return found

    def path(self, *tags: int) -> Node:
        """Walk down: ``node.path(0x30, 0x5A)`` is ``node.get(0x30).get(0x5A)``."""
        node = self
        for tag in tags:
            node = node.get(tag)
        return node

    def integer(self) -> int:
        """The content as a signed INTEGER (00 80 is 128, FF is -1)."""
        if not self.value:
            raise DerError(f"{self.tag:X} is an empty INTEGER")
        padded = self.value[0] in (0x00, 0xFF) and (self.value[0] == 0x00) == (self.value[1:2] < b"\x80")
        if not self.ber and len(self.value) > 1 and padded:
            raise DerError(f"{self.tag:X} is not the shortest INTEGER")
        return int.from_bytes(self.value, "big", signed=True)

    def boolean(self) -> bool:
        """The content as a BOOLEAN; DER knows 00 and FF only."""
        if len(self.value) != 1 or (not self.ber and self.value[0] not in (0x00, 0xFF)):
            raise DerError(f"{self.tag:X} is not a BOOLEAN")
        return self.value != b"\x00"

    def text(self) -> str:
        """The content as UTF-8 text."""
        try:
            return self.value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DerError(f"{self.tag:X} is not UTF-8") from error

    def bits(self) -> frozenset[int]:
        """The content as the set of 1-bits of a BIT STRING, numbered from the left."""
        if not self.value or self.value[0] > 7 or (len(self.value) == 1 and self.value[0]):
            raise DerError(f"{self.tag:X} is not a BIT STRING")
        total = (len(self.value) - 1) * 8 - self.value[0]
        body = self.value[1:]
        return frozenset(i for i in range(total) if body[i // 8] & (0x80 >> i % 8))

    def oid(self) -> str:
        """The content as a dotted OBJECT IDENTIFIER."""
        arcs: list[int] = []
        arc = 0
        if not self.value or self.value[-1] & 0x80:
            raise DerError(f"{self.tag:X} is not an OBJECT IDENTIFIER")
        for byte in self.value:
            arc = arc << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(str(a) for a in (first, arcs[0] - 40 * first, *arcs[1:]))


def read(data: bytes, offset: int = 0, *, ber: bool = False, depth: int = 0) -> tuple[Node, int]:
    """The TLV at ``offset`` and the offset behind it; ``DerError`` when it is not whole."""
    tag, content, end = _bounds(data, offset, ber=ber)
    return Node(tag, bytes(data[offset:end]), bytes(data[content:end]), ber, depth), end


def parse(data: bytes, *, ber: bool = False) -> Node:
    """Exactly one TLV; ``DerError`` when bytes follow it."""
    node, end = read(data, ber=ber)
    if end != len(data):
        raise DerError(f"{len(data) - end} bytes follow {node.tag:X}")
    return node


def parse_all(data: bytes, *, ber: bool = False, depth: int = 0) -> list[Node]:
    """A gapless list of TLVs; empty data is an empty list."""
    nodes = []
    offset = 0
    while offset < len(data):
        node, offset = read(data, offset, ber=ber, depth=depth)
        nodes.append(node)
    return nodes


def read_header(data: bytes, *, ber: bool = False) -> tuple[int, int, int]:
    """Tag, announced length and offset of the content of the first TLV, which need not be whole."""
    tag, offset = read_tag(data)
    length, offset = _read_length(data, offset, ber=ber)
    return tag, length, offset


def announced_size(data: bytes) -> int | None:
    """Size in bytes of the first TLV by its header; None while the header itself is not whole. BER lengths accepted."""
    try:
        _, offset = read_tag(data, 0)
        length, offset = _read_length(data, offset, ber=True)
    except _TooShortError:
        return None
    return offset + length


def tlv(tag: int, *parts: bytes) -> bytes:
    """One TLV with the shortest length form; ``tag`` as in ``Node.tag``."""
    value = b"".join(parts)
    if tag < 0x100 and len(value) < 0x80:
        return bytes((tag, len(value))) + value
    head = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    if len(value) < 0x80:
        return head + bytes([len(value)]) + value
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return head + bytes([0x80 | len(size)]) + size + value


def seq(*parts: bytes) -> bytes:
    """A universal SEQUENCE (30)."""
    return tlv(0x30, *parts)


def integer(value: int, tag: int = 0x02) -> bytes:
    """A signed INTEGER in the fewest bytes."""
    magnitude = value if value >= 0 else ~value
    return tlv(tag, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool, tag: int = 0x01) -> bytes:
    """A DER BOOLEAN: FF or 00."""
    return tlv(tag, b"\xff" if value else b"\x00")


def null(tag: int = 0x05) -> bytes:
    """A NULL: no content."""
    return tlv(tag)


def octets(value: bytes, tag: int = 0x04) -> bytes:
    """An OCTET STRING."""
    return tlv(tag, value)


def utf8(value: str, tag: int = 0x0C) -> bytes:
    """A UTF8String."""
    return tlv(tag, value.encode())


def bits(ones: Iterable[int], tag: int = 0x03) -> bytes:
    """A BIT STRING with named bits: as DER wants it, without trailing zero bits."""
    numbers = set(ones)
    if not numbers:
        return tlv(tag, b"\x00")
    size = max(numbers) + 1
    body = bytearray((size + 7) // 8)
    for i in numbers:
        body[i // 8] |= 0x80 >> i % 8
    return tlv(tag, bytes([-size % 8]), bytes(body))


def oid(dotted: str, tag: int = 0x06) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return tlv(tag, bytes(out))


class _TooShortError(DerError):
    """The data ends inside a header."""


def read_tag(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The tag at ``offset`` and the offset behind it (a tag list is tags in a row)."""
    if offset >= len(data):
        raise _TooShortError("no tag where one should be")
    tag = data[offset]
    offset += 1
    if tag & 0x1F != 0x1F:
        return tag, offset
    for _ in range(MAX_TAG_BYTES - 1):
        if offset >= len(data):
            raise _TooShortError("the data ends inside a tag")
        byte = data[offset]
        tag = tag << 8 | byte
        offset += 1
        if not byte & 0x80:
            return tag, offset
    raise DerError(f"a tag of more than {MAX_TAG_BYTES} bytes")


def _bounds(data: bytes, offset: int, *, ber: bool) -> tuple[int, int, int]:
    """Tag of the TLV at ``offset``, where its content begins and where it ends; ``DerError`` when it is not whole."""
    header = data[offset : offset + 2]
    if len(header) == 2 and header[0] & 0x1F != 0x1F and header[1] < 0x80:  # as most are: one byte each
        tag, length, content = header[0], header[1], offset + 2
    else:
        tag, content = read_tag(data, offset)
        length, content = _read_length(data, content, ber=ber)
    end = content + length
    if end > len(data):
        raise DerError(f"{tag:X} announces {length} bytes, {len(data) - content} are there")
    return tag, content, end


def _read_length(data: bytes, offset: int, *, ber: bool) -> tuple[int, int]:
    if offset >= len(data):
        raise _TooShortError("the data ends before a length")
    first = data[offset]
    offset += 1
    if first < 0x80:
        return first, offset
    count = first & 0x7F
    if not 1 <= count <= MAX_LENGTH_BYTES:
        raise DerError(f"length form {first:02X}")
    if offset + count > len(data):
        raise _TooShortError("the data ends inside a length")
    length = int.from_bytes(data[offset : offset + count], "big")
    if not ber and (length < 0x80 or data[offset] == 0):
        raise DerError(f"length {length} is not in its shortest form")
    return length, offset + count
