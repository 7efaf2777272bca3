"""CoAP messages of a server with one resource (RFC 7252 §3, §5; RFC 7959): read requests, collect their blocks, write
answers. Bytes in and out, without sockets or clocks."""

from __future__ import annotations

from typing import Final

from ipad_agent.net.coap import coap_options
from ipad_agent.net.coap.blockwise_transfer import Block
from ipad_agent.records import dataclass

CON, NON, ACK, RST = 0, 1, 2, 3
EMPTY, POST = 0, 0x02
CHANGED, CONTINUE = 0x44, 0x5F
BAD_OPTION, NOT_FOUND, NOT_ALLOWED, INCOMPLETE, TOO_LARGE, TOO_MANY = 0x82, 0x84, 0x85, 0x88, 0x8D, 0x9D
UNAVAILABLE: Final = 0xA3

_URI_PATH, _MAX_AGE, _BLOCK1 = 11, 14, 27
_BLOCK2: Final = 23
# Understood as far as a server with one small answer has to: host, port, path, format, query, Accept, blocks, size.
_UNDERSTOOD: Final = frozenset({3, 7, _URI_PATH, 12, 15, 17, _BLOCK2, _BLOCK1, 60})
_HEADER_BYTES: Final = 4
_LARGEST_SIZE_EXP: Final = 6


@dataclass(frozen=True, slots=True)
class CoapMessage:
    """What arrived. ``path`` is None where it is no text; ``refused``: there is a critical option nobody here knows."""

    kind: int
    code: int
    message_id: int
    token: bytes
    path: str | None = ""
    block1: Block | None = None
    payload: bytes = b""
    refused: bool = False


def read(datagram: bytes) -> CoapMessage | None:
    """None for what is no CoAP message; such are ignored (§4.2)."""
    if len(datagram) < _HEADER_BYTES or datagram[0] >> 6 != 1:
        return None
    kind, code, message_id = (datagram[0] >> 4) & 3, datagram[1], int.from_bytes(datagram[2:4], "big")
    size = datagram[0] & 0x0F
    if code == EMPTY:
        return CoapMessage(kind, code, message_id, b"") if len(datagram) == _HEADER_BYTES else None
    try:
        options, payload = coap_options.split(datagram)
    except ValueError:
        return None
    token = datagram[_HEADER_BYTES : _HEADER_BYTES + size]
    try:
        path: str | None = "/" + "/".join(value.decode("utf-8") for number, value in options if number == _URI_PATH)
    except UnicodeDecodeError:
        path = None
    blocks = [value for number, value in options if number == _BLOCK1]
    block1 = _block(blocks[0]) if len(blocks) == 1 else None
    refused = any(number & 1 and number not in _UNDERSTOOD for number, _ in options)
    refused = refused or (bool(blocks) and block1 is None)
    return CoapMessage(kind, code, message_id, token, path, block1, payload, refused)


def write(
    kind: int,
    code: int,
    message_id: int,
    token: bytes = b"",
    *,
    payload: bytes = b"",
    block1: Block | None = None,
    max_age_s: int | None = None,
) -> bytes:
    """One message, as bytes."""
    options: list[tuple[int, bytes]] = []
    if max_age_s is not None:
        options.append((_MAX_AGE, _number(max_age_s)))
    if block1 is not None:
        options.append((_BLOCK1, _number(block1.number << 4 | block1.more << 3 | block1.size_exp)))
    out = bytearray([0x40 | kind << 4 | len(token), code]) + message_id.to_bytes(2, "big") + token
    last = 0
    for number, value in options:  # of 4 bytes at most, and less than 13 numbers apart, but for one
        delta = number - last
        out += bytes([delta << 4 | len(value)]) if delta < 13 else bytes([0xD0 | len(value), delta - 13])
        out += value
        last = number
    return bytes(out) + (b"\xff" + payload if payload else b"")


class RequestBlocks:
    """Puts the blocks of one request together. ``most_bytes`` is the size of the largest body."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._collected = bytearray()

    def take(self, message: CoapMessage) -> bytes | int:
        """The whole body; or the code to answer with: 2.31 for more, 4.08 for a block out of turn, 4.13 for too much.
        Whatever ends a request forgets what was collected."""
        block = message.block1
        if block is None:
            self._collected.clear()
            return message.payload if len(message.payload) <= self._most_bytes else TOO_LARGE
        if block.number == 0:
            self._collected.clear()
        whole_block = (
            len(message.payload) == block.size_bytes if block.more else len(message.payload) <= block.size_bytes
        )
        if block.offset != len(self._collected) or not whole_block:
            self._collected.clear()
            return INCOMPLETE
        self._collected += message.payload
        if len(self._collected) > self._most_bytes:
            self._collected.clear()
            return TOO_LARGE
        if block.more:
            return CONTINUE
        body = bytes(self._collected)
        self._collected.clear()
        return body


def _block(value: bytes) -> Block | None:
    if len(value) > 3:
        return None
    number = int.from_bytes(value, "big")
    return None if number & 7 > _LARGEST_SIZE_EXP else Block(number >> 4, bool(number & 8), number & 7)


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
