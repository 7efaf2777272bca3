"""The serial port: pyserial opens, locks and configures it; the event loop reads the descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

import serial

from ipad_agent.errors import ModemError
from ipad_agent.modem import events
from ipad_agent.modem.errors import PortBusy, PortLost, PortMissing, PortUnavailable
from ipad_agent.records import dataclass

from .byte_stream import LineRate
from .port_lock import DEFAULT_LOCK_FOLDER, PortLock, holders, plays_modem
from .port_owners import advice
from .usb_sysfs import is_uart

_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """``path`` should be a stable name (/dev/serial/by-id/…, by-path/…): numbers change when a modem restarts.

    ``baud_rates`` are tried in turn when nothing answers; a USB port ignores them. ``own_lock_folder`` is where nobody
    but the agent writes; None is ``lock_folder``.
    """

    path: Path
    baud_rates: tuple[int, ...] = (115200,)
    rtscts: bool = False
    lock_folder: Path = DEFAULT_LOCK_FOLDER
    own_lock_folder: Path | None = None


class SerialPortOpener:
    """Opens the configured port; keeps the speed that is to be tried."""

    def __init__(self, settings: SerialSettings) -> None:
        self._settings = settings
        self._attempt = 0

    async def open(self) -> SerialStream:
        """Lock and open the port at the current speed; raises ``PortUnavailable`` or ``PortBusy``."""
        rates = self._settings.baud_rates
        return SerialStream.open(self._settings, baud_rate=rates[self._attempt % len(rates)])

    def note_silence(self) -> None:
        """Take the next speed."""
        self._attempt += 1


class SerialStream:
    """An open serial port as ``ByteStream``."""

    def __init__(self, port: serial.Serial, lock: PortLock, description: str, *, uart: bool = False) -> None:
        self._uart = uart
        self._port = port
        self._lock = lock
        self._fd: int = port.fileno()
        self._description = description
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[ModemError], None] | None = None
        self._lost: PortLost | None = None
        self._writer: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def description(self) -> str:
        return self._description

    @property
    def line_rate(self) -> LineRate | None:
        """See ``line_rate_of``."""
        return self if self._uart else None

    @property
    def baud_rate(self) -> int:
        """See ``LineRate``."""
        return int(self._port.baudrate)

    def set_baud_rate(self, rate: int) -> None:
        """See ``LineRate``."""
        if self._lost is not None:
            raise PortLost(self._lost.message)
        before = self._port.baudrate
        try:
            self._port.baudrate = rate
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except ValueError:
            self._port.baudrate = before
            raise
        except (OSError, termios.error) as error:
            raise self._lose(str(error)) from error

    @classmethod
    def open(cls, settings: SerialSettings, *, baud_rate: int) -> SerialStream:
        """Open now. Blocks for microseconds only: the port is opened without waiting for a carrier."""
        device = Path(os.path.realpath(settings.path))
        if not device.exists():
            raise PortMissing(
                f"{settings.path} is not there: the modem is unplugged or without power, or its port has another name"
            )
        lock = PortLock(device, settings.lock_folder, settings.own_lock_folder)
        lock.acquire()
        try:
            port = serial.Serial(str(device), baud_rate, timeout=0, exclusive=True, rtscts=settings.rtscts)
        except (OSError, termios.error, ValueError) as error:  # SerialException is an OSError
            lock.release()
            raise _open_error(settings.path, device, error) from error
        if os.geteuid() == 0:
            tell_of_others(settings.path, device)
        return cls(port, lock, str(settings.path), uart=is_uart(device))

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """See ``ByteStream``."""
        self._on_data, self._on_lost = on_data, on_lost
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    async def write(self, data: bytes) -> None:
        """See ``ByteStream``."""
        loop = asyncio.get_running_loop()
        while data:
            if self._lost is not None:
                raise PortLost(self._lost.message)
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                self._writer = loop.create_future()
                loop.add_writer(self._fd, self._writable)
                try:
                    await self._writer
                finally:
                    self._writer = None
                    if self._lost is None:  # else the number may belong to another file by now
                        loop.remove_writer(self._fd)
            except OSError as error:
                raise self._lose(error.strerror or str(error)) from error

    async def close(self) -> None:
        """See ``ByteStream``."""
        self._on_data = self._on_lost = None
        self._lose("it was closed")

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if not data:  # hang-up: a descriptor that stays readable for ever without data
            self._lose("it hung up")
        elif self._on_data is not None:
            self._on_data(data)

    def _writable(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _lose(self, reason: str) -> PortLost:
        if self._lost is not None:
            return self._lost
        error = self._lost = PortLost(f"the port {self._description} is lost: {reason}")
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self._writable()
        with contextlib.suppress(termios.error, OSError):
            # Without this, closing may wait half a minute for bytes that a dead modem will never take.
            termios.tcflush(self._fd, termios.TCIOFLUSH)
        with contextlib.suppress(OSError, termios.error):
            self._port.close()
        self._lock.release()
        if self._on_lost is not None:
            events.PORT_LOST.emit(port=self._description, reason=reason)
            self._on_lost(error)
        return error


def tell_of_others(path: Path, device: Path, look: Callable[[Path], tuple[tuple[int, str], ...]] = holders) -> None:
    """Say who else has the port open that was just opened. Only root opens what another program holds exclusively, and
    only root sees everybody. Whoever plays the modem on a pseudo-terminal holds it too."""
    others = [(pid, name) for pid, name in look(device) if not plays_modem(pid, device)]
    if others:
        listed = ", ".join(f"{name} (process {pid})" for pid, name in others)
        events.PORT_SHARED.emit(port=str(path), others=listed, advice=advice([name for _, name in others]))


def _open_error(path: Path, device: Path, error: Exception) -> PortUnavailable:
    number = getattr(error, "errno", None)
    others = ", ".join(f"{name} (process {pid})" for pid, name in holders(device))
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return PortBusy(f"{path} is in use by {others or 'a program that cannot be seen from here'}")
    if number in (errno.EACCES, errno.EPERM):
        hint = "Add the agent's user to the group of the port (dialout)."
        if device.name.startswith("wwan"):
            hint = "Install hw/99-ipad-agent.rules: it gives this modem's AT ports to the group of the agent (dialout)."
        return PortUnavailable(f"no permission for {path}", hint=hint)
    return PortUnavailable(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}")
