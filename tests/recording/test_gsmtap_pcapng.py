"""The capture file, taken apart by the format's own rules: blocks, options, IPv4, UDP, GSMTAP."""

from __future__ import annotations

import struct

import pytest

from ipad_agent.recording.gsmtap_pcapng import pcapng
from ipad_agent.recording.recording_format import Record

Packet = tuple[int, int, bytes, str]
"""Interface, microseconds, bytes, comment."""


def blocks(content: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", content, at + size - 4) == (size,)
        found.append((kind, content[at + 8 : at + size - 4]))
        at += size
    return found


def options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while True:
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            return found
        found[code] = data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def packets(records: list[Record]) -> list[Packet]:
    section, *rest = blocks(b"".join(pcapng(records)))
    assert section[0] == 0x0A0D0D0A
    assert struct.unpack("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    interfaces = [body for kind, body in rest if kind == 1]
    assert [struct.unpack_from("<HHI", body) for body in interfaces] == [(101, 0, 0), (252, 0, 0)]
    assert [options(body[8:])[9] for body in interfaces] == [b"\x06", b"\x06"]
    found = []
    for kind, body in rest[2:]:
        assert kind == 6
        interface, high, low, kept, size = struct.unpack_from("<IIIII", body)
        assert kept == size
        comment = options(body[20 + size + -size % 4 :])[1].decode()
        found.append((interface, high << 32 | low, body[20 : 20 + size], comment))
    return found


def gsmtap(data: bytes) -> bytes:
    """The payload behind IPv4, UDP and GSMTAP, each of which is checked."""
    words = struct.unpack(">10H", data[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "the checksum of the IPv4 header"
    assert (data[0], data[9], words[1]) == (0x45, 17, len(data))
    _, port, size, _ = struct.unpack(">HHHH", data[20:28])
    assert (port, size) == (4729, len(data) - 20)
    version, length, kind = data[28:31]
    assert (version, length, kind) == (2, 4, 4)
    assert data[31:44] == bytes(13)
    return data[44:]


def record(at_s: float, kind: str, way: str, data: bytes, **facts: str) -> Record:
    return Record(at_s, kind, way, data, facts=facts)


COMMAND, ANSWER = bytes.fromhex("81E2910003BF2D00"), bytes.fromhex("BF2D029000" + "9000")


def test_a_command_and_its_answer_are_one_packet_of_gsmtap() -> None:
    (packet,) = packets([record(10.25, "apdu", "sent", COMMAND), record(10.5, "apdu", "received", ANSWER)])
    assert packet[:2] == (0, 10_250_000)
    assert gsmtap(packet[2]) == COMMAND + ANSWER
    assert packet[3] == "STORE DATA, last block 0, 3 bytes, channel 1: 9000: done, 5 bytes"


@pytest.mark.parametrize("answered", [True, False])
def test_a_command_without_answer_is_shown_alone(answered: bool) -> None:
    records = [record(1, "apdu", "sent", COMMAND)]
    records += [record(2, "apdu", "received", b"")] if answered else []
    records += [record(3, "apdu", "sent", COMMAND)] if not answered else []
    assert [gsmtap(data) for _, _, data, _ in packets(records)] == [COMMAND] * (1 if answered else 2)


def test_lines_and_messages_are_named_for_who_can_read_them() -> None:
    found = packets(
        [
            record(1, "at", "sent", b"AT\r"),
            record(2, "es9", "received", b"{}", function="CancelSession", status="200", path="/x"),
            record(3, "esipa", "sent", b"\xbf\x4f\x00", function="GetEimPackage"),
        ]
    )
    names = []
    for interface, _, data, _ in found:
        assert interface == 1
        tag, size = struct.unpack_from(">HH", data)
        assert (tag, size % 4, data[4 + size : 8 + size]) == (12, 0, bytes(4))
        names.append((data[4 : 4 + size].rstrip(b"\0").decode(), data[8 + size :]))
    assert names == [("data-text-lines", b"AT\r"), ("json", b"{}"), ("data", b"\xbf\x4f\x00")]
    assert [comment for *_, comment in found] == [
        "at sent",
        "es9 received CancelSession 200 /x",
        "esipa sent GetEimPackage",
    ]


def test_packets_stand_in_the_order_of_their_times() -> None:
    found = packets(
        [
            record(1, "apdu", "sent", COMMAND),
            record(2, "at", "sent", b"AT+CGLA"),
            record(3, "at", "received", b"+CGLA"),
            record(4, "apdu", "received", ANSWER),
        ]
    )
    assert [at_us for _, at_us, _, _ in found] == [1_000_000, 2_000_000, 3_000_000]
