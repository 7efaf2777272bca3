"""What is asked of h11, whichever release a device has.

Releases before 0.16 do not look at the two bytes behind a chunk (CVE-2025-43859), and raise ``ValueError`` for a
Content-Length of thousands of digits. Distributions repair the first and keep the number, so it is tried, not read.
"""

from __future__ import annotations

import functools
from typing import Any

import h11

from ipad_agent.net import events
from ipad_agent.net.errors import ProtocolViolation

# An answer in chunks whose first one is not followed by CR LF (RFC 9112 §7.1).
_MALFORMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n"


@functools.cache
def is_repaired() -> bool:
    """Whether the installed h11 refuses chunks that are not delimited as they should be."""
    probe = h11.Connection(h11.CLIENT)
    probe.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    probe.send(h11.EndOfMessage())
    probe.receive_data(_MALFORMED)
    try:
        while not isinstance(probe.next_event(), h11.EndOfMessage):
            pass
    except h11.RemoteProtocolError:
        return True
    return False


@functools.cache
def report_once() -> None:
    """Say what the installed h11 lacks, once per process."""
    if not is_repaired():
        events.OLD_PARSER.emit(version=getattr(h11, "__version__", "of unknown version"))


def next_event(connection: h11.Connection) -> Any:
    """``h11.Connection.next_event``, whose only error here is ``ProtocolViolation`` beside ``RemoteProtocolError``."""
    try:
        return connection.next_event()
    except ValueError as error:
        raise ProtocolViolation(f"no HTTP: {error}") from None
