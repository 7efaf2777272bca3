"""A CoAP message as bytes (RFC 7252 §3), as far as a client writes them; reading is in ``coap_options``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from .blockwise_transfer import Block, BlockRequest

POST: Final = 0x02
_VERSION: Final = 0x40
_PAYLOAD: Final = b"\xff"
_URI_HOST, _URI_PATH, _CONTENT_FORMAT = 3, 11, 12
_BLOCK2, _BLOCK1, _SIZE2, _SIZE1, _ECHO, _REQUEST_TAG = 23, 27, 28, 60, 252, 292


class Type(IntEnum):
    """RFC 7252 §3."""

    CON = 0
    NON = 1
    ACK = 2
    RST = 3


def empty(kind: Type, mid: int) -> bytes:
    """An empty message: an acknowledgement or a Reset (§4.2)."""
    return bytes([_VERSION | kind << 4, 0, mid >> 8, mid & 0xFF])


def request(mid: int, token: bytes, options: Iterable[tuple[int, bytes]], payload: bytes) -> bytes:
    """A confirmable POST. ``options`` are numbers and values in any order; those of one number keep theirs."""
    out = bytearray([_VERSION | Type.CON << 4 | len(token), POST, mid >> 8, mid & 0xFF])
    out += token
    last = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        (delta, more_delta), (length, more_length) = _nibble(number - last), _nibble(len(value))
        out.append(delta << 4 | length)
        out += more_delta + more_length + value
        last = number
    return bytes(out + _PAYLOAD + payload if payload else out)


def options_of(
    part: BlockRequest, *, path: Iterable[str], uri_host: str | None, content_format: int | None
) -> list[tuple[int, bytes]]:
    """The options of one part of a transfer."""
    found: list[tuple[int, bytes]] = [(_URI_PATH, segment.encode()) for segment in path]
    if uri_host is not None:
        found.append((_URI_HOST, uri_host.encode()))
    numbers = ((_CONTENT_FORMAT, content_format), (_SIZE1, part.size1), (_SIZE2, part.size2))
    found += [(number, _number(value)) for number, value in numbers if value is not None]
    blocks = ((_BLOCK1, part.block1), (_BLOCK2, part.block2))
    found += [(number, _block(block)) for number, block in blocks if block is not None]
    texts = ((_ECHO, part.echo), (_REQUEST_TAG, part.request_tag))
    return found + [(number, value) for number, value in texts if value is not None]


def _number(value: int) -> bytes:
    """§3.2: as few bytes as it takes; zero takes none."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _block(block: Block) -> bytes:
    """RFC 7959 §2.2."""
    return _number(block.number << 4 | block.more << 3 | block.size_exp)


def _nibble(value: int) -> tuple[int, bytes]:
    """An option's delta or length, with its extension (§3.1)."""
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")
