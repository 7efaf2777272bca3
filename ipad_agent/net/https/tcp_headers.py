"""What a connection cost beside its payload, by what the kernel counts (TCP_INFO of Linux): headers of IP and TCP,
and payload that had to be sent again."""

from __future__ import annotations

import socket
import struct
from typing import Final

_OPTIONS_AT, _SEGMENTS_AT, _INFO_BYTES = 5, 136, 144
_SENT_AGAIN_AT, _LONG_INFO_BYTES = 208, 216
_TIMESTAMPS: Final = 1
_TIMESTAMP_BYTES, _SYN_BYTES = 12, 8
_TCP_BYTES, _IPV4_BYTES, _IPV6_BYTES = 20, 20, 40
FAREWELL_PACKETS: Final = 3
"""FIN, the server's own goodbye, and the answer to that: nobody is left to count them. The last is a reset without
options, for the port is closed by then."""


def header_bytes(connection: socket.socket) -> int:
    """Of all packets both ways so far, acknowledgements and repetitions included, with what our repetitions carried; 0
    where the kernel does not tell. What the server repeats without need, nobody counts."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LONG_INFO_BYTES)
    except (OSError, AttributeError):
        return 0
    if len(info) < _INFO_BYTES:
        return 0
    out, came = struct.unpack_from("=II", info, _SEGMENTS_AT)
    again = struct.unpack_from("=Q", info, _SENT_AGAIN_AT)[0] if len(info) >= _LONG_INFO_BYTES else 0
    return int(out + came) * _of_packet(connection, info) + 2 * _SYN_BYTES + int(again)


def farewell_bytes(connection: socket.socket) -> int:
    """What closing it will cost."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except (OSError, AttributeError):
        return 0
    return FAREWELL_PACKETS * _of_packet(connection, info) - _options(info)


def _of_packet(connection: socket.socket, info: bytes) -> int:
    ip = _IPV6_BYTES if connection.family == socket.AF_INET6 else _IPV4_BYTES
    return ip + _TCP_BYTES + _options(info)


def _options(info: bytes) -> int:
    return _TIMESTAMP_BYTES if info[_OPTIONS_AT] & _TIMESTAMPS else 0
