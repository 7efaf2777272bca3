"""Large and deep inputs, made instead of stored: everything of some 64 kilobytes at most."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .engine import LARGEST_BYTES
from .target import Kind

_WRAPPERS = (b"\x30", b"\xa0", b"\xa3", b"\xbf\x51", b"\xbf\x50", b"\xe1")


def heavy(kind: Kind, seeds: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """(what it is, the input) of everything that may cost much."""
    yield from _plain()
    for number, seed in enumerate(seeds):
        if seed and len(seed) * 3 <= LARGEST_BYTES:
            yield f"entry {number} again and again", seed * (LARGEST_BYTES // len(seed))
    match kind:
        case Kind.BER:
            yield from _ber()
        case Kind.JSON:
            yield from _json()
        case Kind.TOML:
            yield from _toml()
        case _:
            pass


def depths() -> list[int]:
    """Nesting around the interpreter's limit, where reading may still succeed and what comes after it may not."""
    limit = sys.getrecursionlimit()
    near = [limit - less for less in (10, 30, 60, 100, 150, 250)]
    return sorted({5, 40, 70, 150, limit // 4, limit // 3, limit // 2, *near, limit + 10, 2 * limit, 5 * limit})


def ber_nest(tag: bytes, depth: int, inside: bytes = b"") -> bytes:
    """``depth`` elements in each other, within the size limit."""
    parts = []
    size = len(inside)
    for _ in range(depth):
        header = tag + _length(size)
        size += len(header)
        if size > LARGEST_BYTES:
            break
        parts.append(header)
    return b"".join(reversed(parts)) + inside


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")


def _plain() -> Iterator[tuple[str, bytes]]:
    for byte in b"\x00\xff\x30\x80\n\r0 9\"'[{(\\A":
        yield f"bytes {byte:02X}", bytes([byte]) * LARGEST_BYTES
    yield "line ends", b"\r\n" * (LARGEST_BYTES // 2)
    yield "every byte", bytes(range(256)) * (LARGEST_BYTES // 256)


def _ber() -> Iterator[tuple[str, bytes]]:
    for tag in _WRAPPERS[::2]:
        for depth in depths():
            yield f"{depth} times {tag.hex()}", ber_nest(tag, depth, b"\x05\x00")
    yield "indefinite lengths in each other", b"\x30\x80" * (LARGEST_BYTES // 2)
    yield "a tag without end", b"\x1f" + b"\x81" * (LARGEST_BYTES - 1)
    half = LARGEST_BYTES // 2 - 16
    for tag in (*_WRAPPERS, b"\xbf\x55\x82\xff\xf0\xa0", b"\xbf\x2b\x82\xff\xf0\xa0", b"\xbf\x2d\x82\xff\xf0\xa0"):
        for item in (b"\x05\x00", b"\x30\x00", b"\xa0\x00", b"\xe3\x00", b"\x80\x01\x7f"):
            content = item * (2 * half // len(item))
            yield f"{tag.hex()} full of {item.hex()}", tag + _length(len(content)) + content


def _json() -> Iterator[tuple[str, bytes]]:
    for depth in depths():
        yield f"{depth} lists in each other", b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        yield f"{depth} objects in each other", b'{"a":' * depth + b"1" + b"}" * depth
        nested = b"[" * depth + b"]" * depth
        for name in (b"parameters", b"header", b"transactionId", b"status", b"eventEntries", b"error"):
            yield f"{depth} lists in {name.decode()}", b'{"' + name + b'":' + nested + b',"method":"a.b"}'
    yield "many keys", b"{" + b",".join(b'"%d":0' % number for number in range(5000)) + b"}"
    yield "one key very often", b"{" + b",".join([b'"a":0'] * 8000) + b"}"
    yield "a long number", b'{"a":' + b"9" * 60_000 + b"}"
    yield "a long fraction", b'{"a":0.' + b"9" * 60_000 + b"}"
    yield "a long text", b'{"transactionId":"' + b"A" * 60_000 + b'"}'
    yield "a long base64 with spaces", b'{"serverSigned1":"' + b"A " * 30_000 + b'"}'


def _toml() -> Iterator[tuple[str, bytes]]:
    for depth in depths():
        yield f"{depth} lists in each other", b"[modem]\nport = " + b"[" * depth + b"]" * depth
        yield f"{depth} tables in each other", b"a = " + b"{a=" * depth + b"1" + b"}" * depth
        # Python's TOML takes memory by the square of their number; these files are written by the machine's owner.
        yield f"{depth} dotted keys", b"a" + b".a" * min(depth, 1000) + b" = 1"
        yield f"{depth} dotted tables", b"[a" + b".a" * min(depth, 1000) + b"]"
    yield "many sections", b"".join(b"[s%d]\n" % number for number in range(6000))
    yield "many keys of one section", b"[modem]\n" + b"".join(b"k%d = 1\n" % number for number in range(4000))
    yield "many eIMs", b"[[eim]]\n" * 5000
    yield "a long number", b"[poll]\ninterval_s = " + b"9" * 60_000
    yield "a long hexadecimal number", b"[poll]\ninterval_s = 0x" + b"f" * 60_000
    yield "a long text", b'[modem]\nport = "' + b"/" * 60_000 + b'"'
    yield "a long comment", b"#" * LARGEST_BYTES
