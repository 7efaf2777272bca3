"""The host's end of the modem's line in memory, in the caller's time."""

from __future__ import annotations

import re

from ipad_agent.lab.modem.modem_options import Cell
from ipad_agent.lab.modem.virtual_module import LinkChanged, Output, PortBack, PortLost, Send

from .timed_line import ByteStream

__all__ = ["MemoryPort"]

_FINAL = re.compile(rb"\r\n(?:OK|ERROR|\+CME ERROR: [^\r]*)\r\n$|(?:^|\n)[04]\r$")


class MemoryPort:
    """The host's end of the line, in memory and in virtual time. ``now_s`` is the clock; nothing ever waits."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._received = bytearray()
        self.now_s = 0.0
        self.present = True
        self.losses = 0
        self.link: Cell | None = None
        self.links: list[Cell | None] = []

    def write(self, data: bytes) -> None:
        """Send ``data`` now; lost while the port is away."""
        if self.present:
            self._receive(self._stream.feed(data, self.now_s))

    def read(self) -> bytes:
        """Everything that has arrived so far."""
        received = bytes(self._received)
        self._received.clear()
        return received

    def wait(self, seconds: float) -> None:
        """Let time pass, step by step."""
        end_s = self.now_s + seconds
        while (due_s := self._stream.next_due_s) is not None and due_s <= end_s:
            self.now_s = max(self.now_s, due_s)
            self._receive(self._stream.advance(self.now_s))
        self.now_s = end_s
        self._receive(self._stream.advance(end_s))

    def exchange(self, command: str, *, deadline_s: float = 60.0) -> bytes:
        """Send a command line with CR and let time pass until a final line has come, or the deadline.

        Returns everything received, echo and unsolicited lines included.
        """
        return self.exchange_raw(command.encode("ascii") + b"\r", deadline_s=deadline_s)

    def exchange_raw(self, data: bytes, *, deadline_s: float = 60.0) -> bytes:
        """As ``exchange``, with the line ending in ``data``."""
        self._received.clear()
        end_s = self.now_s + deadline_s
        self.write(data)
        while not _FINAL.search(self._received) and self.present:
            due_s = self._stream.next_due_s
            if due_s is None or due_s > end_s:
                self.now_s = end_s
                break
            self.wait(due_s - self.now_s)
        return self.read()

    def _receive(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._received += output.data
            elif isinstance(output, PortLost):
                self.present = False
                self.losses += 1
            elif isinstance(output, PortBack):
                self.present = True
            elif isinstance(output, LinkChanged):
                self.link = output.cell
                self.links.append(output.cell)
