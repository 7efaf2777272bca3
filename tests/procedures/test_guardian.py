"""The guardian on a device: what it looks at, what it remembers, and what it makes of the card's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.errors import StoreError
from ipad_agent.events import Event, listen
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.guardian.guardian_rules import Kind
from ipad_agent.policy.guardian.guardian_settings import NORMAL
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.procedures.guardian.connectivity_guardian import DOCUMENT, Guardian
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch

from .fakes import FakeMemory

DAY_S = 86_400.0


@dataclass
class Clock:
    up_s: float = 100.0
    boots: int = 1

    def wall(self) -> float:
        return 1.8e9 + self.up_s

    def monotonic(self) -> float:
        return self.up_s

    def boot_id(self) -> str:
        return f"boot {self.boots}"


@dataclass
class FakeNetwork:
    found: dict[Stage, bool | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def card(self, iccid: str) -> Finding:
        raise AssertionError("the guardian does not look at the card")

    async def registration(self) -> Finding:
        return self._finding(Stage.REGISTRATION, "")

    async def ip(self, host: str | None) -> Finding:
        return self._finding(Stage.IP, host or "")

    async def dns(self, host: str) -> Finding:
        return self._finding(Stage.DNS, host)

    async def use(self, connection: PacketConnection) -> None:
        raise AssertionError("a look changes nothing")

    async def application(self) -> Finding:
        return self._finding(Stage.APPLICATION, "")

    def _finding(self, stage: Stage, of: str) -> Finding:
        self.asked.append(f"{stage} {of}".strip())
        return Finding(stage, self.found.get(stage), "")


@dataclass
class Device:
    clock: Clock = field(default_factory=Clock)
    memory: FakeMemory = field(default_factory=FakeMemory)
    network: FakeNetwork = field(default_factory=FakeNetwork)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.guardian = Guardian(self.memory, self.clock, NORMAL)

    @property
    def kind(self) -> Kind:
        return self.guardian.decision.kind

    async def run(self, duration_s: float) -> Kind:
        end_s = self.clock.up_s + duration_s
        while self.clock.up_s < end_s:
            self.clock.up_s += self.guardian.check_s
            await self.guardian.look(self.network, "eim.example")
            if self.kind is Kind.RESTART_MODEM:
                self.guardian.restarting_modem()
        return self.kind

    async def lose(self) -> None:
        self.network.found = {Stage.REGISTRATION: False}
        for _ in range(NORMAL.failed_cycles):
            self.guardian.polled(Outcome.UNREACHABLE)
        assert await self.run(DAY_S) is Kind.FALLBACK_NOW

    def did(self, what: What, end: End, by: FallbackCause = FallbackCause.GUARDIAN) -> None:
        self.guardian.did(LocalSwitch(what, end, "1", "2", by=by))


async def test_a_device_that_is_connected_pays_for_no_traffic_of_the_guardian() -> None:
    device = Device()
    device.guardian.polled(Outcome.IDLE)
    await device.guardian.look(device.network, "eim.example")
    assert device.network.asked == ["registration", "ip eim.example"]


async def test_after_a_failed_poll_the_application_is_tried_and_then_the_name_server() -> None:
    device = Device()
    device.guardian.polled(Outcome.UNREACHABLE)
    await device.guardian.look(device.network, "eim.example")
    assert device.network.asked[2:] == ["application", "dns eim.example"]
    device.network.asked.clear()
    device.network.found = {Stage.APPLICATION: False}
    await device.guardian.look(device.network, "eim.example")
    assert device.network.asked[2:] == ["application"]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", None])
async def test_no_name_server_is_asked_for_what_is_no_name(host: str | None) -> None:
    device = Device()
    device.network.found = {Stage.DNS: True}
    device.guardian.polled(Outcome.UNREACHABLE)
    await device.guardian.look(device.network, host)
    assert not any(asked.startswith("dns") for asked in device.network.asked)


async def test_patience_outlives_restarts() -> None:
    device = Device()
    device.network.found = {Stage.REGISTRATION: False}
    for _ in range(NORMAL.failed_cycles):
        device.guardian.polled(Outcome.UNREACHABLE)
    await device.run(DAY_S - 600)
    device.restart()
    assert device.kind is Kind.LOST
    assert await device.run(600) is Kind.FALLBACK_NOW


async def test_nothing_is_written_while_nothing_changes() -> None:
    device = Device()
    device.guardian.polled(Outcome.IDLE)
    device.memory.documents.clear()
    await device.run(DAY_S)
    assert device.memory.documents == {}


class FullMemory(FakeMemory):
    def save(self, name: str, document: Mapping[str, object]) -> None:
        raise StoreError("full")


async def test_a_full_disk_does_not_blind_the_guardian() -> None:
    device = Device(memory=FullMemory())
    await device.lose()


async def test_rubbish_on_the_disk_is_a_new_beginning() -> None:
    device = Device(memory=FakeMemory({DOCUMENT: {"looked": "yesterday"}}))
    assert device.kind is Kind.WATCH


async def test_the_way_to_the_fallback_profile_and_back() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.DONE)
    assert device.kind is Kind.IN_FALLBACK
    device.network.found = {Stage.REGISTRATION: True}
    device.guardian.polled(Outcome.IDLE)
    assert await device.run(DAY_S) is Kind.RETURN_NOW
    device.guardian.returning()
    device.did(What.RETURN, End.DONE)
    device.restart()
    assert device.guardian.watch.in_fallback  # until it is proved
    device.guardian.returned()
    assert device.guardian.decision.kind is Kind.WATCH


async def test_a_return_that_proves_nothing_ends_on_the_fallback_profile_for_another_day() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.DONE)
    device.network.found = {Stage.REGISTRATION: True}
    await device.run(DAY_S)
    device.guardian.returning()
    device.did(What.RETURN, End.DONE)
    device.did(What.FALLBACK, End.DONE)
    assert await device.run(DAY_S - 600) is Kind.IN_FALLBACK
    assert await device.run(600) is Kind.RETURN_NOW


@pytest.mark.parametrize(
    ("end", "pause_s"),
    [
        (End.NOT_AVAILABLE, DAY_S),
        (End.BUSY, 600.0),
        (End.EMERGENCY, 600.0),
        (End.REFUSED, 600.0),
        (End.NOT_BEGUN, 600.0),
    ],
)
async def test_a_refusal_is_followed_by_a_pause(end: End, pause_s: float) -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, end)
    assert device.guardian.decision.acts_in_s == pause_s
    assert await device.run(pause_s) is Kind.FALLBACK_NOW


async def test_a_device_that_was_on_the_fallback_profile_all_the_time_has_not_fallen_back() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.ALREADY)
    assert device.kind is Kind.LOST
    assert not device.guardian.watch.in_fallback
    # The card may still know a profile from before: it is asked for it, once, when the loss goes on.
    assert await device.run(DAY_S) is Kind.RETURN_NOW
    device.guardian.returning()
    device.did(What.RETURN, End.NOT_AVAILABLE)
    assert device.guardian.decision.kind is Kind.WATCH
    assert not device.guardian.watch.in_fallback


async def test_a_connection_that_comes_back_on_the_fallback_profile_leaves_nothing_to_return_to() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.ALREADY)
    device.guardian.polled(Outcome.IDLE)
    device.network.found = {Stage.REGISTRATION: True}
    assert await device.run(3 * DAY_S) is Kind.WATCH


@pytest.mark.parametrize("end", [end for end in End if end is not End.DONE])
async def test_a_persons_order_that_came_to_nothing_changes_nothing_about_the_guardian(end: End) -> None:
    device = Device()
    device.guardian.polled(Outcome.UNREACHABLE)
    before = device.guardian.watch
    device.did(What.FALLBACK, end, FallbackCause.PERSON)
    device.did(What.RETURN, end, FallbackCause.PERSON)
    assert device.guardian.watch == before


async def test_a_device_knows_over_restarts_that_a_person_sent_it_to_the_fallback_profile() -> None:
    device = Device()
    device.did(What.FALLBACK, End.DONE, FallbackCause.PERSON)
    device.restart()
    assert (device.guardian.watch.in_fallback, device.guardian.watch.cause) == (True, FallbackCause.PERSON)
    assert await device.run(DAY_S) is Kind.RETURN_NOW
    device.guardian.returning()
    device.did(What.RETURN, End.DONE)
    device.guardian.back_on_fallback()
    assert device.guardian.watch.cause is FallbackCause.RETURN  # that profile had worked when the person left it


async def test_a_return_that_did_not_work_is_no_news_of_a_profile_that_had_lost_its_network() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.DONE)
    device.guardian.returning()
    device.did(What.RETURN, End.DONE)
    device.guardian.back_on_fallback()
    assert device.guardian.watch.cause is FallbackCause.GUARDIAN


async def test_a_return_from_nowhere_that_does_not_work_ends_on_the_fallback_profile() -> None:
    device = Device()
    device.did(What.RETURN, End.DONE, FallbackCause.PERSON)
    device.guardian.back_on_fallback()
    assert (device.kind, device.guardian.watch.cause) == (Kind.IN_FALLBACK, FallbackCause.RETURN)


async def test_the_document_of_an_agent_that_kept_no_cause_is_still_read() -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.DONE)
    kept = device.memory.documents["guardian"]
    device.memory.documents["guardian"] = {
        name: value for name, value in kept.items() if name not in ("cause", "already_there")
    }
    device.restart()
    assert device.kind is Kind.IN_FALLBACK


@pytest.mark.parametrize(
    ("end", "kind"),
    [(End.NOT_AVAILABLE, Kind.WATCH), (End.BUSY, Kind.IN_FALLBACK), (End.EMERGENCY, Kind.IN_FALLBACK)],
)
async def test_a_return_that_the_card_refuses(end: End, kind: Kind) -> None:
    device = Device()
    await device.lose()
    device.did(What.FALLBACK, End.DONE)
    device.network.found = {Stage.REGISTRATION: True}
    await device.run(DAY_S)
    device.guardian.returning()
    device.did(What.RETURN, end)
    assert device.kind is kind


@pytest.mark.parametrize("what", [What.EMERGENCY_ON, What.EMERGENCY_OFF])
async def test_the_emergency_profile_is_none_of_the_guardians_business(what: What) -> None:
    device = Device()
    await device.lose()
    before = device.guardian.watch
    device.did(what, End.DONE)
    assert device.guardian.watch == before


async def test_an_eims_switch_begins_a_new_watch_and_an_unproven_one_a_short_one() -> None:
    device = Device()
    await device.lose()
    device.guardian.switched()
    assert device.kind is Kind.WATCH
    device.guardian.unproven()
    device.guardian.polled(Outcome.UNREACHABLE)
    device.guardian.polled(Outcome.UNREACHABLE)
    assert await device.run(3600.0) is Kind.FALLBACK_NOW


async def test_people_hear_of_a_loss_once_and_of_its_end_once() -> None:
    said: list[str] = []

    def heard(event: Event[...], facts: Mapping[str, object]) -> None:
        said.append(event.id)

    device = Device()
    end = listen(heard)
    try:
        device.network.found = {Stage.REGISTRATION: False}
        await device.run(3600.0)
        assert said == []  # it may be a tunnel
        device.guardian.polled(Outcome.UNREACHABLE)
        await device.run(3600.0)
        device.restart()
        await device.run(3600.0)
        device.guardian.polled(Outcome.IDLE)
        device.guardian.polled(Outcome.IDLE)
    finally:
        end()
    assert [event for event in said if event != "IPA-4312"] == ["IPA-4310", "IPA-4311"]
    assert said.count("IPA-4312") == 2, "the modem was restarted meanwhile, which is said each time"
