"""The modem on a pseudo-terminal behind a stable path: what a program that wants ``/dev/ttyUSB2`` can open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import termios
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ipad_agent.lab.modem.at.at_engine import AtEngine
from ipad_agent.lab.modem.modem_options import Cell, Fault
from ipad_agent.lab.modem.virtual_module import LinkChanged, Module, Output, PortBack, PortLost, Send

from .baud_pace import PacedLine
from .timed_line import ByteStream
from .uart_line import UartLine

__all__ = ["PtyModem"]

LOG = logging.getLogger("ipad_agent.lab")

_OUTGOING_BYTES = 65536
_TRACE_ENTRIES = 4096
_RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdecimal()}
"""Bits per second by the constants of termios."""


class PtyModem:
    """Serves an engine on a pty, in real time.

    ``path`` is a symbolic link to the current pty. When the engine loses its port, the pty is closed (the host sees
    a hang-up) and the link is removed; when the port is back there is a new pty, always with another name, behind
    the same link. ``baud`` slows the line down; ``None`` is as fast as it goes. With ``uart`` the line has the speed
    of the module, and the host must have the same: it is read from the pty. ``on_link`` hears of the packet service
    coming (a cell) and going (``None``). ``present`` is set while there is a pty.
    """

    def __init__(
        self,
        engine: AtEngine,
        path: Path,
        *,
        baud: int | None = None,
        uart: UartLine | None = None,
        on_link: Callable[[Cell | None], None] | None = None,
    ) -> None:
        self.engine = engine
        self.path = path
        self.trace: deque[tuple[float, str, bytes]] = deque(maxlen=_TRACE_ENTRIES)
        self.ports_opened = 0
        self.present = asyncio.Event()
        self.on_link = on_link
        self._uart = uart
        self._stream: ByteStream = engine if baud is None else PacedLine(engine, baud)
        if uart is not None:
            self._stream = uart
        self._outgoing = bytearray()
        self._master: int | None = None
        self._slave: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_name = ""
        self._writing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_s = 0.0

    async def start(self) -> None:
        """Create the pty and serve it."""
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._open()
        if self.on_link is not None:
            radio = self.engine.module.radio
            self.on_link(radio.cell if radio.passes_data else None)
        self._schedule()

    async def stop(self) -> None:
        """Close the pty and remove the link."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close()
        self._loop = None

    async def __aenter__(self) -> PtyModem:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def module(self) -> Module:
        """The module behind the line, for looking at; change it through ``order``."""
        return self.engine.module

    def order(self, action: Callable[[Module], None]) -> None:
        """Do something to the module now: ``modem.order(lambda m: m.restart())``."""
        self.engine.order(action, self._now())
        self._handle(self._stream.advance(self._now()))

    def inject(self, fault: Fault) -> None:
        """Arm a fault for coming commands."""
        self.engine.inject(fault)

    def _now(self) -> float:
        if self._loop is None:
            raise RuntimeError("the modem is not running")
        return self._loop.time() - self._started_s

    def _open(self) -> None:
        loop = self._loop
        if loop is None:
            return
        master, slave = self._another_pty()
        tty.setraw(master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master, self._slave = master, slave
        self.ports_opened += 1
        self.present.set()
        new = self.path.with_name(self.path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(os.ttyname(slave))
        new.replace(self.path)
        loop.add_reader(master, self._readable)

    def _another_pty(self) -> tuple[int, int]:
        """A pty that is not called like the last one, as when somebody still held on to that one."""
        master, slave = os.openpty()
        if os.ttyname(slave) == self._last_name:
            taken = master, slave
            try:
                master, slave = os.openpty()
            finally:
                for descriptor in taken:
                    os.close(descriptor)
        self._last_name = os.ttyname(slave)
        return master, slave

    def _close(self) -> None:
        loop, master, slave = self._loop, self._master, self._slave
        self._master = self._slave = None
        self._outgoing.clear()
        self.present.clear()
        if master is not None:
            if loop is not None:
                loop.remove_reader(master)
                loop.remove_writer(master)
            self._writing = False
            os.close(master)
        if slave is not None:
            os.close(slave)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _readable(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError as error:
            LOG.warning("modem: reading the pty failed: %s", error)
            return
        if data:
            self.trace.append((self._now(), ">", data))
            self._read_host_rate()
            self._handle(self._stream.feed(data, self._now()))

    def _due(self) -> None:
        self._timer = None
        self._read_host_rate()
        self._handle(self._stream.advance(self._now()))

    def _read_host_rate(self) -> None:
        """Which speed the host set: both sides of a pty have the same termios."""
        if self._uart is not None and self._master is not None:
            self._uart.host_rate = _RATES.get(termios.tcgetattr(self._master)[5], 0)

    def _handle(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.trace.append((self._now(), "<", output.data))
                self._write(output.data)
            elif isinstance(output, PortLost):
                self.trace.append((self._now(), "!", b"port lost"))
                self._close()
            elif isinstance(output, PortBack):
                self.trace.append((self._now(), "!", b"port back"))
                self._open()
            elif isinstance(output, LinkChanged) and self.on_link is not None:
                self.on_link(output.cell)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self._stream.next_due_s
        if due_s is not None and self._loop is not None:
            self._timer = self._loop.call_at(self._started_s + due_s, self._due)

    def _write(self, data: bytes) -> None:
        """Queue bytes for the host; without a reader the oldest are lost, as on a real port."""
        self._outgoing += data
        del self._outgoing[: max(0, len(self._outgoing) - _OUTGOING_BYTES)]
        self._writable()

    def _writable(self) -> None:
        loop, master = self._loop, self._master
        if loop is None or master is None:
            return
        while self._outgoing:
            try:
                written = os.write(master, self._outgoing)
            except BlockingIOError:
                if not self._writing:
                    self._writing = True
                    loop.add_writer(master, self._writable)
                return
            except OSError as error:
                LOG.warning("modem: writing the pty failed: %s", error)
                self._outgoing.clear()
                break
            del self._outgoing[:written]
        if self._writing:
            self._writing = False
            loop.remove_writer(master)
