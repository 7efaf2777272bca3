"""A line that is slow and has no other fault: at a baud rate, in the caller's time."""

from __future__ import annotations

from ipad_agent.lab.modem.virtual_module import Output, PortLost, Send

from .timed_line import BITS_PER_BYTE, SLICE_BYTES, ByteStream, TimedLine

__all__ = ["PacedLine"]

_BUFFER_BYTES = 65536


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
        return self._from_s + min(len(self._waiting), SLICE_BYTES) * self._byte_s


class PacedLine(TimedLine):
    """The engine behind a line of ``baud`` bit/s, full duplex. The same three methods as the engine."""

    def __init__(self, engine: ByteStream, baud: int) -> None:
        if baud <= 0:
            raise ValueError("baud must be positive")
        self._engine = engine
        self._to_modem = _Direction(BITS_PER_BYTE / baud)
        self._to_host = _Direction(BITS_PER_BYTE / baud)
        super().__init__(engine, self._to_modem, self._to_host)

    def _send(self, data: bytes) -> None:
        self._to_modem.put(data, self._now_s)

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
