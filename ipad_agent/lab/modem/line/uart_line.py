"""A UART in front of the engine, in the caller's time: what is sent at another speed than the other's is noise."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from ipad_agent.lab.modem.at.at_engine import AtEngine
from ipad_agent.lab.modem.modem_options import Uart
from ipad_agent.lab.modem.virtual_module import Output, PortBack, PortLost, RateChanged, Send

from .timed_line import BITS_PER_BYTE, SLICE_BYTES, TimedLine

__all__ = ["UartLine"]

_MAX_SLICES = 8192
_DAMAGED_EVERY = 23


@dataclass(frozen=True, slots=True)
class _Slice:
    """Bytes that arrive at ``due_s``; ``rate`` is that of their sender."""

    due_s: float
    data: bytes
    rate: int


class _Direction:
    """Bytes on their way, one after the other."""

    def __init__(self) -> None:
        self._slices: deque[_Slice] = deque(maxlen=_MAX_SLICES)
        self._free_s = 0.0

    def put(self, data: bytes, rate: int, now_s: float) -> None:
        self._free_s = max(self._free_s, now_s)
        for at in range(0, len(data), SLICE_BYTES):
            piece = data[at : at + SLICE_BYTES]
            self._free_s += len(piece) * BITS_PER_BYTE / max(rate, 1)
            self._slices.append(_Slice(self._free_s, piece, rate))

    def take(self, now_s: float) -> _Slice | None:
        return self._slices.popleft() if self._slices and self._slices[0].due_s <= now_s else None

    @property
    def next_due_s(self) -> float | None:
        return self._slices[0].due_s if self._slices else None


class UartLine(TimedLine):
    """The engine of a module with a UART (``ModemOptions.uart``); the same three methods as the engine.

    ``host_rate`` is the speed of the host's end, to be set by whoever knows it. A UART does not vanish: while the
    module restarts it is silent.
    """

    def __init__(self, engine: AtEngine) -> None:
        self._engine = engine
        self._uart = engine.options.uart or Uart()
        self.host_rate = self._module_rate = self._uart.rate
        self._to_modem, self._to_host = _Direction(), _Direction()
        super().__init__(engine, self._to_modem, self._to_host)
        self._lost_left = 0
        self._carried = 0
        self._noise = random.Random(0)

    def _send(self, data: bytes) -> None:
        self._to_modem.put(data, self.host_rate, self._now_s)

    def _step(self, now_s: float, outputs: list[Output]) -> None:
        self._now_s = max(self._now_s, now_s)
        self._collect(self._engine.advance(self._now_s), outputs)
        while (arrived := self._to_modem.take(self._now_s)) is not None:
            data = self._heard(arrived, self._module_rate)
            lost, self._lost_left = data[: self._lost_left], max(0, self._lost_left - len(data))
            self._collect(self._engine.feed(data[len(lost) :], self._now_s), outputs)
        while (sent := self._to_host.take(self._now_s)) is not None:
            outputs.append(Send(self._heard(sent, self.host_rate)))

    def _collect(self, produced: list[Output], outputs: list[Output]) -> None:
        for output in produced:
            match output:
                case Send(data):
                    self._to_host.put(data, self._module_rate, self._now_s)
                case RateChanged(rate):
                    self._module_rate = rate
                    self._lost_left = self._uart.loses_first_bytes
                case PortLost() | PortBack():
                    pass
                case _:
                    outputs.append(output)

    def _heard(self, piece: _Slice, rate: int) -> bytes:
        """What a receiver at ``rate`` makes of it."""
        if piece.rate != rate:
            count = min(64, max(1, len(piece.data) * rate // max(piece.rate, 1)))
            return self._noise.randbytes(count)
        limit = self._uart.clean_up_to
        if limit is None or rate <= limit:
            return piece.data
        heard = bytearray(piece.data)
        for at in range(len(heard)):
            self._carried += 1
            if self._carried % _DAMAGED_EVERY == 0:
                heard[at] ^= 0x91
        return bytes(heard)
