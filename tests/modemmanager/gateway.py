"""A gateway with a modem on the USB, as ModemManager, NetworkManager and udev see one: a /dev, a sysfs and a system bus
of its own in namespaces, and behind its two AT ports two modems of the lab.

Runs inside ``unshare --mount --net --pid --fork --mount-proc``; the machine outside is not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "hw" / "99-ipad-agent.rules"
DEVICE: Final = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1"
IPAD = (sys.executable, "-m", "ipad_agent")
LIMIT_S: Final = 60.0

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
    <allow receive_type="signal"/><allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
  <includedir>/etc/dbus-1/system.d</includedir>
  {extra}
</busconfig>
"""


def wait_for(look: Callable[[], Any], what: str, *, limit_s: float = LIMIT_S) -> Any:
    """Until ``look`` finds something; it is about other processes, which tell no event."""
    limit = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= limit:
            raise AssertionError(f"{what} did not happen within {limit_s:g} s")
        time.sleep(0.1)


class Gateway:
    """``start`` makes the machine; ``modem_manager`` and the others run programs on it. ``folder`` is covered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "bus"
        self.environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.socket}",
            "SYSTEMD_DEVICE_VERIFY_SYSFS": "0",  # systemd's own switch for tests with a sysfs that is none
        }
        self.labs: dict[str, dict[str, Any]] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Two modems, then /dev and /sys around them, then the bus with polkit."""
        assert os.getpid() == 1, "run by `make test-modemmanager`: this needs namespaces of its own"
        self._mount_tmpfs(self.folder)  # it goes with the namespace, and with it all that is mounted in it
        self.run("ip", "link", "set", "lo", "up")
        for name in ("ttyUSB2", "ttyUSB3"):
            lab = self.folder / name
            self.spawn(*IPAD, "lab", "up", "--personality", "eg25", "--dir", str(lab), "--json", log=f"{name}.json")
            self.labs[name] = wait_for(partial(self._printed, f"{name}.json"), "the lab")
        self._make_dev()
        self._make_sysfs()
        (self.folder / "bus.conf").write_text(_BUS.format(socket=self.socket, extra=self._policies()))
        self.spawn("dbus-daemon", f"--config-file={self.folder / 'bus.conf'}", "--nofork", "--nopidfile", log="bus.log")
        wait_for(self.socket.exists, "the bus")
        rules = Path("/etc/polkit-1/rules.d")
        self._mount_tmpfs(rules)
        self.polkit_rules = rules / "50-ipad-agent-modemmanager.rules"
        self.spawn("/usr/lib/polkit-1/polkitd", "--no-debug", log="polkit.log")
        wait_for(lambda: self.owned("org.freedesktop.PolicyKit1"), "polkit")

    def stop(self) -> None:
        for process in reversed(self._running):
            self.end(process)

    # -- programs ------------------------------------------------------------------------------------------------------
    def spawn(self, *command: str, log: str, user: str | None = None) -> subprocess.Popen[bytes]:
        """Start a program whose output goes into ``log``."""
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(
                self._as(user, command), stdout=file, stderr=subprocess.STDOUT, env=self.environment
            )
        self._running.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()

    def run(
        self, *command: str, user: str | None = None, more: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._as(user, command),
            capture_output=True,
            text=True,
            env=self.environment | (more or {}),
            timeout=LIMIT_S * 2,
            check=False,
        )

    def text(self, *command: str) -> str:
        found = self.run(*command)
        assert found.returncode == 0, found.stderr + found.stdout
        return found.stdout

    def log(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    @contextlib.contextmanager
    def modem_manager(self) -> Iterator[None]:
        """ModemManager as Debian has it; it looks at the ports that udev knows."""
        process = self.spawn("ModemManager", "--log-level=DEBUG", "--test-no-suspend-resume", log="mm.log")
        self.manager_pid = process.pid
        try:
            wait_for(lambda: self.owned("org.freedesktop.ModemManager1"), "ModemManager")
            yield
        finally:
            self.end(process)

    def modem(self) -> dict[str, Any] | None:
        """What ModemManager shows of its modem, None while it has none."""
        found = self.run("mmcli", "-m", "any", "--output-json")
        return None if found.returncode else dict(json.loads(found.stdout)["modem"])

    def settled_modem(self) -> dict[str, Any]:
        return dict(wait_for(self.modem, "a modem of ModemManager"))

    def holders(self, port: str) -> list[str]:
        """The programs that have this port open, without the lab behind it."""
        from ipad_agent.modem.port.port_lock import holders, plays_modem

        device = Path("/dev") / port
        return [name for pid, name in holders(device) if not plays_modem(pid, device)]

    def agent_config(self, port: str, *, more: str = "") -> Path:
        """A configuration for an agent on this port, with the eIM of the lab behind it; ``more`` goes into [modem]."""
        text = Path(self.labs[port]["config"]).read_text()
        lab_port = f'port = "{self.labs[port]["modem"]}"'
        assert lab_port in text
        path = self.folder / f"agent-{port}.toml"
        path.write_text(text.replace(lab_port, f'port = "/dev/{port}"\n{more}'))
        return path

    @contextlib.contextmanager
    def network_manager(self) -> Iterator[None]:
        """NetworkManager as Debian has it, with nothing of this machine's settings."""
        for place in ("/etc/NetworkManager", "/var/lib/NetworkManager", "/run/NetworkManager"):
            self._mount_tmpfs(Path(place))
        Path("/etc/NetworkManager/NetworkManager.conf").write_text("[main]\nplugins=keyfile\nno-auto-default=*\n")
        process = self.spawn("NetworkManager", "--no-daemon", "--log-level=DEBUG", log="nm.log")
        try:
            wait_for(lambda: self.run("nmcli", "general").returncode == 0, "NetworkManager")
            yield
        finally:
            self.end(process)

    def owned(self, name: str) -> bool:
        return "true" in self.run("busctl", *self._bus(), "call", *_NAME_HAS_OWNER, name).stdout

    def heard(self, port: str) -> list[str]:
        """The commands that the modem behind this port got, the last ones. ModemManager writes byte by byte."""
        rows = json.loads(self.text(*IPAD, "lab", "modem", "trace", "4000", "--json", "--dir", str(self.folder / port)))
        sent = "".join(text for _, way, text in rows if way == ">")
        return [line.strip() for line in sent.split("\r") if line.strip()]

    def reload_bus(self) -> None:
        place = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig")
        self.text("busctl", *self._bus(), "call", *place)

    def _bus(self) -> tuple[str, ...]:
        return (f"--address=unix:path={self.socket}",)

    @staticmethod
    def _as(user: str | None, command: tuple[str, ...]) -> tuple[str, ...]:
        if user is None:
            return command
        number = pwd.getpwnam(user)
        return ("setpriv", f"--reuid={number.pw_uid}", f"--regid={number.pw_gid}", "--clear-groups", *command)

    def _printed(self, log: str) -> dict[str, Any] | None:
        """The one line of JSON among what it said."""
        for line in self.log(log).splitlines():
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    return dict(json.loads(line))
        return None

    # -- the machine ---------------------------------------------------------------------------------------------------
    def udev(self, *, with_rules: bool) -> dict[str, dict[str, str]]:
        """Let the real udev judge both ports, with or without our rules; its database is what ModemManager reads."""
        rules = Path("/run/udev/rules.d/99-ipad-agent.rules")
        rules.unlink(missing_ok=True)
        if with_rules:
            shutil.copy(RULES, rules)
        found = {}
        for interface, name in ((2, "ttyUSB2"), (3, "ttyUSB3")):
            out = self.text("udevadm", "test", "--action=add", f"{DEVICE}/1-1:1.{interface}/{name}/tty/{name}")
            pairs = (line.partition("=") for line in out.splitlines())
            found[name] = {key: value for key, equals, value in pairs if equals}
        return found

    def _policies(self) -> str:
        """Our policy for the user ``nobody``, who plays the agent's user, which this machine may not have."""
        self.policy = self.folder / "policy.conf"
        self.policy.write_text("<busconfig/>")
        return f"<include>{self.policy}</include>"

    def _mount_tmpfs(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.text("mount", "-t", "tmpfs", "tmpfs", str(place))

    def _make_dev(self) -> None:
        dev = self.folder / "dev"
        self._mount_tmpfs(dev)
        for name in ("null", "zero", "full", "random", "urandom", "tty"):
            (dev / name).touch()
            self.text("mount", "--bind", f"/dev/{name}", str(dev / name))
        for name, lab in self.labs.items():
            (dev / name).touch()
            self.text("mount", "--bind", os.path.realpath(lab["modem"]), str(dev / name))
        (dev / "pts").mkdir()
        (dev / "shm").mkdir()
        self.text("mount", "--rbind", "/dev/pts", str(dev / "pts"))
        (dev / "ptmx").symlink_to("pts/ptmx")
        (dev / "fd").symlink_to("/proc/self/fd")
        self.text("mount", "--rbind", str(dev), "/dev")

    def _make_sysfs(self) -> None:
        """An EG25-G with the ports of its interfaces 2 and 3, as option(4) shows them."""
        root = self.folder / "sys"
        self._mount_tmpfs(root)
        device = root / DEVICE.removeprefix("/sys/")
        for folder in ("class/tty", "bus/usb/devices", "bus/usb/drivers/usb", "bus/usb/drivers/option"):
            (root / folder).mkdir(parents=True)
        (root / "bus/usb-serial/drivers/option1").mkdir(parents=True)
        device.mkdir(parents=True)
        facts = {"idVendor": "2c7c", "idProduct": "0125", "bcdDevice": "0318", "bDeviceClass": "00"}
        for name, value in {**facts, "manufacturer": "Quectel", "product": "EG25-G"}.items():
            (device / name).write_text(value + "\n")
        (device / "uevent").write_text("DEVTYPE=usb_device\nDRIVER=usb\nPRODUCT=2c7c/125/318\n")
        _link(device / "subsystem", root / "bus/usb")
        _link(device / "driver", root / "bus/usb/drivers/usb")
        _link(root / "bus/usb/devices/1-1", device)
        for number, name in ((2, "ttyUSB2"), (3, "ttyUSB3")):
            interface = device / f"1-1:1.{number}"
            port, shown = interface / name, interface / name / "tty" / name
            shown.mkdir(parents=True)
            for key, value in {"Number": f"{number:02x}", "Class": "ff", "SubClass": "00", "Protocol": "00"}.items():
                (interface / f"bInterface{key}").write_text(value + "\n")
            (interface / "uevent").write_text("DEVTYPE=usb_interface\nDRIVER=option\n")
            (port / "uevent").write_text("DRIVER=option1\n")
            node = os.stat(f"/dev/{name}").st_rdev
            (shown / "dev").write_text(f"{os.major(node)}:{os.minor(node)}\n")
            (shown / "uevent").write_text(f"MAJOR={os.major(node)}\nMINOR={os.minor(node)}\nDEVNAME={name}\n")
            _link(interface / "subsystem", root / "bus/usb")
            _link(interface / "driver", root / "bus/usb/drivers/option")
            _link(port / "subsystem", root / "bus/usb-serial")
            _link(port / "driver", root / "bus/usb-serial/drivers/option1")
            _link(shown / "device", port)
            _link(shown / "subsystem", root / "class/tty")
            _link(root / "class/tty" / name, shown)
        self.text("mount", "--rbind", str(root), "/sys")
        self._mount_tmpfs(Path("/run/udev"))
        Path("/run/udev/rules.d").mkdir()
        Path("/run/udev/control").touch()  # what tells that a udev is there


_NAME_HAS_OWNER: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s")


def _link(link: Path, target: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))
