"""A recording as Wireshark opens it: pcapng, the card's APDUs as GSMTAP, all else as text and bytes with a comment.

A packet of GSMTAP holds a command and its answer together, as SIM tracers send them to UDP port 4729.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from ipad_agent.errors import CodecError

from .apdu_meaning import answer_meaning, command_meaning
from .recording_format import APDU, AT, SENT, Record

GSMTAP_PORT: Final = 4729
_GSMTAP_SIM_HEADER: Final = struct.pack(">BBBBHbbIBBBB", 2, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Version 2, four words long, type SIM, subtype APDU; all that a radio would fill in is 0."""
_RAW_IP, _UPPER_PDU = 101, 252
_CARD, _OTHERS = 0, 1
_DISSECTOR_TAG: Final = 12
_LOCALHOST: Final = bytes((127, 0, 0, 1))


def pcapng(records: Iterable[Record]) -> Iterator[bytes]:
    """The blocks of the file: section, two interfaces, and a packet for each APDU with its answer, each AT line, and
    each message."""
    yield _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for link, name in ((_RAW_IP, b"card"), (_UPPER_PDU, b"lines and messages")):
        yield _block(1, struct.pack("<HHI", link, 0, 0) + _option(2, name) + _option(9, b"\x06") + _option(0, b""))
    yield from (packet for _, packet in sorted(_packets(records), key=lambda item: item[0]))


def _packets(records: Iterable[Record]) -> Iterator[tuple[float, bytes]]:
    """With their times: a command is shown when it was sent, and known with its answer only."""
    command: Record | None = None
    for record in records:
        if record.kind != APDU:
            yield record.at_s, _packet(record.at_s, _OTHERS, _upper_pdu(record), _comment(record))
        elif record.way == SENT:
            if command is not None:
                yield command.at_s, _card_packet(command, b"")
            command = record
        elif command is not None:
            yield command.at_s, _card_packet(command, record.data)
            command = None
    if command is not None:
        yield command.at_s, _card_packet(command, b"")


def _card_packet(command: Record, answer: bytes) -> bytes:
    try:
        words = f"{command_meaning(command.data)}: {answer_meaning(answer)}"
    except CodecError as error:
        words = error.message
    return _packet(command.at_s, _CARD, _datagram(_GSMTAP_SIM_HEADER + command.data + answer), words)


def _datagram(payload: bytes) -> bytes:
    """UDP over IPv4 from this machine to itself."""
    size = 8 + len(payload)
    udp = struct.pack(">HHHH", GSMTAP_PORT, GSMTAP_PORT, size, 0) + payload  # a checksum of 0 says that there is none
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0, 64, 17, 0, _LOCALHOST, _LOCALHOST)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:] + udp


def _upper_pdu(record: Record) -> bytes:
    """The bytes with the name of who can read them (Wireshark's exported PDUs)."""
    reader = b"data-text-lines" if record.kind == AT else b"json" if record.data[:1] == b"{" else b"data"
    padded = reader + bytes(-len(reader) % 4)
    return struct.pack(">HH", _DISSECTOR_TAG, len(padded)) + padded + bytes(4) + record.data


def _comment(record: Record) -> str:
    facts = record.facts
    names = ("function", "status", "address", "path", "problem")
    return " ".join([record.kind, record.way, *(facts[name] for name in names if facts.get(name))])


def _packet(at_s: float, interface: int, data: bytes, comment: str) -> bytes:
    """An Enhanced Packet Block; times in microseconds."""
    at_us = max(0, round(at_s * 1e6))
    head = struct.pack("<IIIII", interface, at_us >> 32, at_us & 0xFFFFFFFF, len(data), len(data))
    options = _option(1, comment.encode("utf-8", "replace")[:4000]) + _option(0, b"")
    return _block(6, head + data + bytes(-len(data) % 4) + options)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)
