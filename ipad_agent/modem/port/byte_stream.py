"""The byte stream under the AT session: a serial port, a pty, or something in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ipad_agent.errors import ModemError


class ByteStream(Protocol):
    """An open line to a modem."""

    @property
    def description(self) -> str:
        """What a person calls it, such as the path of the port."""

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """Begin to deliver: ``on_data`` for received bytes, ``on_lost`` once when the line is gone.

        Both are called from the event loop, never from within ``start``.
        """

    async def write(self, data: bytes) -> None:
        """Write all of ``data``; raises ``PortLost`` when the line is gone. May wait when the line is full."""

    async def close(self) -> None:
        """Close; nothing is delivered afterwards."""


class LineRate(Protocol):
    """The host's end of a UART, whose speed can be changed while it is open."""

    @property
    def baud_rate(self) -> int:
        """The speed, in bit/s."""

    def set_baud_rate(self, rate: int) -> None:
        """Take another speed now; what was received and not read is dropped. Raises ``PortLost``, or ``ValueError``
        when the port does not know this speed."""


def line_rate_of(stream: ByteStream) -> LineRate | None:
    """The speed of this line, where it has one: a stream that may be a UART has ``line_rate``."""
    found: LineRate | None = getattr(stream, "line_rate", None)
    return found


class PortOpener(Protocol):
    """Opens the stream, again and again."""

    async def open(self) -> ByteStream:
        """Open the port now; raises ``PortUnavailable`` or ``PortBusy``."""

    def note_silence(self) -> None:
        """The port opened but nothing answered: try it another way next time (the next speed of a UART)."""
