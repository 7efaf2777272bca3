"""The service on a real bus, seen by clients that nobody here wrote, over both D-Bus libraries.

Long: all share one bus, whose start is the dear part.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ipad_agent import events
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.local import rate_limits
from ipad_agent.local.dbus import Bus, signal_readers
from ipad_agent.local.dbus import events as said
from ipad_agent.local.dbus.bus_connection import CALLS_AT_ONCE_PER_CALLER, CALLS_AT_ONCE_PER_USER, EVENT_BACKLOG, Pace
from ipad_agent.local.dbus.dbus_interfaces import BUS_NAME, EUICC, MANAGER, PROFILE, ROOT
from ipad_agent.local.dbus.dbus_library import LIBRARIES, Link, load
from ipad_agent.local.dbus.dbus_messages import Answer, Call
from ipad_agent.local.dbus.dbus_service import Retry
from ipad_agent.local.dbus.errors import RemoteFailure
from ipad_agent.local.dbus.system_bus import usable
from ipad_agent.local.local_verbs import BUSY, Refused
from ipad_agent.local.status_model import Happening, Profile

from .fake_service import CALM, FULL, ICCID, NOW_S, OTHER, FakeService, at
from .private_bus import LIMIT_S, ROOT_RUNS_THIS, Listener, PrivateBus

SWIFT = Retry(0.02, 0.1)
PACE = Pace(deadline_s=5.0, gap_s=0.01)
ASLEEP = Pace(deadline_s=0.3, gap_s=0.0)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    name = request.param
    assert isinstance(name, str)
    return name


@pytest.fixture
async def bus() -> AsyncIterator[PrivateBus]:
    private = PrivateBus()
    await private.start()
    yield private
    await private.remove()


class Log:
    """What the agent says, and a way to wait for it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []
        self._more = asyncio.Event()

    def __call__(self, event: events.Event[...], facts: Any) -> None:
        self.said.append((event.id, dict(facts)))
        self._more.set()

    def count(self, event: events.Event[...]) -> int:
        return sum(id == event.id for id, _ in self.said)

    def facts(self, event: events.Event[...]) -> dict[str, object]:
        return next(facts for id, facts in self.said if id == event.id)

    async def until(self, event: events.Event[...], times: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.count(event) < times:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    stop = events.listen(log)
    yield log
    stop()


@asynccontextmanager
async def running(service: FakeService, private: PrivateBus, library: str, **options: Any) -> AsyncIterator[Bus]:
    """The service as the daemon runs it."""
    chosen: dict[str, Any] = {"pace": PACE, "retry": SWIFT, **options}
    face = Bus(service, addresses=private.address, libraries=(library,), **chosen)
    task = asyncio.create_task(face.run())
    try:
        yield face
        assert not task.done(), "the service never ends by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Stage:
    """Everything most of these tests need."""

    bus: PrivateBus
    service: FakeService
    log: Log
    library: str

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[Listener]:
        async with Listener(self.bus) as listener:
            await listener.read()
            yield listener


@pytest.fixture
async def stage(bus: PrivateBus, log: Log, library: str) -> AsyncIterator[Stage]:
    service = FakeService()
    async with running(service, bus, library):
        await log.until(said.ON_THE_BUS)
        yield Stage(bus, service, log, library)


NOBODY: dict[str, Any] = {} if ROOT_RUNS_THIS else {"trusted": frozenset({0})}
"""With this the client started as nobody has no right: as another user, or as ourselves where only root has one."""


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_busctl_shows_the_tree(stage: Stage) -> None:
    shown = (await stage.bus.busctl("tree", "--list", BUS_NAME)).split()
    assert set(shown) >= {
        ROOT,
        f"{ROOT}/eUICC/0",
        f"{ROOT}/Modem/0",
        f"{ROOT}/Profile/{ICCID}",
        f"{ROOT}/Profile/{OTHER}",
        f"{ROOT}/Eim/0",
    }


async def test_busctl_reads_properties_of_every_type(stage: Stage) -> None:
    stage.service.show(FULL)
    read = stage.bus.property
    assert await read("State") == "switching"
    assert await read("NextAt") == (NOW_S + 60) * 1_000_000
    assert await read("ClockSet") is True
    assert await read("HeldBy") == [["battery", "The battery is low."]]
    assert (await read("Operation"))["Total"] == {"type": "t", "data": 40}
    assert (await read("Switch"))["Stages"]["data"] == [["card", "yes", ""], ["eim", "unknown", ""]]
    assert (await read("Owed"))[0]["What"]["data"] == "result 31"
    assert await read("TrafficBy") == [["coaps", "poll", 5000]]
    assert await read("FreeMemory", f"{ROOT}/eUICC/0", EUICC.name) == 412_000
    assert await read("PolicyRules", f"{ROOT}/Profile/{ICCID}", PROFILE.name) == []


async def test_the_introspection_agrees_with_what_is_there(stage: Stage) -> None:
    for path in (ROOT, f"{ROOT}/eUICC/0", f"{ROOT}/Profile/{ICCID}", f"{ROOT}/Eim/0", f"{ROOT}/Modem/0"):
        xml = json.loads(
            await stage.bus.busctl(
                "--json=short", "call", BUS_NAME, path, "org.freedesktop.DBus.Introspectable", "Introspect"
            )
        )["data"][0]
        told = {
            (interface.get("name"), prop.get("name"), prop.get("type"))
            for interface in ET.fromstring(xml).iter("interface")
            for prop in interface.iter("property")
        }
        for interface in {interface for interface, _, _ in told}:
            assert interface is not None
            reply = await stage.bus.busctl(
                "--json=short", "call", BUS_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface
            )
            held = {(interface, name, value["type"]) for name, value in json.loads(reply)["data"][0].items()}
            assert held == {entry for entry in told if entry[0] == interface}


async def test_the_object_manager_tells_all_objects_below_it(stage: Stage) -> None:
    reply = await stage.bus.busctl(
        "--json=short", "call", BUS_NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
    )
    objects = json.loads(reply)["data"][0]
    assert len(objects) == 5
    assert objects[f"{ROOT}/Profile/{ICCID}"][PROFILE.name]["Enabled"] == {"type": "b", "data": True}
    assert ROOT not in objects


async def test_a_user_without_rights_learns_that_there_is_an_agent_and_nothing_else(
    bus: PrivateBus, log: Log, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "STRANGER_BURST", 1000)  # the clients' tools ask more than they are told to
    async with running(FakeService(), bus, library, **NOBODY):
        await log.until(said.ON_THE_BUS)
        shown = await bus.busctl("tree", "--list", BUS_NAME, nobody=True)
        assert shown.split()[-1] == ROOT, "no object that the status has"
        status, out = await bus.ask("org.freedesktop.DBus.Introspectable.Introspect", nobody=True)
        assert (status, "Rollback" in out, "<node name=" in out) == (0, True, False)
        for command in (
            ("GetStatus",),
            ("Recent", "10"),
            ("Subscribe",),
            ("org.freedesktop.DBus.Properties.Get", MANAGER.name, "Version"),
            ("org.freedesktop.DBus.Properties.GetAll", MANAGER.name),
            ("org.freedesktop.DBus.Properties.GetAll", ""),
            ("org.freedesktop.DBus.Properties.Set", MANAGER.name, "State", "<'held'>"),
            ("org.freedesktop.DBus.ObjectManager.GetManagedObjects",),
        ):
            status, out = await bus.ask(*command, nobody=True)
            assert status != 0
            assert "You may not look here; it takes group ipad-view or group ipad-admin or root." in out
            assert ("AccessDenied" in out) == ("." in command[0])
        assert log.count(said.DENIED) == 1


async def test_a_user_without_rights_cannot_find_out_which_profiles_there_are(
    bus: PrivateBus, log: Log, library: str
) -> None:
    async with running(FakeService(), bus, library, **NOBODY):
        await log.until(said.ON_THE_BUS)
        answers = []
        for iccid in (ICCID, "8949000000000000999"):
            for method in ("org.freedesktop.DBus.Introspectable.Introspect", "org.freedesktop.DBus.Properties.Get"):
                path = f"{ROOT}/Profile/{iccid}"
                gdbus = ("gdbus", "call", "--address", bus.address, "--dest", BUS_NAME, "--object-path", path)
                arguments = (PROFILE.name, "Iccid") if method.endswith("Get") else ()
                status, out, err = await bus.run(*gdbus, "--method", method, *arguments, nobody=True)
                assert status != 0
                answers.append((out + err).replace(iccid, "ICCID"))
        assert answers[:2] == answers[2:]


@pytest.mark.parametrize("group", ["ipad-view", "ipad-admin"])
async def test_members_of_both_groups_may_look_whatever_polkit_says(
    bus: PrivateBus, log: Log, library: str, group: str
) -> None:
    groups: Callable[[int], frozenset[str]] = lambda uid: frozenset({group})  # noqa: E731 - the seam's type
    async with with_polkit(bus, library) as polkit, running(FakeService(), bus, library, groups=groups, **NOBODY):
        polkit.answer = (False, False)
        await log.until(said.ON_THE_BUS)
        assert f"{ROOT}/eUICC/0" in await bus.busctl("tree", "--list", BUS_NAME, nobody=True)
        status, out = await bus.ask("GetStatus", nobody=True)
        assert (status, '"state": "ready"' in out) == (0, True)
        status, out = await bus.ask("Recent", "10", nobody=True)
        assert (status, "IPA-1001" in out) == (0, True)
    assert polkit.asked == []


async def test_the_group_of_the_configuration_counts_and_no_other(bus: PrivateBus, log: Log, library: str) -> None:
    groups: Callable[[int], frozenset[str]] = lambda uid: frozenset({"ipad-view"})  # noqa: E731 - the seam's type
    async with running(FakeService(), bus, library, groups=groups, read_group="others", **NOBODY):
        await log.until(said.ON_THE_BUS)
        status, out = await bus.ask("GetStatus", nobody=True)
        assert (status != 0, "it takes group others or group ipad-admin or root" in out) == (True, True)


async def test_a_user_database_that_hangs_makes_a_stranger_and_holds_up_nobody_else(
    bus: PrivateBus, log: Log, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr("ipad_agent.local.dbus.signal_readers.LOOKUP_S", 0.1)

    def hanging(_: int) -> frozenset[str]:
        over.wait(LIMIT_S)
        return frozenset({"ipad-view"})

    async with running(FakeService(), bus, library, groups=hanging, trusted=frozenset({0})):
        await log.until(said.ON_THE_BUS)
        status, out = await bus.ask("GetStatus", nobody=True)
        assert (status != 0, "NotAuthorized" in out) == (True, True)
        over.set()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((ROOT, "org.freedesktop.DBus.Properties.Get", MANAGER.name, "Colour"), "UnknownProperty"),
        ((ROOT, "org.freedesktop.DBus.Properties.Get", "a.b", "State"), "UnknownInterface"),
        ((f"{ROOT}/Profile/1", "org.freedesktop.DBus.Properties.GetAll", PROFILE.name), "UnknownObject"),
        ((ROOT, "org.freedesktop.DBus.Properties.Set", MANAGER.name, "State", "<'held'>"), "PropertyReadOnly"),
        ((ROOT, f"{MANAGER.name}.Explode"), "UnknownMethod"),
        ((f"{ROOT}/eUICC/0", f"{MANAGER.name}.Rollback"), "UnknownInterface"),
    ],
)
async def test_what_is_not_there_is_an_error_by_its_standard_name(
    stage: Stage, arguments: tuple[str, ...], error: str
) -> None:
    path, method, *rest = arguments
    gdbus = ("gdbus", "call", "--address", stage.bus.address, "--dest", BUS_NAME, "--object-path", path)
    status, _, err = await stage.bus.run(*gdbus, "--method", method, *rest)
    assert status != 0
    assert f"org.freedesktop.DBus.Error.{error}" in err


async def test_every_path_answers_a_ping(stage: Stage) -> None:
    peer = "org.freedesktop.DBus.Peer"
    for path in (ROOT, "/", "/nowhere"):
        await stage.bus.busctl("call", BUS_NAME, path, peer, "Ping")


async def test_wrong_types_are_refused_before_the_agent_sees_them(stage: Stage) -> None:
    status, _, err = await stage.bus.run(
        "busctl", f"--address={stage.bus.address}", "call", BUS_NAME, ROOT, MANAGER.name, "Emergency", "s", "yes"
    )
    assert (status != 0, "takes arguments of type 'b'" in err, stage.service.asked) == (True, True, [])


# -- asking ------------------------------------------------------------------------------------------------------------

VERBS: tuple[tuple[tuple[str, ...], tuple[object, ...]], ...] = (
    (("Poll", ""), ("poll", None)),
    (("Poll", "eim.example"), ("poll", "eim.example")),
    (("PlanSwitch", OTHER), ("plan", OTHER)),
    (("Rollback",), ("rollback",)),
    (("Confirm",), ("confirm",)),
    (("ExecuteFallback",), ("execute_fallback",)),
    (("ReturnFromFallback",), ("return_from_fallback",)),
    (("Emergency", "true"), ("emergency", True)),
    (("Emergency", "false"), ("emergency", False)),
    (("Bundle",), ("bundle",)),
)


async def test_every_verb_reaches_the_agent_and_is_put_on_record(stage: Stage) -> None:
    for command, asked in VERBS:
        status, out = await stage.bus.ask(*command)
        assert status == 0, out
        assert stage.service.asked[-1] == asked
    assert stage.log.count(said.ASKED) == len(VERBS)
    assert stage.log.facts(said.ASKED)["uid"] == os.geteuid()


async def test_no_verb_reaches_the_agent_from_a_user_without_rights(bus: PrivateBus, log: Log, library: str) -> None:
    service = FakeService()
    async with running(service, bus, library, **NOBODY):
        await log.until(said.ON_THE_BUS)
        for command, _ in VERBS:
            status, out = await bus.ask(*command, nobody=True)
            assert status != 0
            assert f"{BUS_NAME}.Error.NotAuthorized" in out
    assert service.asked == []
    assert log.count(said.DENIED) == 1, "whoever has no rights must not be able to fill the log either"
    assert log.count(said.ASKED) == 0


async def test_without_polkit_a_member_of_the_control_group_may_act(bus: PrivateBus, log: Log, library: str) -> None:
    service = FakeService()
    groups: Callable[[int], frozenset[str]] = lambda uid: frozenset({"ipad-admin"})  # noqa: E731 - the seam's type
    async with running(service, bus, library, groups=groups, **NOBODY):
        await log.until(said.ON_THE_BUS)
        assert (await bus.ask("Poll", "", nobody=True))[0] == 0
    assert service.asked == [("poll", None)]


async def test_what_the_agent_refuses_has_its_name_and_its_sentence(stage: Stage) -> None:
    stage.service.refusal = Refused(BUSY, "A download is going on.")
    status, out = await stage.bus.ask("Poll", "")
    assert status != 0
    assert f"{BUS_NAME}.Error.Busy: A download is going on." in out


async def test_the_plan_and_the_bundle_arrive_whole(stage: Stage) -> None:
    _, out = await stage.bus.ask("PlanSwitch", OTHER)
    plan = "[('card', 'yes', 'It is there.'), ('coverage', 'unknown', 'Not known.')], ['Go.']"
    assert out == f"('{OTHER}', true, {plan})\n"
    stage.service.archive = bytes(range(256)) * 4096
    reply = await stage.bus.busctl("--json=short", "call", BUS_NAME, ROOT, MANAGER.name, "Bundle")
    assert bytes(json.loads(reply)["data"][0]) == stage.service.archive


async def test_a_defect_behind_a_verb_is_answered_without_its_traceback(stage: Stage) -> None:
    stage.service.refusal = ZeroDivisionError("secret")  # type: ignore[assignment]  # a defect raises anything
    status, out = await stage.bus.ask("Poll", "")
    assert status != 0
    assert f"{BUS_NAME}.Error.Failed" in out
    assert "secret" not in out
    assert stage.log.count(said.DEFECT) == 1
    assert await stage.bus.property("State") == "ready"


async def test_a_defect_behind_a_property_is_answered_without_its_traceback(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("ipad_agent.local.dbus.dbus_properties.read", broken)
    status, out = await stage.bus.ask("org.freedesktop.DBus.Properties.Get", MANAGER.name, "State")
    assert status != 0
    assert f"{BUS_NAME}.Error.Failed" in out
    assert "secret" not in out


async def test_a_defect_in_what_is_told_ends_only_the_connection(stage: Stage) -> None:
    stage.service.show(replace(CALM, verdict=None))  # type: ignore[arg-type]  # no status that could be shown
    await stage.log.until(said.DEFECT)
    stage.service.show(CALM)
    await stage.log.until(said.ON_THE_BUS, 2)
    assert await stage.bus.property("State") == "ready"


async def test_a_caller_has_only_so_many_calls_at_once_and_reading_goes_on(stage: Stage) -> None:
    stage.service.gate = asyncio.Event()
    async with linked(stage.library, stage.bus) as link:
        calls = [
            asyncio.create_task(link.call(BUS_NAME, ROOT, MANAGER.name, "Poll", "s", ("",), deadline_s=LIMIT_S))
            for _ in range(CALLS_AT_ONCE_PER_CALLER + 1)
        ]
        done, _ = await asyncio.wait(calls, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        assert [str(task.exception()) for task in done] == [
            "org.freedesktop.DBus.Error.LimitsExceeded: Too many calls at once."
        ]
        assert await stage.bus.property("State") == "ready"
        stage.service.gate.set()
        await asyncio.gather(*(call for call in calls if call not in done))
    assert stage.service.asked == [("poll", None)] * CALLS_AT_ONCE_PER_CALLER


async def test_a_user_with_many_connections_has_only_so_many_calls_at_once(stage: Stage) -> None:
    stage.service.gate = asyncio.Event()
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(linked(stage.library, stage.bus)) for _ in range(3)]
        calls = [
            asyncio.create_task(link.call(BUS_NAME, ROOT, MANAGER.name, "Poll", "s", ("",), deadline_s=LIMIT_S))
            for link in links
            for _ in range(CALLS_AT_ONCE_PER_CALLER)
        ]
        refused = len(calls) - CALLS_AT_ONCE_PER_USER
        waiting = set(calls)
        while len(calls) - len(waiting) < refused:
            done, waiting = await asyncio.wait(waiting, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            assert done
        await stage.log.until(said.ASKED, CALLS_AT_ONCE_PER_USER)
        stage.service.gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, RemoteFailure) for answer in answers) == refused
    assert len(stage.service.asked) == CALLS_AT_ONCE_PER_USER


# -- polkit ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def linked(library: str, private: PrivateBus, **hooks: Any) -> AsyncIterator[Link]:
    hooks = {"on_call": lambda call: None} | hooks
    link = Link(load([library]), deadline_s=5.0, **hooks)
    await link.open(private.address)
    yield link
    link.close()


class Polkit:
    """Answers as told: (authorised, could be by a password), or not at all."""

    def __init__(self) -> None:
        self.answer: tuple[bool, bool] | None = (True, False)
        self.asked: list[tuple[object, ...]] = []
        self.link: Link | None = None

    def __call__(self, call: Call) -> None:
        self.asked.append((call.signature, *call.body))
        if self.answer is not None and self.link is not None:
            self.link.answer(call, Answer("(bba{ss})", ((*self.answer, {}),)))


@asynccontextmanager
async def with_polkit(stage: PrivateBus, library: str) -> AsyncIterator[Polkit]:
    polkit = Polkit()
    async with linked(library, stage, on_call=polkit) as polkit.link:
        bus = "org.freedesktop.DBus"
        name = ("org.freedesktop.PolicyKit1", 4)
        assert await polkit.link.call(bus, "/org/freedesktop/DBus", bus, "RequestName", "su", name) == (1,)
        yield polkit


async def test_polkit_says_yes_or_no_and_is_asked_about_the_right_action(
    bus: PrivateBus, log: Log, library: str
) -> None:
    service = FakeService()
    in_group: Callable[[int], frozenset[str]] = lambda uid: frozenset({"ipad-admin"})  # noqa: E731 - the seam's type
    async with with_polkit(bus, library) as polkit, running(service, bus, library, groups=in_group, **NOBODY):
        await log.until(said.ON_THE_BUS)
        assert (await bus.ask("Rollback", nobody=True))[0] == 0
        polkit.answer = (False, True)
        status, out = await bus.ask("Rollback", nobody=True)
        assert (status != 0, "Error.NotAuthorized" in out) == (True, True), "also for a member of the control group"
    assert service.asked == [("rollback",)]
    signature, subject, action, details, flags, ticket = polkit.asked[0]
    assert (signature, action, details, flags, ticket) == (
        "(sa{sv})sa{ss}us",
        f"{BUS_NAME}.rollback",
        {},
        0,
        "",
    )
    assert isinstance(subject, list)
    assert subject[0] == "system-bus-name"
    assert re.fullmatch(r":1\.[0-9]+", subject[1]["name"])


async def test_a_caller_who_may_be_asked_for_a_password_is(bus: PrivateBus, log: Log, library: str) -> None:
    service = FakeService()
    options = ("--allow-interactive-authorization=yes",)
    async with with_polkit(bus, library) as polkit, running(service, bus, library, **NOBODY):
        await log.until(said.ON_THE_BUS)
        await bus.busctl(*options, "call", BUS_NAME, ROOT, MANAGER.name, "Confirm", nobody=True)
    assert polkit.asked[0][4] == 1
    assert polkit.asked[0][5]
    assert service.asked == [("confirm",)]


async def test_root_and_the_agents_user_need_no_polkit(bus: PrivateBus, log: Log, library: str) -> None:
    service = FakeService()
    async with with_polkit(bus, library) as polkit, running(service, bus, library):
        await log.until(said.ON_THE_BUS)
        polkit.answer = (False, False)
        assert (await bus.ask("Rollback"))[0] == 0
    assert (service.asked, polkit.asked) == ([("rollback",)], [])


# -- telling -----------------------------------------------------------------------------------------------------------


async def test_a_change_is_told_with_only_what_changed(stage: Stage) -> None:
    async with stage.listener() as listener:
        stage.service.show(replace(CALM, verdict=replace(CALM.verdict, sentence="Polling.")))
        assert await listener.signal("PropertiesChanged") == (ROOT, [MANAGER.name, {"Verdict": "Polling."}, []])


async def test_profiles_come_and_go_as_objects(stage: Stage) -> None:
    new = f"{ROOT}/Profile/8949000000000000137"
    async with stage.listener() as listener:
        stage.service.show(replace(CALM, profiles=(*CALM.profiles, Profile("8949000000000000137", True, False))))
        path, (object, interfaces) = await listener.signal("InterfacesAdded")
        assert (path, object, interfaces[PROFILE.name]["Iccid"]) == (ROOT, new, "8949000000000000137")
        stage.service.show(CALM)
        assert await listener.signal("InterfacesRemoved") == (ROOT, [new, [PROFILE.name]])


async def test_an_event_is_a_signal_with_its_facts(stage: Stage) -> None:
    async with stage.listener() as listener:
        stage.service.say(Happening("IPA-4020", "info", "An order\0 came.", NOW_S, (("eim", "eim.example"),)))
        told = (ROOT, ["IPA-4020", "info", "An order\ufffd came.", {"eim": "eim.example"}])
        assert await listener.signal("Event") == told


async def test_a_moment_that_only_wanders_with_the_clock_is_no_change(stage: Stage) -> None:
    async with stage.listener() as listener:
        later = replace(CALM, taken_at_s=NOW_S + 1, verdict=replace(CALM.verdict, next_at=at(3601), advice="Wait."))
        stage.service.show(later)
        assert await listener.signal("PropertiesChanged") == (ROOT, [MANAGER.name, {"Advice": "Wait."}, []])
    assert await stage.bus.property("NextAt") == (NOW_S + 3600) * 1_000_000


async def test_who_has_not_read_hears_nothing_whatever_it_listens_for(stage: Stage) -> None:
    everything = ("type='signal'", "type='signal',eavesdrop='true'")
    async with Listener(stage.bus, rules=everything) as stranger, stage.listener() as listener:
        stage.service.show(FULL)
        stage.service.say(Happening("IPA-4020", "info", "An order came.", NOW_S))
        await listener.signal("Event")
        await stranger.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")
        assert stranger.heard == []


async def test_a_program_that_only_wants_events_subscribes_and_unsubscribes(stage: Stage) -> None:
    async with Listener(stage.bus) as listener:
        await listener.call(BUS_NAME, ROOT, MANAGER.name, "Subscribe")
        await listener.call(BUS_NAME, ROOT, MANAGER.name, "Subscribe")
        stage.service.say(Happening("IPA-4020", "info", "An order came.", NOW_S))
        assert (await listener.signal("Event"))[1][0] == "IPA-4020"
        assert not any(member == "Event" for _, member, _ in listener.heard), "told once"
        await listener.call(BUS_NAME, ROOT, MANAGER.name, "Unsubscribe")
        async with stage.listener() as other:
            stage.service.say(Happening("IPA-4021", "info", "It is done.", NOW_S))
            await other.signal("Event")
        await listener.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")
        assert listener.heard == []


_AND_PRINT = """
import asyncio

async def main():
    await follow(lambda id, level, text, facts: print(id, level, text, facts, flush=True))
    print("following", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_program_of_the_manual_hears_events(stage: Stage) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "dbus.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", manual, flags=re.DOTALL)
    follower = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program + _AND_PRINT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": stage.bus.address},
    )
    assert follower.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            assert await follower.stdout.readline() == b"following\n"
            stage.service.say(Happening("IPA-4020", "info", "An order came.", NOW_S, (("eim", "eim.example"),)))
            told = b"IPA-4020 info An order came. {'eim': 'eim.example'}\n"
            assert await follower.stdout.readline() == told
    finally:
        follower.kill()
        await follower.wait()


async def test_who_may_not_look_any_more_is_told_nothing_more(
    bus: PrivateBus, log: Log, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"ipad-view"}
    monkeypatch.setattr("ipad_agent.local.dbus.signal_readers.RIGHT_HOLDS_S", 0.0)
    service = FakeService()
    nobody_trusted: dict[str, Any] = {"trusted": frozenset(), "groups": lambda uid: frozenset(mine)}
    async with running(service, bus, library, **nobody_trusted), Listener(bus) as listener:
        await log.until(said.ON_THE_BUS)
        await listener.read()
        service.say(Happening("IPA-4020", "info", "An order came.", NOW_S))
        await listener.signal("Event")
        mine.clear()
        service.say(Happening("IPA-4021", "info", "It is done.", NOW_S))
        mine_again = asyncio.get_running_loop().time() + 0.3
        while asyncio.get_running_loop().time() < mine_again:
            await listener.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")
        assert listener.heard == []


async def test_a_listener_that_ended_is_forgotten(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[signal_readers.Readers] = []
    real = signal_readers.Readers.listen

    async def noting(self: signal_readers.Readers, reader: signal_readers.Reader) -> bool:
        made.append(self)
        return await real(self, reader)

    monkeypatch.setattr(signal_readers.Readers, "listen", noting)
    async with stage.listener():
        assert len(made[0]._listening) == 1
    async with asyncio.timeout(LIMIT_S):
        while made[0]._listening:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_only_so_many_listen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_readers, "LISTENERS_PER_USER", 1)
    async with stage.listener(), Listener(stage.bus) as second:
        with pytest.raises(AssertionError, match="LimitsExceeded"):
            await second.call(BUS_NAME, ROOT, MANAGER.name, "Subscribe")
        assert len(await second.read()) == 5, "reading goes on"


# -- calling very often ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body"),
    [
        ("/any", "org.freedesktop.DBus.Peer", "Ping", "", ()),
        (ROOT, "org.freedesktop.DBus.Introspectable", "Introspect", "", ()),
        ("/nowhere", "org.freedesktop.DBus.Introspectable", "Introspect", "", ()),
        (ROOT, MANAGER.name, "NoSuch", "", ()),
        (ROOT, "org.freedesktop.DBus.Properties", "GetAll", "s", (MANAGER.name,)),
        (ROOT, MANAGER.name, "GetStatus", "", ()),
        (ROOT, MANAGER.name, "Rollback", "", ()),
    ],
)
async def test_whatever_is_called_is_counted_and_what_is_too_much_is_refused_and_then_not_answered(
    bus: PrivateBus,
    log: Log,
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    interface: str,
    member: str,
    signature: str,
    body: tuple[object, ...],
) -> None:
    for name in ("STRANGER_BURST", "CALL_BURST"):
        monkeypatch.setattr(rate_limits, name, 3)
    for name in ("STRANGER_CALLS_PER_S", "CALLS_PER_S"):
        monkeypatch.setattr(rate_limits, name, 0.0001)
    monkeypatch.setattr("ipad_agent.local.dbus.bus_connection.REFUSALS_BURST", 2)
    monkeypatch.setattr("ipad_agent.local.dbus.bus_connection.REFUSALS_PER_S", 0.0001)
    nobody_trusted: dict[str, Any] = {"trusted": frozenset()}
    for groups, users in ((frozenset[str](), "strangers"), (frozenset({"ipad-view"}), "readers")):
        chosen = nobody_trusted | {"groups": lambda uid, groups=groups: groups}
        async with running(FakeService(), bus, library, **chosen), linked(library, bus) as link:
            await log.until(said.ON_THE_BUS, 1 if users == "strangers" else 2)

            async def call(link: Link = link) -> str:
                try:
                    await link.call(BUS_NAME, path, interface, member, signature, body, deadline_s=60)
                except RemoteFailure as error:
                    return error.name.rpartition(".")[2]
                return "answer"

            first = await call()  # now it is known who this is
            assert first != "LimitsExceeded"
            calls = [asyncio.ensure_future(call()) for _ in range(7)]
            while sum(one.done() for one in calls) < 4:
                await asyncio.wait([one for one in calls if not one.done()], return_when=asyncio.FIRST_COMPLETED)
            # Of an answer that does not come only time can tell; a slow machine makes this no failure.
            answered, silent = await asyncio.wait(calls, timeout=0.3)
            for one in silent:
                one.cancel()
            assert [one.result() for one in answered].count("LimitsExceeded") == 2
            assert len(silent) == 3
    assert log.count(said.TURNED_AWAY) == 2


async def test_root_may_call_as_often_as_it_likes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "CALL_BURST", 1)
    monkeypatch.setattr(rate_limits, "CALLS_PER_S", 0.0001)
    async with Listener(stage.bus) as root:
        for _ in range(5):
            assert len(await root.read()) == 5


# -- a bus that comes, goes and hangs ----------------------------------------------------------------------------------


async def test_the_service_appears_when_the_bus_does_and_says_once_that_there_was_none(
    log: Log, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []
    enough = asyncio.Event()

    def counted(addresses: str) -> str:
        attempts.append(addresses)
        if len(attempts) == 5:
            enough.set()
        return usable(addresses)

    monkeypatch.setattr("ipad_agent.local.dbus.dbus_service.usable", counted)
    private = PrivateBus()
    try:
        async with running(FakeService(), private, library, retry=Retry(0.001, 0.001)):
            async with asyncio.timeout(LIMIT_S):
                await enough.wait()
            assert log.count(said.NO_BUS) == 1
            await private.start()
            await log.until(said.ON_THE_BUS)
            assert await private.property("State") == "ready"
    finally:
        await private.remove()


async def test_the_service_is_there_again_after_the_bus_was_restarted(stage: Stage) -> None:
    for times in (2, 3):
        await stage.bus.stop()
        await stage.log.until(said.BUS_LOST, times - 1)
        stage.service.show(FULL if times == 2 else CALM)
        await stage.bus.start()
        await stage.log.until(said.ON_THE_BUS, times)
        assert await stage.bus.property("State") == ("switching" if times == 2 else "ready")
        assert (await stage.bus.ask("Poll", ""))[0] == 0
    assert len(stage.service.watchers) == len(stage.service.listeners) == 1
    assert len(stage.service.asked) == 2


async def test_no_descriptor_is_left_of_a_bus_that_was_lost(stage: Stage) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    await stage.bus.stop()
    await stage.log.until(said.BUS_LOST)
    await stage.bus.start()
    await stage.log.until(said.ON_THE_BUS, 2)
    before = descriptors()
    for times in (3, 4, 5):
        await stage.bus.stop()
        await stage.log.until(said.BUS_LOST, times - 1)
        await stage.bus.start()
        await stage.log.until(said.ON_THE_BUS, times)
    assert descriptors() == before


async def test_a_verb_outlives_the_bus_it_was_asked_on(stage: Stage) -> None:
    stage.service.gate = asyncio.Event()
    asking = asyncio.create_task(stage.bus.ask("ExecuteFallback"))
    await stage.log.until(said.ASKED)
    await stage.bus.stop()
    await stage.log.until(said.BUS_LOST)
    assert (await asking)[0] != 0
    stage.service.gate.set()
    await stage.bus.start()
    await stage.log.until(said.ON_THE_BUS, 2)
    assert stage.service.finished == [("execute_fallback",)]


async def test_a_bus_that_hangs_is_left_and_the_agent_is_not_held_up(bus: PrivateBus, log: Log, library: str) -> None:
    service = FakeService()
    async with running(service, bus, library, pace=ASLEEP):
        await log.until(said.ON_THE_BUS)
        listening = Listener(bus)
        await listening.open()
        await listening.read()
        bus.signal(signal.SIGSTOP)
        try:
            loop = asyncio.get_running_loop()
            longest_s = 0.0
            while not log.count(said.BUS_LOST):
                began_s = loop.time()
                for _ in range(EVENT_BACKLOG // 2):
                    service.say(Happening("IPA-9999", "info", "x" * 4000, NOW_S))
                await asyncio.sleep(0)
                longest_s = max(longest_s, loop.time() - began_s)
            assert longest_s < scaled(1.0)
            await log.until(said.NO_BUS)
        finally:
            bus.signal(signal.SIGCONT)
            listening.close()
        await log.until(said.ON_THE_BUS, 2)
        assert await bus.property("State") == "ready"


async def test_a_name_that_another_owns_is_taken_when_it_is_free(bus: PrivateBus, log: Log, library: str) -> None:
    async with linked(library, bus) as other:
        dbus = "org.freedesktop.DBus"
        assert await other.call(dbus, "/org/freedesktop/DBus", dbus, "RequestName", "su", (BUS_NAME, 4)) == (1,)
        async with running(FakeService(), bus, library):
            await log.until(said.NAME_TAKEN)
            other.close()
            await log.until(said.ON_THE_BUS)
            assert await bus.property("State") == "ready"
    assert log.count(said.NAME_TAKEN) == 1


async def test_without_our_policy_file_the_agent_says_what_is_missing(log: Log, library: str) -> None:
    private = PrivateBus(policy=None)
    await private.start()
    try:
        async with running(FakeService(), private, library):
            await log.until(said.NAME_REFUSED)
    finally:
        await private.remove()
    assert log.count(said.ON_THE_BUS) == 0
    assert "AccessDenied" in str(log.facts(said.NAME_REFUSED)["reason"])


async def test_the_end_of_the_agent_frees_the_name_at_once(bus: PrivateBus, log: Log, library: str) -> None:
    for times in (1, 2):
        async with running(FakeService(), bus, library):
            await log.until(said.ON_THE_BUS, times)
    assert log.count(said.NAME_TAKEN) == 0


def test_attempts_become_rarer_but_never_end() -> None:
    waits = Retry().waits()
    assert [next(waits) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
