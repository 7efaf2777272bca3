"""CoAP messages for the tests' own server, written from RFC 7252 §3; independent of the library under test."""

from __future__ import annotations

from dataclasses import dataclass, field

CON, NON, ACK, RST = range(4)
URI_HOST, ETAG, URI_PATH, CONTENT_FORMAT, MAX_AGE, BLOCK2, BLOCK1, SIZE2, SIZE1 = 3, 4, 11, 12, 14, 23, 27, 28, 60
ECHO, REQUEST_TAG = 252, 292


def block(number: int, more: bool, size_exp: int) -> bytes:
    """The value of a Block option (RFC 7959 §2.2)."""
    value = number << 4 | more << 3 | size_exp
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def unblock(value: bytes) -> tuple[int, bool, int]:
    number = int.from_bytes(value, "big")
    return number >> 4, bool(number & 8), number & 7


@dataclass(frozen=True)
class Message:
    kind: int
    code: int
    mid: int
    token: bytes = b""
    options: tuple[tuple[int, bytes], ...] = field(default=())
    payload: bytes = b""

    def option(self, number: int) -> bytes | None:
        return next((value for n, value in self.options if n == number), None)

    @property
    def path(self) -> str:
        return "/".join(value.decode() for n, value in self.options if n == URI_PATH)

    def encode(self) -> bytes:
        out = bytes([0x40 | self.kind << 4 | len(self.token), self.code]) + self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_more = _extended(number - last)
            length, length_more = _extended(len(value))
            out += bytes([delta << 4 | length]) + delta_more + length_more + value
            last = number
        return out + (b"\xff" + self.payload if self.payload else b"")


def decode(data: bytes) -> Message:
    at = 4 + (data[0] & 15)
    token = data[4:at]
    options: list[tuple[int, bytes]] = []
    number = 0
    while at < len(data) and data[at] != 0xFF:
        delta, length = data[at] >> 4, data[at] & 15
        at += 1
        delta, at = _read_extended(data, delta, at)
        length, at = _read_extended(data, length, at)
        number += delta
        options.append((number, data[at : at + length]))
        at += length
    payload = data[at + 1 :]
    return Message(data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"), token, tuple(options), payload)


def _extended(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


def _read_extended(data: bytes, value: int, at: int) -> tuple[int, int]:
    if value == 13:
        return data[at] + 13, at + 1
    if value == 14:
        return int.from_bytes(data[at : at + 2], "big") + 269, at + 2
    return value, at
