"""The agent as the bus sees it: a status that a test changes, and a list of what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from ipad_agent.local.local_verbs import RecorderState, Refused
from ipad_agent.local.status_model import (
    Card,
    Condition,
    Configuration,
    ConfigurationValue,
    Eim,
    Guardian,
    Happening,
    HistoryEntry,
    Modem,
    Operation,
    Owed,
    Plan,
    PlanLine,
    Poll,
    Profile,
    Radio,
    Severity,
    Stage,
    State,
    Status,
    Switch,
    Time,
    Traffic,
    TrafficShare,
    Trouble,
    Verdict,
    Warning,
)

NOW_S = 1_800_000_000
ICCID = "8949000000000000111"
OTHER = "8949000000000000129"


def at(seconds: int) -> Time:
    """So many seconds from now; past ones are negative."""
    return Time(NOW_S + seconds, float(-seconds))


CALM = Status(
    Verdict(State.READY, Severity.GOOD, "Everything works.", "poll eim.example", at(3600)),
    taken_at_s=NOW_S,
    clock_set=True,
    uptime_s=86_400.0,
    version="0.1.0",
    card=Card("89049032000000000000000012345644", True, "IoT eUICC", True, free_memory_bytes=412_000),
    profiles=(Profile(ICCID, True, True, name="Operator A", changed_at=at(-60)), Profile(OTHER, True, False)),
    eims=(Eim("eim.example", host="eim.example", carrier="coaps", next_poll=at(3600)),),
    modem=Modem(port="/dev/ttyUSB2", model="EG25-G"),
    radio=Radio(registered=True, signal_dbm=-97, signal_kind="RSRP", power_saving="eDRX 20.48 s"),
)

FULL = replace(
    CALM,
    verdict=Verdict(State.SWITCHING, Severity.BUSY, "Trying a profile.", "roll back", at(60), "Wait."),
    eims=(Eim("eim.example", last_poll=Poll(at(-9), True, "one package", 1, 1, 2148, 1.9), last_success=at(-9)),),
    operation=Operation("download", at(-5), "eim.example", 3, 40, "segments"),
    switch=Switch(
        "proving", "eIM", ICCID, OTHER, "rollback", at(-30), at(60), (Stage("card", True), Stage("eim", None))
    ),
    guardian=Guardian(True, lost_for_s=12.5, acts_at=at(600)),
    held_by=(Condition("battery", "The battery is low."),),
    owed=(Owed("result", "eim.example", "result 31", at(-9), 31, at(60), 2, "no answer"),),
    traffic=Traffic(5000, 400, 2_000_000, (TrafficShare("coaps", "poll", 5000),)),
    warnings=(Warning("IPA-1005", "The clock is not set."),),
    trouble=Trouble("modem", "The port vanished.", "Look at the cable.", at(-3), at(5)),
)

PLAN = Plan(OTHER, True, (PlanLine("card", True, "It is there."), PlanLine("coverage", None, "Not known.")), ("Go.",))


class FakeService:
    """Implements ``ports.Service``. ``asked`` are the verbs in order, ``finished`` those that came to their
    end; ``refusal`` is raised by all of them, and all wait for ``gate``."""

    def __init__(self, status: Status = CALM) -> None:
        self.shown = status
        self.asked: list[tuple[object, ...]] = []
        self.finished: list[tuple[object, ...]] = []
        self.refusal: Refused | None = None
        self.archive = b"\x1f\x8b" + bytes(64)
        self.gate: asyncio.Event | None = None
        self.watchers: list[Callable[[], None]] = []
        self.listeners: list[Callable[[Happening], None]] = []
        self.done: tuple[HistoryEntry, ...] = (HistoryEntry("switch", "another profile", "eim", "done", at(-60)),)
        self.past: tuple[Happening, ...] = (Happening("IPA-1001", "info", "Started.", NOW_S, (("version", "0.1.0"),)),)

    def show(self, status: Status) -> None:
        self.shown = status
        for on_change in tuple(self.watchers):
            on_change()

    def say(self, event: Happening) -> None:
        for on_event in tuple(self.listeners):
            on_event(event)

    async def _verb(self, *asked: object) -> None:
        self.asked.append(asked)
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.finished.append(asked)

    def status(self) -> Status:
        return self.shown

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(on_change)
        return lambda: self.watchers.remove(on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        self.listeners.append(on_event)
        return lambda: self.listeners.remove(on_event)

    def recent(self, count: int) -> tuple[Happening, ...]:
        return self.past[-count:] if count else ()

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        return self.done[-count:] if count else ()

    async def poll(self, eim_id: str | None) -> None:
        await self._verb("poll", eim_id)

    async def plan(self, iccid: str) -> Plan:
        await self._verb("plan", iccid)
        return PLAN

    async def rollback(self) -> None:
        await self._verb("rollback")

    async def confirm(self) -> None:
        await self._verb("confirm")

    async def execute_fallback(self) -> None:
        await self._verb("execute_fallback")

    async def return_from_fallback(self) -> None:
        await self._verb("return_from_fallback")

    async def emergency(self, *, enable: bool) -> None:
        await self._verb("emergency", enable)

    async def memory_reset(self, *, what: tuple[str, ...]) -> None:
        await self._verb("memory_reset", what)

    async def provision(self, data: bytes) -> int:
        await self._verb("provision", data)
        return 1

    async def set_default_smdp(self, address: str) -> None:
        await self._verb("set_default_smdp", address)

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        await self._verb("configure_immediate_enabling", enable, smdp_oid, smdp_address)

    async def download(self, activation_code: str, *, confirmation_code: str | None, rules_accepted: bool) -> str:
        await self._verb("download", activation_code, confirmation_code, rules_accepted)
        return "89490200009000000011"

    async def activate_ipae(self) -> None:
        await self._verb("activate_ipae")

    async def owed(self) -> tuple[Owed, ...]:
        return self.shown.owed

    async def doctor(self) -> AsyncIterator[dict[str, object]]:
        yield {}

    async def bundle(self) -> bytes:
        await self._verb("bundle")
        return self.archive

    def configuration(self) -> Configuration:
        value = ConfigurationValue("poll.interval_s", "60.0", "file", 12)
        return Configuration("/etc/ipad-agent/config.toml", False, (value,))

    def metrics(self) -> str:
        return ""

    async def send_at(self, command: str, *, force: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        await self._verb("send_at", command, force, timeout_s)
        return ("+CSQ: 20,99",), "OK"

    async def record(self, *, seconds: float | None) -> str:
        await self._verb("record", seconds)
        return ""

    async def stop_recording(self) -> None:
        await self._verb("stop_recording")

    def recorder(self) -> RecorderState:
        return RecorderState(True, "/var/lib/ipad-agent/records", 4 << 20, 60.0, 12)
