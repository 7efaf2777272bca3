"""A real ``dbus-daemon`` of one test, with the rules of a system bus and our policy file, and strangers' clients."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

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


class Listener:
    """A program of another user or of ours that reads once and is told of changes, over the other library's own client
    (dbus-next's), which matches signals as every program does. Its signals come as (path, member, body)."""

    def __init__(self, bus: PrivateBus, *, rules: tuple[str, ...] = ()) -> None:
        self._address = bus.address
        self._rules = rules or (f"type='signal',sender='{BUS_NAME}'",)
        self._bus: Any = None
        self.heard: list[tuple[str, str, list[Any]]] = []
        self._more = asyncio.Event()

    async def __aenter__(self) -> Listener:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def open(self) -> None:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._received)
        for rule in self._rules:
            await self.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", "s", rule)

    def close(self) -> None:
        """Now, and not when the garbage is collected."""
        descriptor = self._bus._fd
        self._bus.disconnect()
        asyncio.get_running_loop().remove_reader(descriptor)
        self._bus._stream.close()
        self._bus._sock.close()

    @property
    def name(self) -> str:
        found = self._bus.unique_name
        assert isinstance(found, str)
        return found

    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *body: object
    ) -> list[Any]:
        """The body of the answer. Raises ``AssertionError`` with the name of an error."""
        message = Message(destination, path, interface, member, signature=signature, body=list(body))
        async with asyncio.timeout(LIMIT_S):
            answer = await self._bus.call(message)
        assert answer is not None
        assert answer.message_type is MessageType.METHOD_RETURN, answer.error_name
        return list(answer.body)

    async def read(self) -> dict[str, Any]:
        """Everything, as a program reads it that keeps it up to date."""
        (found,) = await self.call(BUS_NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        assert isinstance(found, dict)
        return found

    async def signal(self, member: str) -> tuple[str, list[Any]]:
        """Path and body of the next signal of this name."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                while self.heard:
                    path, found, body = self.heard.pop(0)
                    if found == member:
                        return path, body
                self._more.clear()
                await self._more.wait()

    def _received(self, message: Any) -> None:
        if message.message_type is MessageType.SIGNAL and message.sender != _DBUS:
            self.heard.append((message.path, message.member, [_bare(item) for item in message.body]))
            self._more.set()


_DBUS = "org.freedesktop.DBus"


def _bare(value: Any) -> Any:
    if isinstance(value, Variant):
        return _bare(value.value)
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items()}
    return [_bare(item) for item in value] if isinstance(value, list) else value
