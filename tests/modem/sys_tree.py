"""A sysfs and a /dev in a folder, with the links as the kernel and udev make them."""

from __future__ import annotations

import os
from pathlib import Path


class SysTree:
    """``root`` is what discovery takes for ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("sys/class/tty", "sys/bus/usb/devices", "sys/bus/usb-serial/drivers/option1", "dev"):
            (root / folder).mkdir(parents=True)

    def usb_device(self, place: str, usb_id: str, product: str | None = None) -> Path:
        """A device on the USB without ports; returns its folder."""
        folder = self.root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / place
        folder.mkdir(parents=True)
        vendor, _, number = usb_id.partition(":")
        self._attribute(folder / "idVendor", vendor)
        self._attribute(folder / "idProduct", number)
        if product is not None:
            self._attribute(folder / "product", product)
        self._link(self.root / "sys/bus/usb/devices" / place, folder)
        return folder

    def port(self, place: str, interface: int, name: str, *, target: str | None = None, links: bool = True) -> None:
        """A port of a USB modem, as option(4) makes it; ``target`` is a real terminal behind the name."""
        device = self.root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / place
        at = device / f"{place}:1.{interface}"
        (at / name / "tty" / name).mkdir(parents=True)
        self._attribute(at / "bInterfaceNumber", f"{interface:02x}")
        self._link(at / name / "driver", self.root / "sys/bus/usb-serial/drivers/option1")
        self._link(at / name / "tty" / name / "device", at / name)
        self._link(self.root / "sys/class/tty" / name, at / name / "tty" / name)
        self._node(name, target)
        if links:
            self.link(f"by-path/pci-0000:00:14.0-usb-0:{place.partition('-')[2]}:1.{interface}-port0", name)
            by_id = f"by-id/usb-Modem-if{interface:02d}-port0"
            (self.root / "dev/serial" / by_id).unlink(missing_ok=True)  # two modems of a kind: the later one wins
            self.link(by_id, name)

    def acm_port(self, place: str, interface: int, name: str) -> None:
        """A port as cdc_acm makes it: ``device`` is the interface itself."""
        device = self.root / "sys/devices/pci0000:00/0000:00:14.0/usb1" / place
        at = device / f"{place}:1.{interface}"
        (at / "tty" / name).mkdir(parents=True)
        self._attribute(at / "bInterfaceNumber", f"{interface:02x}")
        self._link(at / "tty" / name / "device", at)
        self._link(self.root / "sys/class/tty" / name, at / "tty" / name)
        self._node(name, None)

    def uart(self, name: str, *, kind: str = "4") -> None:
        """A UART of the board; ``kind`` "0" is one that a PC could have and has not."""
        folder = self.root / "sys/devices/platform/serial8250/tty" / name
        folder.mkdir(parents=True)
        self._attribute(folder / "type", kind)
        self._link(folder / "device", folder.parents[1])
        self._link(self.root / "sys/class/tty" / name, folder)
        self._node(name, None)

    def wwan_port(self, name: str, kind: str = "AT", *, below: str = "pci0000:00/0000:01:00.0/mhi0/wwan") -> None:
        """A port of the kernel's wwan subsystem."""
        folder = self.root / "sys/devices" / below / name.partition("at")[0].partition("qmi")[0] / name
        folder.mkdir(parents=True)
        self._attribute(folder / "type", kind)
        self._link(self.root / "sys/class/wwan" / name, folder)
        self._node(name, None)

    def console(self, name: str) -> None:
        """A terminal without hardware."""
        (self.root / "sys/class/tty" / name).mkdir()

    def link(self, below: str, name: str) -> None:
        self._link(self.root / "dev/serial" / below, self.root / "dev" / name)

    def operator_link(self, name: str) -> Path:
        link = self.root / "dev/ipad-agent-modem"
        self._link(link, self.root / "dev" / name)
        return link

    def unplug(self, name: str) -> None:
        """The port goes, and udev's links with it."""
        (self.root / "sys/class/tty" / name).unlink()
        (self.root / "dev" / name).unlink()
        for folder in ("by-path", "by-id"):
            for link in (self.root / "dev/serial" / folder).glob("*"):
                if os.path.basename(os.readlink(link)) == name:
                    link.unlink()

    def _node(self, name: str, target: str | None) -> None:
        if target is None:
            (self.root / "dev" / name).touch()
        else:
            (self.root / "dev" / name).symlink_to(target)

    @staticmethod
    def _attribute(path: Path, value: str) -> None:
        path.write_text(value + "\n")

    @staticmethod
    def _link(link: Path, target: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))
