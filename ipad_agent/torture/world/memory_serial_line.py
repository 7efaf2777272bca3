"""The serial line in memory: the agent's modem room on one end, the lab's modem on the other."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from ipad_agent.errors import ModemError
from ipad_agent.lab.modem import AtEngine, Fault
from ipad_agent.lab.modem.virtual_module import LinkChanged, Module, Output, PortBack, PortLost, Send
from ipad_agent.modem.errors import PortLost as LineLost
from ipad_agent.modem.errors import PortUnavailable

from .process_fence import ProcessFence
from .simulated_network import WORLD
from .virtual_time_loop import TortureLoop


class MemoryModem:
    """The modem, in the loop's time. ``serves`` says whether its packet service passes data."""

    def __init__(self, loop: TortureLoop, engine: AtEngine) -> None:
        self.engine = engine
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._stream: _Stream | None = None
        self.serves = engine.module.radio.passes_data

    @property
    def module(self) -> Module:
        """The module, for looking at; change it through ``order``."""
        return self.engine.module

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
                pass  # the next opening finds it
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self.engine.next_due_s
        if due_s is not None:
            self._timer = self._loop.call_at(due_s, self._due, context=WORLD)


class MemoryOpener:
    """Implements ``PortOpener`` for one process."""

    def __init__(self, modem: MemoryModem, owner: ProcessFence) -> None:
        self._modem = modem
        self._owner = owner

    async def open(self) -> _Stream:
        self._owner.check()
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
