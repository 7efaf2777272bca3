"""What the kernel tells about serial ports and USB devices, read from sysfs below any folder.

Nothing here fails: what cannot be read, because it vanishes just now or looks like nothing known, is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipad_agent.printable import summary
from ipad_agent.records import dataclass

OPERATOR_LINK: Final = Path("dev/ipad-agent-modem")
"""The name that the udev rules in hw/ give the agent's port."""

_LINK_FOLDERS: Final = ("dev/serial/by-path", "dev/serial/by-id")  # a place is unique, an id need not be
_MAX_DEPTH: Final = 8
_USB_ID: Final = re.compile(r"[0-9a-f]{4}")
_WWAN_AT: Final = re.compile(r"(wwan[0-9]+)at([0-9]+)")
_ADAPTER_DRIVERS: Final = frozenset(
    ("ftdi_sio", "cp210x", "pl2303", "ch341-uart", "ch341", "ark3116", "f81232", "mct_u232", "mos7840", "xr_serial")
)
"""Drivers of USB adapters with a UART at their other end."""
WWAN: Final = "wwan"
"""The driver of an AT port of the kernel's wwan subsystem (PCIe modems)."""


@dataclass(frozen=True, slots=True)
class Tty:
    """One serial port. The USB facts are None for a port that is none of USB's.

    ``place`` is the device's place in the USB tree (``1-1.2``), the same for all ports of one modem; ``links`` are
    stable names, the best first.
    """

    path: Path
    links: tuple[Path, ...] = ()
    driver: str | None = None
    usb_id: str | None = None
    interface: int | None = None
    place: str = ""
    product: str | None = None

    @property
    def stable(self) -> Path:
        """The name to open it by."""
        return self.links[0] if self.links else self.path

    @property
    def described(self) -> str:
        """``ttyUSB2 (USB 2c7c:0125, interface 2)``, for people."""
        if self.is_wwan:
            return f"{self.path.name} (AT port of the PCIe modem {self.place})"
        if self.usb_id is None:
            return f"{self.path.name} ({self.driver or 'no USB'})"
        return f"{self.path.name} (USB {self.usb_id}, interface {self.interface})"

    @property
    def is_wwan(self) -> bool:
        """Whether the kernel itself says that this is an AT port, of a modem that is not on the USB."""
        return self.driver == WWAN and self.usb_id is None


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A device on the USB, with or without a driver."""

    place: str
    usb_id: str


def read_ttys(root: Path = Path("/")) -> tuple[Tty, ...]:
    """All serial ports behind which there is hardware, by name; then the AT ports of PCIe modems."""
    links = _links(root)
    ttys = tuple(_tty(folder, root, links) for folder in _entries(root / "sys/class/tty") if _is_real(folder))
    return ttys + tuple(_wwan_ports(root))


def read_usb_devices(root: Path = Path("/")) -> tuple[UsbDevice, ...]:
    """All devices on the USB."""
    found = ((folder.name, _usb_id(folder)) for folder in _entries(root / "sys/bus/usb/devices"))
    return tuple(UsbDevice(name, usb_id) for name, usb_id in found if usb_id is not None)


def is_uart(device: Path, root: Path = Path("/")) -> bool:
    """Whether this port has a speed: a UART of the machine, or one at the end of a USB adapter. A modem's own USB port
    has none. A pseudo-terminal stands for a UART, since nobody can tell what is behind it."""
    if device.parent == root / "dev/pts":
        return True
    folder = root / "sys/class/tty" / device.name
    if not _is_real(folder):
        return False
    tty = _tty(folder, root, {})
    return tty.usb_id is None or tty.driver in _ADAPTER_DRIVERS


def _tty(folder: Path, root: Path, links: dict[str, tuple[Path, ...]]) -> Tty:
    device = Path(os.path.realpath(folder / "device"))
    path = root / "dev" / folder.name
    driver = os.path.basename(os.path.realpath(device / "driver")) if (device / "driver").exists() else None
    interface: int | None = None
    for above in (device, *device.parents[:_MAX_DEPTH]):
        if interface is None:
            interface = _hex(_text(above / "bInterfaceNumber"))
        usb_id = _usb_id(above)
        if usb_id is not None:
            product = _text(above / "product")
            return Tty(path, links.get(folder.name, ()), driver, usb_id, interface, above.name, product)
    return Tty(path, links.get(folder.name, ()), driver)


def _wwan_ports(root: Path) -> Iterator[Tty]:
    """``wwan0at1`` is the second AT port of the modem wwan0 (Linux, Documentation/ABI/testing/sysfs-class-wwan). One
    that hangs on the USB has serial ports as well, and is found by them."""
    for folder in _entries(root / "sys/class/wwan"):
        name = _WWAN_AT.fullmatch(folder.name)
        if name is None or _text(folder / "type") not in ("AT", None):
            continue
        device = Path(os.path.realpath(folder))
        if any(_usb_id(above) is not None for above in (device, *device.parents[:_MAX_DEPTH])):
            continue
        yield Tty(root / "dev" / folder.name, driver=WWAN, interface=int(name[2]), place=name[1])


def _is_real(folder: Path) -> bool:
    """Not a console or pseudo-terminal, and not one of the UARTs that a PC could have (type 0)."""
    return (folder / "device").exists() and _text(folder / "type") != "0"


def _links(root: Path) -> dict[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    for folder in _LINK_FOLDERS:
        for link in _entries(root / folder):
            try:
                name = os.path.basename(os.readlink(link))
            except OSError:
                continue
            found[name] = (*found.get(name, ()), link)
    return found


def _entries(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder), key=lambda name: (len(name), name))  # ttyUSB10 after ttyUSB9
    except OSError:
        return
    for name in names:
        yield folder / name


def _usb_id(folder: Path) -> str | None:
    vendor, product = _text(folder / "idVendor"), _text(folder / "idProduct")
    if vendor is None or product is None or not (_USB_ID.fullmatch(vendor) and _USB_ID.fullmatch(product)):
        return None
    return f"{vendor}:{product}"


def _hex(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """The one line of an attribute, without what does not print."""
    try:
        with path.open("rb") as file:
            data = file.read(256)
    except OSError:
        return None
    return summary(data.decode("utf-8", "replace"), 256) or None
