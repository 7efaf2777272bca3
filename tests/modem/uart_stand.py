"""The lab's module on a UART in memory, in virtual time: the host's end has a speed that can be set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ipad_agent.errors import ModemError
from ipad_agent.lab.modem import AtEngine, ModemOptions, Send
from ipad_agent.lab.modem.line.uart_line import UartLine
from ipad_agent.lab.modem.virtual_module import Module, Output

KNOWN_RATES = frozenset((9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600))


class SilentCard:
    """No card of interest."""

    def reset(self) -> None:
        pass

    def transmit(self, apdu: bytes) -> bytes:
        return b"\x6d\x00"


class UartPort:
    """``PortOpener``, ``ByteStream`` and ``LineRate`` in one. ``configured`` is the speed at which it is opened."""

    description = "the UART in memory"

    def __init__(self, options: ModemOptions, configured: int = 115200, *, is_uart: bool = True) -> None:
        self.engine = AtEngine(SilentCard(), options)
        self.line = UartLine(self.engine)
        self.rates: list[int] = []
        self.silences = 0
        self.openings = 0
        self._configured = configured
        self._is_uart = is_uart
        self._on_data: Callable[[bytes], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def module(self) -> Module:
        return self.engine.module

    @property
    def line_rate(self) -> UartPort | None:
        return self if self._is_uart else None

    @property
    def baud_rate(self) -> int:
        return self.line.host_rate

    def set_baud_rate(self, rate: int) -> None:
        if rate not in KNOWN_RATES:
            raise ValueError(rate)
        self._handle(self.line.advance(self._now()))
        self.line.host_rate = rate
        self.rates.append(rate)

    async def open(self) -> UartPort:
        self.openings += 1
        self.line.host_rate = self._configured
        return self

    def note_silence(self) -> None:
        self.silences += 1

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        self._on_data = on_data

    async def write(self, data: bytes) -> None:
        self._handle(self.line.feed(data, self._now()))

    async def close(self) -> None:
        self._on_data = None

    def order(self, action: Callable[[Module], None]) -> None:
        """Do something to the module now."""
        self.engine.order(action, self._now())
        self._handle(self.line.advance(self._now()))

    def asked(self, beginning: str) -> list[str]:
        """The commands that the module understood."""
        return [text for text in self.engine.commands if text.startswith(beginning)]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _handle(self, outputs: list[Output]) -> None:
        loop = asyncio.get_running_loop()
        for output in outputs:
            if isinstance(output, Send):
                loop.call_soon(self._deliver, output.data)
        if self._timer is not None:
            self._timer.cancel()
        due_s = self.line.next_due_s
        self._timer = None if due_s is None else loop.call_at(due_s, self._due)

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)

    def _due(self) -> None:
        self._timer = None
        self._handle(self.line.advance(self._now()))
