"""A real ``dbus-daemon`` of one test, with the rules of a system bus and our policy file, and strangers' clients."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipad_agent.local.dbus.dbus_interfaces import BUS_NAME, MANAGER, ROOT

POLICY = Path(__file__).parents[3] / "systemd" / f"{BUS_NAME}.conf"
NOBODY = 65_534
ROOT_RUNS_THIS = os.geteuid() == 0
LIMIT_S = 60.0

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
  {extra}
</busconfig>
"""


def program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is needed: tools/system-packages.sh installs it"
    return found


class PrivateBus:
    """``policy`` None: ours is not installed. Everybody on the machine may connect, as on a system bus."""

    def __init__(self, *, policy: Path | None = POLICY) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bus-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "socket"
        self.address = f"unix:path={self.socket}"
        # The policy file lets root and the agent's user own the name; a test may run as anybody.
        mine = "" if ROOT_RUNS_THIS or policy is None else f'<allow own="{BUS_NAME}"/>'
        polkit = '<allow own="org.freedesktop.PolicyKit1"/><allow send_destination="org.freedesktop.PolicyKit1"/>'
        extra = f'<policy user="{os.geteuid()}">{mine}{polkit}</policy>'
        shown = self.folder / "policy.conf"
        shown.write_text("<busconfig/>" if policy is None else policy.read_text())
        self.config = self.folder / "bus.conf"
        self.config.write_text(_CONFIG.format(address=self.address, policy=shown, extra=extra))
        self._daemon: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._daemon = await asyncio.create_subprocess_exec(
            program("dbus-daemon"),
            f"--config-file={self.config}",
            "--nofork",
            "--print-address",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._daemon.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            assert (await self._daemon.stdout.readline()).startswith(b"unix:")

    async def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            await self._daemon.wait()
            self._daemon = None
        self.socket.unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        """Stop or go on: a bus that hangs."""
        assert self._daemon is not None
        self._daemon.send_signal(number)

    async def remove(self) -> None:
        await self.stop()
        shutil.rmtree(self.folder)

    async def run(self, *command: str, nobody: bool = False) -> tuple[int, str, str]:
        """A client's exit status, output and errors; ``nobody``: as a user without any right, if we can be one."""
        other = [program("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        process = await asyncio.create_subprocess_exec(
            *(other if nobody and ROOT_RUNS_THIS else ()),
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""},
        )
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def busctl(self, *arguments: str, nobody: bool = False) -> str:
        status, out, err = await self.run(program("busctl"), f"--address={self.address}", *arguments, nobody=nobody)
        assert status == 0, err
        return out

    async def property(self, name: str, path: str = ROOT, interface: str = MANAGER.name) -> Any:
        out = await self.busctl("--json=short", "get-property", BUS_NAME, path, interface, name)
        return json.loads(out)["data"]

    async def ask(self, method: str, *arguments: str, nobody: bool = False) -> tuple[int, str]:
        """Call a method of the Manager with GLib's client; exit status and what it prints."""
        place = ("--address", self.address, "--dest", BUS_NAME, "--object-path", ROOT)
        full = method if "." in method else f"{MANAGER.name}.{method}"
        command = (program("gdbus"), "call", *place, "--timeout", "15", "--method", full, *arguments)
        status, out, err = await self.run(*command, nobody=nobody)
        return status, out + err


class Monitor:
    """GLib's monitor on our name; its lines as they come. ``ping`` makes the service send a signal that holds MARK."""

    MARK = "are you there?"

    def __init__(self, bus: PrivateBus, ping: Callable[[], None]) -> None:
        self._bus = bus
        self._ping = ping
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Monitor:
        self._process = await asyncio.create_subprocess_exec(
            program("gdbus"),
            "monitor",
            "--address",
            self._bus.address,
            "--dest",
            BUS_NAME,
            stdout=asyncio.subprocess.PIPE,
        )
        await self.line(lambda line: "is owned by" in line)
        async with asyncio.timeout(LIMIT_S):
            while True:  # it says so a moment before it listens
                self._ping()
                try:
                    await self.line(lambda line: self.MARK in line, limit_s=0.1)
                    return self
                except TimeoutError:
                    continue

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def line(self, wanted: Callable[[str], bool], limit_s: float = LIMIT_S) -> str:
        """The next line that is wanted. Raises ``TimeoutError``."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(limit_s):
            while True:
                line = (await self._process.stdout.readline()).decode()
                assert line, "the monitor ended"
                if wanted(line):
                    return line
