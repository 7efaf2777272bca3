"""``modem.port = "auto"``: which serial port belongs to a known modem.

What sysfs says about the ports goes in, the AT ports of the one known modem come out; the second AT port first,
because the first belongs to whoever makes the data connection. Numbers of ports change whenever a modem restarts, so
the search is made again at every opening, and what is opened is a name that udev keeps stable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from ipad_agent.modem import events
from ipad_agent.modem.errors import ModemNotFound, PortUnavailable, SeveralModems
from ipad_agent.modem.module_profile import ModuleProfile
from ipad_agent.records import dataclass, replace

from .serial_port import SerialPortOpener, SerialSettings, SerialStream
from .usb_sysfs import OPERATOR_LINK, WWAN, Tty, UsbDevice, read_ttys, read_usb_devices

RESTART_S: Final = 120.0
"""A modem that restarts is back within this time; only then another one is taken for it."""
_SHOWN: Final = 8  # more ports than that make no readable sentence


@dataclass(frozen=True, slots=True)
class Candidate:
    """One modem: its AT ports, the preferred one first. ``place`` is where in the USB tree it is; ``complete`` tells
    whether the port that its profile prefers is among them. Where its profile knows no AT port (``probe``) it is all
    ports, to be asked one after the other."""

    place: str
    title: str
    ports: tuple[Tty, ...]
    complete: bool = True

    @property
    def port(self) -> Tty:
        return self.ports[0]

    @property
    def where(self) -> str:
        """``USB 1-1.2``, for people."""
        return "PCIe" if self.port.is_wwan else _shown(self.place)


def match(ttys: Iterable[Tty], profiles: Iterable[ModuleProfile]) -> tuple[Candidate, ...]:
    """The known modems among these ports, by their place: those on the USB, else those of which the kernel says that
    they are modems (wwan). A UART tells nothing."""
    ttys = tuple(ttys)
    known = [(profile.title, ports) for profile in profiles for ports in profile.usb_ports]
    devices: dict[tuple[str, str], dict[int, Tty]] = {}
    for tty in ttys:
        if tty.usb_id is not None and tty.interface is not None:
            devices.setdefault((tty.place, tty.usb_id), {})[tty.interface] = tty
    found: list[Candidate] = []
    for (place, usb_id), here in sorted(devices.items()):
        for title, ports in known:
            numbers = sorted(here) if ports.probe else ports.interfaces
            at_ports = tuple(here[number] for number in numbers if number in here)
            if usb_id in ports.ids and at_ports:
                complete = ports.probe or at_ports[0].interface == ports.interfaces[0]
                found.append(Candidate(place, at_ports[0].product or title, at_ports, complete))
                break  # files that share an id agree, or the more particular one is meant, which comes first
    return tuple(found) or _pcie_modems(ttys)


def _pcie_modems(ttys: Iterable[Tty]) -> tuple[Candidate, ...]:
    """The second AT port first, here too: a connection manager takes the first one, or none."""
    places: dict[str, list[Tty]] = {}
    for tty in ttys:
        if tty.is_wwan:
            places.setdefault(tty.place, []).append(tty)
    return tuple(
        Candidate(place, f"the PCIe modem {place}", tuple(sorted(ports, key=_second_first)))
        for place, ports in sorted(places.items())
    )


def _shown(place: str | None) -> str:
    return str(place) if str(place).startswith(WWAN) else f"USB {place}"


def _second_first(tty: Tty) -> tuple[bool, int]:
    return (tty.interface != 1, tty.interface or 0)


def choose(ttys: Sequence[Tty], profiles: Sequence[ModuleProfile], usb_devices: Sequence[UsbDevice] = ()) -> Candidate:
    """The one known modem. Raises ``ModemNotFound`` or ``SeveralModems``; both say what was seen and what to do."""
    found = match(ttys, profiles)
    if len(found) > 1:
        seen = "; ".join(f"{modem.port.stable} ({modem.title}, {modem.where})" for modem in found)
        raise SeveralModems(f"{len(found)} known modems: {seen}")
    if not found:
        raise ModemNotFound(_nothing(ttys, profiles, usb_devices))
    return found[0]


def _nothing(ttys: Sequence[Tty], profiles: Sequence[ModuleProfile], usb_devices: Sequence[UsbDevice]) -> str:
    ids = {usb_id for profile in profiles for ports in profile.usb_ports for usb_id in ports.ids}
    shown = ", ".join(tty.described for tty in ttys[:_SHOWN]) + (", …" if len(ttys) > _SHOWN else "")
    looked = f"no known modem among the serial ports ({shown})" if ttys else "no modem: there are no serial ports"
    bare = [device for device in usb_devices if device.usb_id in ids]
    if not bare:
        return looked
    names = ", ".join(f"{device.usb_id} at USB {device.place}" for device in bare)
    return f"{looked}; the modem {names} is there, but its AT port is not (is its driver loaded, such as option?)"


class DiscoveringOpener:
    """Opens the AT port of the one known modem, wherever it is by now.

    ``look`` tells the serial ports and USB devices there are, and is sysfs below ``root`` if nothing else is given.
    ``forced`` narrows the search to the ids of a profile, if it has any. A port that opens but stays silent is
    followed by the modem's other AT port, and that one, should it be in other hands, by the first again.

    While the modem restarts, nothing is taken in its stead: not its first AT port because the second is not there
    yet, not another modem for as long as a restart may take, and no modem at all once the udev link was seen.
    """

    def __init__(
        self,
        settings: SerialSettings,
        profiles: Sequence[ModuleProfile],
        *,
        forced: ModuleProfile | None = None,
        root: Path = Path("/"),
        look: Callable[[], tuple[Sequence[Tty], Sequence[UsbDevice]]] | None = None,
    ) -> None:
        self._settings = settings
        self._profiles = [forced] if forced is not None and forced.usb_ports else list(profiles)
        self._root = root
        self._look = look if look is not None else lambda: (read_ttys(root), read_usb_devices(root))
        self._silences = 0
        self._said: Path | None = None
        self._link_seen = False
        self._place: str | None = None
        self._away_since_s: float | None = None
        self._waited_for_port = False

    async def open(self) -> SerialStream:
        """Search and open; raises ``PortUnavailable``, of which ``ModemNotFound`` and ``SeveralModems`` are kinds."""
        path = self.find(asyncio.get_running_loop().time())
        opener = SerialPortOpener(replace(self._settings, path=path))
        try:
            return await opener.open()
        except PortUnavailable:
            self._silences = 0
            raise

    def note_silence(self) -> None:
        """See ``PortOpener``."""
        self._silences += 1

    def find(self, now_s: float) -> Path:
        """The port to open now. The link of the udev rule that comes with the agent is an order, not a hint."""
        link = self._root / OPERATOR_LINK
        self._link_seen = self._link_seen or link.exists()
        if self._link_seen:
            if not link.exists():
                raise ModemNotFound(f"{link} is gone")
            return link
        try:
            ttys, usb_devices = self._look()
            modem = choose(ttys, self._profiles, usb_devices)
        except ModemNotFound:
            self._note_away(now_s)
            raise
        self._wait_for_the_known_one(modem, now_s)
        self._wait_for_the_preferred_port(modem)
        port = modem.ports[self._silences % len(modem.ports)]
        if port.stable != self._said:
            self._said = port.stable
            where = "PCIe" if port.usb_id is None else f"USB {port.usb_id}"
            events.PORT_FOUND.emit(port=port.stable, title=modem.title, where=where, interface=port.interface)
        return port.stable

    def _note_away(self, now_s: float) -> float:
        """For how long the modem used so far has been away."""
        if self._away_since_s is None:
            self._away_since_s = now_s
        return now_s - self._away_since_s

    def _wait_for_the_known_one(self, modem: Candidate, now_s: float) -> None:
        if self._place not in (None, modem.place) and self._note_away(now_s) < RESTART_S:
            raise ModemNotFound(
                f"the modem at {_shown(self._place)} is away; {modem.title} at {modem.place} is another one"
            )
        self._place, self._away_since_s = modem.place, None

    def _wait_for_the_preferred_port(self, modem: Candidate) -> None:
        if modem.complete:
            self._waited_for_port = False
        elif not self._waited_for_port:
            self._waited_for_port = True
            raise ModemNotFound(f"{modem.title} has only {modem.port.described} so far; waiting for its other AT port")
