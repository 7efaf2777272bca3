"""A serial line at a baud rate in front of the engine, in the caller's time; and the host's end of it in memory."""

from __future__ import annotations

import re
from typing import Protocol

from ipad_agent.lab.modem.modem_options import Cell
from ipad_agent.lab.modem.virtual_module import LinkChanged, Output, PortBack, PortLost, Send

__all__ = ["ByteStream", "MemoryPort", "PacedLine"]

_SLICE_BYTES = 16  # bytes handed over at once, as the FIFO of a UART does
_BUFFER_BYTES = 65536
_BITS_PER_BYTE = 10  # start, eight data bits, stop
_FINAL = re.compile(rb"\r\n(?:OK|ERROR|\+CME ERROR: [^\r]*)\r\n$|(?:^|\n)[04]\r$")


class ByteStream(Protocol):
    """What both the bare engine and a paced line in front of it are."""

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        """Bytes from the host."""

    def advance(self, now_s: float) -> list[Output]:
        """Let time pass."""

    @property
    def next_due_s(self) -> float | None:
        """When ``advance`` has something to do."""


class _Direction:
    """Bytes on their way; they come out ``byte_s`` apart."""

    def __init__(self, byte_s: float) -> None:
        self._byte_s = byte_s
        self._waiting = bytearray()
        self._from_s = 0.0

    def put(self, data: bytes, now_s: float) -> None:
        if not self._waiting:
            self._from_s = max(self._from_s, now_s)
        self._waiting += data[: _BUFFER_BYTES - len(self._waiting)]

    def take(self, now_s: float) -> bytes:
        count = min(len(self._waiting), int((now_s - self._from_s) / self._byte_s + 1e-6))
        if count <= 0:
            return b""
        taken = bytes(self._waiting[:count])
        del self._waiting[:count]
        self._from_s += count * self._byte_s
        return taken

    def clear(self) -> None:
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_due_s(self) -> float | None:
        if not self._waiting:
            return None
        return self._from_s + min(len(self._waiting), _SLICE_BYTES) * self._byte_s


class PacedLine:
    """The engine behind a line of ``baud`` bit/s, full duplex. The same three methods as the engine."""

    def __init__(self, engine: ByteStream, baud: int) -> None:
        if baud <= 0:
            raise ValueError("baud must be positive")
        self._engine = engine
        self._to_modem = _Direction(_BITS_PER_BYTE / baud)
        self._to_host = _Direction(_BITS_PER_BYTE / baud)
        self._now_s = 0.0

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        """The host starts to send ``data`` at ``now_s``."""
        now_s = self._now_s if now_s is None else now_s
        outputs = self.advance(now_s)
        self._to_modem.put(data, self._now_s)
        return outputs

    def advance(self, now_s: float) -> list[Output]:
        """What has come out of the line up to ``now_s``."""
        outputs: list[Output] = []
        while (due_s := self.next_due_s) is not None and due_s <= now_s:
            self._step(due_s, outputs)
        self._step(max(now_s, self._now_s), outputs)
        return outputs

    @property
    def next_due_s(self) -> float | None:
        """When the next byte, or the engine, is due."""
        dues = (self._to_modem.next_due_s, self._to_host.next_due_s, self._engine.next_due_s)
        return min((due for due in dues if due is not None), default=None)

    @property
    def buffered_bytes(self) -> int:
        """Bytes on their way, both directions together."""
        return len(self._to_modem) + len(self._to_host)

    def _step(self, now_s: float, outputs: list[Output]) -> None:
        self._now_s = max(self._now_s, now_s)
        self._collect(self._engine.advance(self._now_s), outputs)
        if arrived := self._to_modem.take(self._now_s):
            self._collect(self._engine.feed(arrived, self._now_s), outputs)
        if sent := self._to_host.take(self._now_s):
            outputs.append(Send(sent))

    def _collect(self, produced: list[Output], outputs: list[Output]) -> None:
        for output in produced:
            if isinstance(output, Send):
                self._to_host.put(output.data, self._now_s)
                continue
            if isinstance(output, PortLost):
                self._to_modem.clear()
                self._to_host.clear()
            outputs.append(output)


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
