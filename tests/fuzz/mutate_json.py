"""Changes in a JSON document, and in the store's documents and journals whose checksums are made right again."""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import zlib
from collections.abc import Sequence
from typing import Any

from . import mutate_ber

_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1 << 31,
    1 << 63,
    1 << 64,
    10**400,
    -(10**400),
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "0",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\n\u001b[2J",
    "\u202e",
    "A" * 300,
    "A" * 5000,
    "====",
    "AAA",
    "Z m\n8=",
    "0A0B",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"$bytes": "AA=="},
    {"$bytes": "\ud800"},
    {"$bytes": "AA==", "x": 1},
    ["x"] * 300,
    [0, 0, ""],
    [10**400, 0, ""],
)
_ENVELOPE = re.compile(rb'\{"schema":([0-9]+),"crc32":"[0-9a-f]{8}","data":(\{.*\})\}\n?', re.DOTALL)
_RECORD = re.compile(rb"[0-9a-f]{8} (.*)", re.DOTALL)


def changed(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """``data`` with one value or key of its JSON changed; a NUL byte at its end stays."""
    end = b"\0" if data.endswith(b"\0") else b""
    return _dumps(_document(rng, _loads(data.removesuffix(end)), seeds)) + end


def resealed(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A file of the store with one value in it changed, and checksums that are right."""
    envelope = _ENVELOPE.fullmatch(data)
    if envelope is not None:
        text = _dumps(_document(rng, _loads(envelope[2]), seeds))
        return b'{"schema":%s,"crc32":"%08x","data":%s}\n' % (envelope[1], zlib.crc32(text), text)
    lines = data.split(b"\n")
    records = [at for at, line in enumerate(lines) if _RECORD.fullmatch(line)]
    if not records:
        return changed(rng, data, seeds)
    at = rng.choice(records)
    match = _RECORD.fullmatch(lines[at])
    text = _dumps(_document(rng, _loads(match[1]) if match else {}, seeds))
    lines[at] = b"%08x %s" % (zlib.crc32(text), text)
    return b"\n".join(lines)


def _loads(data: bytes) -> Any:
    """The document, or what is left of one that was damaged before."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data[:200].decode("latin-1")


def _dumps(document: Any) -> bytes:
    try:
        return json.dumps(document, separators=(",", ":")).encode("ascii")
    except RecursionError:
        return b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"


def _document(rng: random.Random, document: Any, seeds: Sequence[bytes]) -> Any:
    """``document`` with one place in it changed."""
    places = _places(document)
    if not places:
        return rng.choice(_VALUES)
    holder, key = rng.choice(places)
    match rng.randint(0, 5):
        case 0:
            del holder[key]
        case 1:
            holder[key] = _nested(rng, holder[key])
        case 2 if isinstance(holder[key], str):
            holder[key] = _text(rng, holder[key], seeds)
        case 3:
            other, name = rng.choice(places)
            holder[key] = _loads(_dumps(other.get(name) if isinstance(other, dict) else other))
        case 4 if isinstance(holder, dict):
            holder[rng.choice(("", "$", "$bytes", "\ud800", "\0", key + "x", key.upper()))] = holder.pop(key)
        case _:
            holder[key] = rng.choice(_VALUES)
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict | list):
            keys = list(one) if isinstance(one, dict) else range(len(one))
            found += [(one, key) for key in keys]
            rest += [one[key] for key in keys]
    return found


def _nested(rng: random.Random, value: Any) -> Any:
    for _ in range(rng.choice((1, 2, 33, 100))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _text(rng: random.Random, text: str, seeds: Sequence[bytes]) -> str:
    """Base64 is damaged inside; other text at one character."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) > 3:
        return base64.b64encode(mutate_ber.changed(rng, raw, [raw])).decode("ascii")
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(("", "\0", "\ud800", "\n", "$", ".", "=", "\u0661", "9" * 400)) + text[at + 1 :]
