"""An agent of a few lines, and a client of a few lines: what the tests of the socket stand on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from ipad_agent.local.local_verbs import RecorderState, Refused
from ipad_agent.local.status_model import (
    Configuration,
    ConfigurationValue,
    Happening,
    HistoryEntry,
    Owed,
    Plan,
    PlanLine,
    Status,
)
from ipad_agent.local.varlink.peer_credentials import Credentials, Right
from situations import HISTORY, SITUATIONS

ICCID: Final = "8943012345678904713"


class FakeService:
    """``local.local_verbs.Service`` that remembers what it was asked and can be told what to say."""

    def __init__(self) -> None:
        self.now: Status = SITUATIONS["ready"]
        self.looked = 0
        self.calls: list[tuple[Any, ...]] = []
        self.trouble: BaseException | None = None
        self.happened: list[Happening] = []
        self.items: list[dict[str, object]] = [
            {"layer": "modem", "ok": True, "sentence": "The modem answers.", "fix": None},
            {"layer": "card", "ok": False, "sentence": "No card.", "fix": "Insert one."},
        ]
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.finished: list[str] = []
        self.archive = b"\x1f\x8b archive"
        self.watchers: list[Callable[[], None]] = []
        self.listeners: list[Callable[[Happening], None]] = []

    # -- what a test does to it --------------------------------------------------------------------------------------

    def change(self, situation: str) -> None:
        self.now = SITUATIONS[situation]
        for watcher in list(self.watchers):
            watcher()

    def happen(self, number: int) -> None:
        happening = Happening("IPA-4010", "info", f"Event {number}.", 1_795_183_331, (("number", str(number)),))
        self.happened.append(happening)
        for listener in list(self.listeners):
            listener(happening)

    async def _did(self, *call: object) -> None:
        self.calls.append(call)
        await self.may_go_on.wait()
        if self.trouble is not None:
            raise self.trouble
        self.finished.append(str(call[0]))

    # -- the service -------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        self.looked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.now

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(on_change)
        return lambda: self.watchers.remove(on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        self.listeners.append(on_event)
        return lambda: self.listeners.remove(on_event)

    def recent(self, count: int) -> tuple[Happening, ...]:
        return tuple(self.happened[-count:]) if count else ()

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        return HISTORY[-count:] if count else ()

    async def poll(self, eim_id: str | None) -> None:
        await self._did("poll", eim_id)

    async def plan(self, iccid: str) -> Plan:
        await self._did("plan", iccid)
        return Plan(iccid, True, (PlanLine("card", True, "There."),), ("Enable it.",))

    async def rollback(self) -> None:
        await self._did("rollback")

    async def confirm(self) -> None:
        await self._did("confirm")

    async def execute_fallback(self) -> None:
        await self._did("execute_fallback")

    async def return_from_fallback(self) -> None:
        await self._did("return_from_fallback")

    async def emergency(self, *, enable: bool) -> None:
        await self._did("emergency", enable)

    async def memory_reset(self, *, what: tuple[str, ...]) -> None:
        await self._did("memory_reset", what)

    async def provision(self, data: bytes) -> int:
        await self._did("provision", data)
        return 1

    async def set_default_smdp(self, address: str) -> None:
        await self._did("set_default_smdp", address)

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        await self._did("configure_immediate_enabling", enable, smdp_oid, smdp_address)

    async def download(self, activation_code: str, *, confirmation_code: str | None, rules_accepted: bool) -> str:
        await self._did("download", activation_code, confirmation_code, rules_accepted)
        return "89490200009000000011"

    async def activate_ipae(self) -> None:
        await self._did("activate_ipae")

    async def owed(self) -> tuple[Owed, ...]:
        await self._did("owed")
        return self.now.owed

    async def doctor(self) -> AsyncIterator[dict[str, object]]:
        try:
            for item in self.items:
                await self._did("doctor", item["layer"])
                yield item
        finally:
            self.finished.append("doctor closed")

    async def bundle(self) -> bytes:
        await self._did("bundle")
        return self.archive

    def configuration(self) -> Configuration:
        value = ConfigurationValue("poll.interval_s", "60.0", "file", 12)
        return Configuration("/etc/ipad-agent/config.toml", False, (value,))

    def metrics(self) -> str:
        return "ipad_polls_total 3\n"

    async def send_at(self, command: str, *, force: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        await self._did("send_at", command, force, timeout_s)
        return ("+CSQ: 20,99",), "OK"

    async def record(self, *, seconds: float | None) -> str:
        await self._did("record", seconds)
        return "/run/ipad-agent/record.jsonl"

    async def stop_recording(self) -> None:
        await self._did("stop_recording")

    def recorder(self) -> RecorderState:
        return RecorderState(True, "/var/lib/ipad-agent/records", 4 << 20, 60.0, 12)


class FakeAuthority:
    """Decides by user number: 0 is trusted, 1000 may act, 1500 may examine, 2000 may look, all others nothing."""

    RIGHTS: Final = {1000: Right.CONTROL, 1500: Right.EXAMINE, 2000: Right.READ}

    def __init__(self) -> None:
        self.rights = dict(self.RIGHTS)

    def trusted(self, peer: Credentials) -> bool:
        return peer.uid == 0

    def right_of(self, peer: Credentials) -> Right:
        return self.rights.get(peer.uid, Right.NONE)

    def needed_for(self, right: Right) -> str:
        return f"the right {right.name}"


class Refusal(Exception):
    """An error reply."""

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class Client:
    """Speaks Varlink over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: Path) -> Client:
        return cls(*await asyncio.open_unix_connection(str(path), limit=1 << 24))

    def send(self, method: str, parameters: dict[str, Any] | None = None, **flags: bool) -> None:
        name = method if "." in method else f"io.github.ipadagent.{method}"
        message = {"method": name, "parameters": parameters or {}, **flags}
        self.writer.write(json.dumps(message).encode() + b"\0")

    async def receive(self) -> dict[str, Any]:
        """One reply as it is."""
        async with asyncio.timeout(60):
            found: dict[str, Any] = json.loads((await self.reader.readuntil(b"\0"))[:-1])
            return found

    async def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """The parameters of the one reply. Raises ``Refusal``."""
        self.send(method, parameters)
        answer = await self.receive()
        if "error" in answer:
            raise Refusal(answer["error"], answer["parameters"])
        result: dict[str, Any] = answer["parameters"]
        return result

    async def closed(self) -> bytes:
        """What still comes until the other side closes."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.transport.abort()


def refused(error: str, sentence: str, **facts: str | int | None) -> Refused:
    return Refused(error, sentence, **facts)
