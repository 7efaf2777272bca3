"""A line in front of the engine, in the caller's time: bytes take as long as they take, in both directions at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ipad_agent.lab.modem.virtual_module import Output

SLICE_BYTES = 16  # bytes handed over at once, as the FIFO of a UART does
BITS_PER_BYTE = 10  # start, eight data bits, stop


class ByteStream(Protocol):
    """What both the bare engine and a line in front of it are."""

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        """Bytes from the host."""

    def advance(self, now_s: float) -> list[Output]:
        """Let time pass."""

    @property
    def next_due_s(self) -> float | None:
        """When ``advance`` has something to do."""


class Direction(Protocol):
    """Bytes on their way to one end."""

    @property
    def next_due_s(self) -> float | None:
        """When the next of them arrive."""


class TimedLine(ABC):
    """The same three methods as the engine. What a direction is like is the kind of line's own."""

    def __init__(self, engine: ByteStream, to_modem: Direction, to_host: Direction) -> None:
        self._dues = to_modem, to_host, engine
        self._now_s = 0.0

    def feed(self, data: bytes, now_s: float | None = None) -> list[Output]:
        """The host starts to send ``data`` at ``now_s``."""
        outputs = self.advance(self._now_s if now_s is None else now_s)
        self._send(data)
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
        dues = (one.next_due_s for one in self._dues)
        return min((due for due in dues if due is not None), default=None)

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Put it on the way to the modem, at ``_now_s``."""

    @abstractmethod
    def _step(self, now_s: float, outputs: list[Output]) -> None:
        """Set ``_now_s``, and let the engine have, and the host get, what has arrived by then."""
