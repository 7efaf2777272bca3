"""Changes in a tree of BER elements; the lengths around a change are made right again, unless they are the damage.

A reader of its own, of a few lines: the one of the agent is what is fuzzed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

_DEEPEST = 24


def _each(text: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(part) for part in text.split())


_WRONG_LENGTHS = _each("00 01 7f 80 8100 81ff 82ffff 83ffffff 84ffffffff 8400000001 847fffffff 88ffffffffffffffff ff")
_TAGS = _each("30 31 02 04 05 0c 80 81 82 83 84 a0 a1 a2 a3 e1 e3 5a 5c bf51 bf50 bf2d bf25 5f37")
_VALUES = (
    b"",
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x00" * 9,
    b"\x7f" + b"\xff" * 30,
    b"\xff" * 300,
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"a\x00b",
    b"\n\x1b[2J",
    b"\xe2\x80\xae",
    b"LPA:1$$",
)


@dataclass(slots=True)
class Element:
    """``children`` where the value is elements from its first byte to its last, else None. ``length`` overrides."""

    tag: bytes
    value: bytes
    children: list[Element] | None = None
    length: bytes | None = field(default=None)

    def __bytes__(self) -> bytes:
        value = self.value if self.children is None else b"".join(map(bytes, self.children))
        return self.tag + (_length(len(value)) if self.length is None else self.length) + value


def elements(data: bytes, depth: int = 0) -> list[Element] | None:
    """``data`` as elements, None when it is something else."""
    found = []
    at = 0
    while at < len(data):
        start = at
        at += 1
        if data[start] & 0x1F == 0x1F:
            while at < len(data) and data[at] & 0x80 and at - start < 4:
                at += 1
            at += 1
        if at >= len(data):
            return None
        tag, length, at = data[start:at], data[at], at + 1
        if length > 0x84 or length == 0x80:
            return None
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        value = data[at : at + length]
        if len(value) < length:
            return None
        at += length
        inner = elements(value, depth + 1) if tag[0] & 0x20 and depth < _DEEPEST else None
        found.append(Element(tag, value, inner))
    return found


def changed(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """``data`` with one element changed, or with a length that is wrong."""
    top = elements(data)
    if not top:
        return data + rng.choice(seeds)
    row, at = rng.choice(list(_places(top)))
    one = row[at]
    match rng.randint(0, 11):
        case 0:
            one.length = rng.choice(_WRONG_LENGTHS)
        case 1:
            size = len(bytes(one)) - len(one.tag)
            one.length = _length(max(0, size + rng.choice((-2, -1, 1, 2, 100))))
        case 2:
            one.length = b"\x84" + len(one.value).to_bytes(4, "big")  # right, and longer than needed
        case 3:
            del row[at]
        case 4:
            row[at:at] = [one] * rng.choice((1, 1, 3, 200))
        case 5:
            other = rng.randrange(len(row))
            row[at], row[other] = row[other], row[at]
        case 6:
            one.value, one.children = rng.choice((*_VALUES, rng.randbytes(rng.randint(0, 40)))), None
        case 7:
            one.tag = rng.choice((bytes([rng.randint(0, 255)]), b"\xbf" + bytes([rng.randint(0, 255)]), *_TAGS))
        case 8:
            wrapped = one
            for _ in range(rng.choice((1, 1, 2, 20, 60))):
                wrapped = Element(rng.choice((b"\x30", b"\xa0", one.tag)), b"", [wrapped])
            row[at] = wrapped
        case 9:
            return bytes(one)
        case 10:
            top[0].tag = (elements(rng.choice(seeds)) or top)[0].tag
        case _:
            foreign = elements(rng.choice(seeds))
            if foreign:
                other_row, other = rng.choice(list(_places(foreign)))
                row[at] = other_row[other]
    return b"".join(map(bytes, top))


def _places(row: list[Element]) -> list[tuple[list[Element], int]]:
    """Every element, by the list that holds it and the place in it."""
    found = [(row, at) for at in range(len(row))]
    for one in row:
        if one.children:
            found += _places(one.children)
    return found


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")
