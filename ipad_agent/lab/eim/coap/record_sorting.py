"""DTLS records as they lie in a datagram (RFC 6347 §4.1): enough to sort them before OpenSSL sees them.

A memory BIO loses datagram borders, so records go in one at a time and come out packed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEADER_BYTES = 13
HANDSHAKE = 22
_CONTENT_TYPES = range(20, 26)
_VERSIONS = (b"\xfe\xff", b"\xfe\xfd")
_CLIENT_HELLO = 1
_HANDSHAKE_HEADER_BYTES = 12
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Record:
    """One record with its header; ``epoch`` 0 is plaintext."""

    raw: bytes
    content_type: int
    epoch: int

    @property
    def hello(self) -> Hello | None:
        """What it says if it is (or begins) a plaintext ClientHello."""
        return _read_hello(self) if self.content_type == HANDSHAKE and self.epoch == 0 else None


@dataclass(frozen=True, slots=True)
class Hello:
    """``random`` tells two handshakes of one address apart; ``whole`` is False for a fragment of a long hello."""

    message_seq: int
    whole: bool
    random: bytes


def split(datagram: bytes) -> list[Record]:
    """The records of a datagram, in order. What follows something that cannot be a record is dropped (§4.1.2.7)."""
    records = []
    at = 0
    while len(datagram) - at > HEADER_BYTES:
        content_type = datagram[at]
        size = int.from_bytes(datagram[at + 11 : at + 13], "big")
        end = at + HEADER_BYTES + size
        if content_type not in _CONTENT_TYPES or datagram[at + 1 : at + 3] not in _VERSIONS:
            break
        if size == 0 or end > len(datagram):
            break
        epoch = int.from_bytes(datagram[at + 3 : at + 5], "big")
        records.append(Record(datagram[at:end], content_type, epoch))
        at = end
    return records


def pack(stream: bytes, mtu_bytes: int) -> Iterator[bytes]:
    """Datagrams of whole records, each as full as ``mtu_bytes`` allows."""
    datagram = b""
    at = 0
    while at + HEADER_BYTES <= len(stream):
        end = at + HEADER_BYTES + int.from_bytes(stream[at + 11 : at + 13], "big")
        record = stream[at:end]
        if datagram and len(datagram) + len(record) > mtu_bytes:
            yield datagram
            datagram = b""
        datagram += record
        at = end
    if datagram:
        yield datagram


def _read_hello(record: Record) -> Hello | None:
    body = record.raw[HEADER_BYTES:]
    if len(body) < _HANDSHAKE_HEADER_BYTES or body[0] != _CLIENT_HELLO:
        return None
    total = int.from_bytes(body[1:4], "big")
    message_seq = int.from_bytes(body[4:6], "big")
    offset = int.from_bytes(body[6:9], "big")
    length = int.from_bytes(body[9:12], "big")
    random = b""
    if offset == 0:
        start = _HANDSHAKE_HEADER_BYTES + 2  # client_version
        random = body[start : start + _RANDOM_BYTES]
    return Hello(message_seq, offset == 0 and length == total, random)
