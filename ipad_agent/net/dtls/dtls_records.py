"""DTLS records and datagrams (RFC 6347 §4.1).

A memory BIO hands out a stream of bytes, and forgets which record belonged to which datagram.
"""

from __future__ import annotations

from ipad_agent.net.errors import ProtocolViolation

HEADER_BYTES = 13
_APPLICATION_DATA = 23


def split(stream: bytes) -> list[bytes]:
    """Cut at the record headers. Raises ``ProtocolViolation`` when the bytes are no sequence of whole records."""
    records = []
    at = 0
    while at < len(stream):
        if len(stream) - at < HEADER_BYTES:
            raise ProtocolViolation("a DTLS record header is cut off")
        end = at + HEADER_BYTES + int.from_bytes(stream[at + 11 : at + 13], "big")
        if end > len(stream):
            raise ProtocolViolation("a DTLS record is cut off")
        records.append(stream[at:end])
        at = end
    return records


def whole_records(datagram: bytes) -> list[bytes]:
    """Cut at the record headers, without what is no whole record at the end. Mbed TLS, which is given one at a time,
    ends the session over a replayed record that has some bytes more behind it."""
    records = []
    at = 0
    while at + HEADER_BYTES <= len(datagram):
        end = at + HEADER_BYTES + int.from_bytes(datagram[at + 11 : at + 13], "big")
        if end > len(datagram):
            break
        records.append(datagram[at:end])
        at = end
    return records


def pack(records: list[bytes], mtu: int) -> list[bytes]:
    """Put records into as few datagrams of at most ``mtu`` bytes as their order allows.

    Application data gets a datagram of its own: small servers read one record per datagram. A record above the
    limit goes alone; only the IP layer could cut it.
    """
    datagrams: list[bytes] = []
    open_to_more = False
    for record in records:
        joinable = record[0] != _APPLICATION_DATA
        if open_to_more and joinable and len(datagrams[-1]) + len(record) <= mtu:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        open_to_more = joinable
    return datagrams
