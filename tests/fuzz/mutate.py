"""Damages inputs: as bytes, and as what they are, with lengths and checksums made right again.

Everything is decided by the ``random.Random`` that is handed in, so a seed tells the whole story.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

from . import mutate_ber, mutate_json
from .engine import LARGEST_BYTES
from .target import Kind

_BYTES = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\x30\x80",
    b"\x84\xff\xff\xff\xff",
    b"\r\n",
    b"\n",
    b'"',
    b"\\",
    b"\0\0",
)
_WORDS = (
    b"-1",
    b"0",
    b"1e400",
    b"9" * 400,
    b"9" * 5000,
    b"0x" + b"f" * 4000,
    b"nan",
    b"-inf",
    b"NaN",
    b"Infinity",
    b"true",
    b"null",
    b"''",
    b'""',
    b"[]",
    b"{}",
    b"[[[[]]]]",
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\n\\u001b[2J"',
    b"'\xe2\x80\xae'",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"1979-05-27T07:32:00Z",
    b"0000-00-00",
    b"OK",
    b"+CME ERROR: 14",
    b"=",
    b"]",
    b"[[",
)
_TOKEN = re.compile(rb"[+-]?[0-9A-Za-z_.]+|\"[^\"\n]*\"|'[^'\n]*'")


def mutated(rng: random.Random, kind: Kind, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """``data`` with one to four kinds of damage, some of it taken from other ``seeds``; now and then plain noise."""
    if rng.random() < 0.06:
        return noise(rng)
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        form = _FORMS.get(kind)
        change = form if form is not None and rng.random() < 0.65 else damaged
        data = change(rng, data, seeds)[:LARGEST_BYTES]
    return data


def noise(rng: random.Random) -> bytes:
    """Random bytes, mostly few."""
    return rng.randbytes(rng.choice((0, 1, 2, 5, 20, 100, 100, 1000, 5000)))


def damaged(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """One change that knows nothing of the form."""
    at = rng.randint(0, len(data))
    length = rng.choice((1, 1, 2, 3, 4, 8, 40))
    match rng.randint(0, 8):
        case 0 if data:
            at = rng.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << rng.randint(0, 7)]) + data[at + 1 :]
        case 1 if data:
            at = rng.randrange(len(data))
            return data[:at] + bytes([rng.randint(0, 255)]) + data[at + 1 :]
        case 2:
            return data[:at]
        case 3:
            return data[at:]
        case 4:
            return data[:at] + data[at + length :]
        case 5:
            return data[: at + length] + data[at : at + length] * rng.choice((1, 1, 2, 50)) + data[at + length :]
        case 6:
            return data[:at] + rng.choice(_BYTES) + data[at:]
        case 7:
            other = rng.choice(seeds)
            return data[:at] + other[rng.randint(0, len(other)) :]
        case _:
            return data[:at] + rng.randbytes(length) + data[at:]


def words(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A word, number or text of a text file becomes another; lines are moved, lost and doubled."""
    if rng.random() < 0.4:
        lines = data.split(b"\n")
        at = rng.randrange(len(lines))
        match rng.randint(0, 3):
            case 0:
                del lines[at]
            case 1:
                lines.insert(rng.randint(0, len(lines)), lines[at])
            case 2:
                lines[at] = lines[at] * rng.choice((2, 30))
            case _:
                other = rng.choice(seeds).split(b"\n")
                lines.insert(at, rng.choice(other))
        return b"\n".join(lines)
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return damaged(rng, data, seeds)
    token = rng.choice(tokens)
    word = rng.choice(_WORDS) if rng.random() < 0.7 else rng.choice(tokens)[0]
    return data[: token.start()] + word + data[token.end() :]


_FORMS: Mapping[Kind, Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = {
    Kind.BER: mutate_ber.changed,
    Kind.JSON: mutate_json.changed,
    Kind.SEALED: mutate_json.resealed,
    Kind.TOML: words,
    Kind.LINES: words,
}
