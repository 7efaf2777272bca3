"""ModemManager is asked to let go of the modem while the agent uses its port (``modem.inhibit_modem_manager``).

ModemManager closes all ports of an inhibited modem, and with them the data connection; it takes the modem up again when
the inhibition ends, which it also does when our connection to the bus ends, so that a crash leaves nothing behind.

The inhibition holds over a restart of the modem: nobody gets at the port between its coming back and our opening it. It
also outlasts the closing of the port for a while, because one piece of work often follows the other, and ModemManager
lets nobody inhibit a modem that it is just looking at.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ipad_agent.errors import ModemError
from ipad_agent.local.dbus.dbus_library import Link, load
from ipad_agent.local.dbus.errors import BusError, RemoteFailure
from ipad_agent.local.dbus.system_bus import system_bus
from ipad_agent.modem import events
from ipad_agent.modem.errors import PortBusy
from ipad_agent.modem.port.byte_stream import ByteStream, LineRate, PortOpener, line_rate_of

NAME: Final = "org.freedesktop.ModemManager1"
PATH: Final = "/org/freedesktop/ModemManager1"
MODEM: Final = f"{NAME}.Modem"
NOT_FOUND: Final = f"{NAME}.Error.Core.NotFound"
WRONG_STATE: Final = f"{NAME}.Error.Core.WrongState"
_DBUS: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

CALL_LIMIT_S: Final = 30.0
"""It disables the modem before it answers, which takes some commands."""
LINGER_S: Final = 20.0
"""So long after the port was closed the modem is given back."""
SETTLE_S: Final = 60.0
"""So long ModemManager may look at a new modem before it can be asked."""
_SETTLE_STEP_S: Final = 1.0
LET_GO_S: Final = 5.0
_LET_GO_STEP_S: Final = 0.25


class Inhibition:
    """Keeps ModemManager away from one modem at a time."""

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        make_link: Callable[[], Link] | None = None,
        linger_s: float = LINGER_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._root = root
        self._linger_s = linger_s
        self._settle_s = settle_s
        self._ending: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._make_link = make_link if make_link is not None else _link
        self._link: Link | None = None
        self._device: str | None = None
        self._port = Path()
        self._watching: asyncio.Task[None] | None = None

    async def begin(self, port: Path) -> None:
        """Ask ModemManager to let go of the modem of this port. Does nothing when it has none there, or is not
        running. Raises ``PortBusy`` while it looks at a new modem; any other refusal is said, and shows when the port
        is opened."""
        self._stop_ending()
        async with self._one_at_a_time:
            if self._link is not None and not self._link.is_lost:
                return
            await self._end()
            await self._begin(port)

    async def _begin(self, port: Path) -> None:
        self._port = port
        try:
            link = self._make_link()
            await link.open(system_bus())
        except BusError as error:
            events.MODEM_MANAGER_STAYS.emit(port=port, reason=error.message.rstrip("."))
            return
        try:
            device = await self._device_of(link, port)
            if device is None:
                link.close()
                return
            await self._inhibit(link, device)
        except (BusError, TimeoutError) as error:
            link.close()
            if not (isinstance(error, RemoteFailure) and error.name == NOT_FOUND):
                reason = error.message if isinstance(error, BusError) else "it does not answer"
                events.MODEM_MANAGER_STAYS.emit(port=port, reason=reason.rstrip("."))
            return
        except BaseException:
            link.close()
            raise
        self._link, self._device = link, device
        self._watching = asyncio.create_task(self._watch(link))
        events.MODEM_MANAGER_INHIBITED.emit(device=device, port=port)

    async def _inhibit(self, link: Link, device: str) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._settle_s
        while True:
            try:
                await link.call(NAME, PATH, NAME, "InhibitDevice", "sb", (device, True), deadline_s=CALL_LIMIT_S)
                return
            except RemoteFailure as error:
                if error.name != WRONG_STATE:
                    raise
                if loop.time() >= limit:
                    raise PortBusy(f"ModemManager is still looking at the modem at {device}") from None
            await asyncio.sleep(_SETTLE_STEP_S)

    def end_soon(self) -> None:
        """Let ModemManager have the modem again unless ``begin`` comes before."""
        self._stop_ending()
        self._ending = asyncio.create_task(self._end_after(self._linger_s))

    def _stop_ending(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._ending = None  # what has begun is not stopped any more
        await self.end()

    async def end(self) -> None:
        """Let ModemManager have the modem again."""
        async with self._one_at_a_time:
            await self._end()

    async def _end(self) -> None:
        link, device, self._link, self._device = self._link, self._device, None, None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if link is None or device is None or link.is_lost:
            return
        try:
            with contextlib.suppress(BusError, TimeoutError):  # closing the connection says the same
                await link.call(NAME, PATH, NAME, "InhibitDevice", "sb", (device, False), deadline_s=CALL_LIMIT_S)
        finally:
            link.close()
        events.MODEM_MANAGER_BACK.emit(device=device)

    async def _device_of(self, link: Link, port: Path) -> str | None:
        """What ModemManager calls the modem of this port; None when ModemManager is not running."""
        (running,) = await link.call(*_DBUS, "NameHasOwner", "s", (NAME,))
        if not running:  # a call to it would start it
            return None
        name = _kernel_name(port)
        (objects,) = await link.call(NAME, PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        return modem_with_port(objects, name) or physical_device(name, self._root)

    async def _watch(self, link: Link) -> None:
        try:
            await link.lost()
        except BusError as error:
            events.MODEM_MANAGER_STAYS.emit(port=self._port, reason=error.message.rstrip("."))


def _kernel_name(port: Path) -> str:
    return os.path.basename(os.path.realpath(port))


def modem_with_port(objects: Any, name: str) -> str | None:
    """Its ``Device``, from what GetManagedObjects answers: objects, interfaces, properties."""
    for interfaces in objects.values():
        modem = interfaces.get(MODEM, {})
        if any(port[0] == name for port in modem.get("Ports", ())):
            return str(modem["Device"]) if modem.get("Device") else None
    return None


def physical_device(name: str, root: Path = Path("/")) -> str | None:
    """The device in sysfs that ModemManager takes for the modem of a port before it knows more: the USB device, or
    what the port is part of. None for a port that is no hardware."""
    device = root / "sys/class/tty" / name / "device"
    if not device.exists():
        device = root / "sys/class/wwan" / name / "device"
    if not device.exists():
        return None
    found = Path(os.path.realpath(device))
    usb = next((above for above in (found, *found.parents) if (above / "idVendor").exists()), None)
    return "/" + os.path.relpath(usb or found, os.path.realpath(root))


class InhibitingOpener:
    """Opens a port with ModemManager kept away from its modem. ``where`` tells the port that will be opened."""

    def __init__(self, opener: PortOpener, where: Callable[[], Path], inhibition: Inhibition) -> None:
        self._opener = opener
        self._where = where
        self._inhibition = inhibition
        self._last: InhibitedStream | None = None

    async def open(self) -> ByteStream:
        """See ``PortOpener``."""
        await self._inhibition.begin(self._where())
        try:
            self._last = InhibitedStream(await self._open_when_let_go(), self._inhibition)
        except BaseException:
            if self._last is None or not self._last.lost:  # a modem that restarts comes back, and stays ours
                await self._inhibition.end()
            raise
        return self._last

    async def _open_when_let_go(self) -> ByteStream:
        loop = asyncio.get_running_loop()
        limit = loop.time() + LET_GO_S
        while True:
            try:
                return await self._opener.open()
            except PortBusy:
                if loop.time() >= limit:
                    raise
            await asyncio.sleep(_LET_GO_STEP_S)

    def note_silence(self) -> None:
        """See ``PortOpener``."""
        self._opener.note_silence()


class InhibitedStream:
    """An open port whose closing gives the modem back. One that was lost is coming back, and stays inhibited."""

    def __init__(self, stream: ByteStream, inhibition: Inhibition) -> None:
        self._stream = stream
        self._inhibition = inhibition
        self.lost = False

    @property
    def description(self) -> str:
        return self._stream.description

    @property
    def line_rate(self) -> LineRate | None:
        """See ``line_rate_of``."""
        return line_rate_of(self._stream)

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """See ``ByteStream``."""

        def lost(error: ModemError) -> None:
            self.lost = True
            on_lost(error)

        self._stream.start(on_data, lost)

    async def write(self, data: bytes) -> None:
        """See ``ByteStream``."""
        await self._stream.write(data)

    async def close(self) -> None:
        """See ``ByteStream``."""
        await self._stream.close()
        if not self.lost:
            self._inhibition.end_soon()


def _link() -> Link:
    """Raises ``NoBusLibrary``."""
    return Link(load(), deadline_s=10.0, on_call=lambda _: None)
