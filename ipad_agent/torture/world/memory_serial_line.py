"""The serial line in memory: the agent's modem room on one end, the lab's modem on the other."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.lab.modem import AtEngine, Fault
from ipad_agent.lab.modem.virtual_module import LinkChanged, Module, Output, PortBack, PortLost, Send
from ipad_agent.modem.errors import PortLost as LineLost
from ipad_agent.modem.errors import PortUnavailable
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.usb_sysfs import Tty

from .process_fence import ProcessFence
from .simulated_network import WORLD
from .virtual_time_loop import TortureLoop

USB_ID: Final = "2c7c:0125"
"""A module that the agent knows: interfaces 2 and 3 are its AT ports, and the second of them is preferred."""


class MemoryModem:
    """The modem, in the loop's time. ``serves`` says whether its packet service passes data."""

    def __init__(self, loop: TortureLoop, engine: AtEngine) -> None:
        self.engine = engine
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._stream: _Stream | None = None
        self.serves = engine.module.radio.passes_data
        self._number = 2

    @property
    def module(self) -> Module:
        """The module, for looking at; change it through ``order``."""
        return self.engine.module

    @property
    def path(self) -> Path:
        """The name of the port, which is another one after it was away."""
        return Path(f"/dev/ttyUSB{self._number + 1}")

    @property
    def ttys(self) -> tuple[Tty, ...]:
        """The serial ports that the kernel tells of."""
        other = Tty(Path("/dev/ttyS4"), driver="serial8250")
        if self.module.away:
            return (other,)
        first = Path(f"/dev/ttyUSB{self._number}")
        ports = (Tty(path, (), "option", USB_ID, at, "1-1.2", "LABMODEM") for path, at in ((first, 2), (self.path, 3)))
        return (other, *ports)

    def order(self, action: Callable[[Module], None]) -> None:
        """Do something to the module now."""
        self.engine.order(action, self._loop.time())
        self._handle(self.engine.advance(self._loop.time()))

    def inject(self, fault: Fault) -> None:
        """Arm a fault."""
        self.engine.inject(fault)

    def heal(self) -> None:
        """Misbehave no more."""
        self.engine.clear_faults()

    def attach(self, stream: _Stream) -> None:
        """A host opened the port; whoever had it before reads nothing more."""
        self._stream = stream

    def detach(self, stream: _Stream) -> None:
        """A host closed the port."""
        if self._stream is stream:
            self._stream = None

    def feed(self, data: bytes) -> None:
        """Bytes from the host."""
        self._handle(self.engine.feed(data, self._loop.time()))

    def _due(self) -> None:
        self._timer = None
        self._handle(self.engine.advance(self._loop.time()))

    def _handle(self, outputs: list[Output]) -> None:
        for output in outputs:
            stream = self._stream
            if isinstance(output, Send):
                if stream is not None:
                    self._loop.call_soon(stream.deliver, output.data, context=stream.context)
            elif isinstance(output, PortLost):
                self._stream = None
                if stream is not None:
                    self._loop.call_soon(stream.lose, context=stream.context)
            elif isinstance(output, LinkChanged):
                self.serves = self.module.radio.passes_data
            elif isinstance(output, PortBack):
                self._number = (self._number + 3) % 10
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self.engine.next_due_s
        if due_s is not None:
            self._timer = self._loop.call_at(due_s, self._due, context=WORLD)


class MemoryOpener:
    """Implements ``PortOpener`` for one process. With ``search`` the port is found as on a device whose ports change
    their names; without, its name is known and stays."""

    def __init__(self, modem: MemoryModem, owner: ProcessFence, search: DiscoveringOpener | None = None) -> None:
        self._modem = modem
        self._owner = owner
        self._search = search

    async def open(self) -> _Stream:
        self._owner.check()
        if self._search is not None:
            path = self._search.find(asyncio.get_running_loop().time())
            if path != self._modem.path:
                raise PortUnavailable(f"{path} is not there")
        if self._modem.module.away:
            raise PortUnavailable("the port is not there")
        stream = _Stream(self._modem, self._owner)
        self._modem.attach(stream)
        return stream

    def note_silence(self) -> None:
        """There is only one speed here."""


class _Stream:
    """Implements ``ByteStream``."""

    description = "the line in memory"

    def __init__(self, modem: MemoryModem, owner: ProcessFence) -> None:
        self._modem = modem
        self._owner = owner
        self._open = True
        self._on_data: Callable[[bytes], None] = lambda data: None
        self._on_lost: Callable[[ModemError], None] = lambda error: None
        self.context = contextvars.copy_context()

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        self._on_data, self._on_lost = on_data, on_lost

    async def write(self, data: bytes) -> None:
        self._owner.check()
        if not self._open:
            raise LineLost("the port is gone")
        self._modem.feed(data)

    async def close(self) -> None:
        self._open = False
        self._modem.detach(self)

    def deliver(self, data: bytes) -> None:
        """Bytes from the modem."""
        if self._open and self._owner.alive:
            self._on_data(data)

    def lose(self) -> None:
        """The port went away."""
        if self._open and self._owner.alive:
            self._open = False
            self._on_lost(LineLost("the port vanished"))
