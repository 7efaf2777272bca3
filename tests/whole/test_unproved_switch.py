"""A switch that nothing has proved yet: it is not called committed before something speaks for it, and without any eIM
its time runs too (docs/lifecycle.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.policy import Wake
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.policy.switching.switch_table import Phase, Way
from ipad_agent.procedures.person_decision import Call
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.switch_record import BY_EIM, RETURN, Switches
from ipad_agent.store import Journal
from virtual_time import run

from .agent_bench import CALM, AgentBench

CONFIRM_S = SwitchSettings().confirm_s
HOUR_S, DAY_S = 3600.0, 86_400.0


def phases(bench: AgentBench) -> list[object]:
    """Where the open switch stands, if there is one."""
    return [entry.facts["phase"] for entry in bench.journal.entries("switch")]


def operations(bench: AgentBench) -> list[list[str]]:
    """What the eIM was told of its packages."""
    told: list[list[str]] = []
    for result in bench.results:
        facts = result["facts"]
        assert isinstance(facts, Mapping)
        told.append([f"{item['operation']} {item['name']}" for item in facts["operations"]])
    return told


async def unproved(bench: AgentBench) -> float:
    """Switched without a grant; the modem is registered, but the eIM was out of reach until the time was over."""
    bench.network.reachable = lambda: bench.radio.used != OPERATOR_A
    bench.order("enable", OPERATOR_A)
    bench.start()
    over_s = CALM.first_s + bench.phase_s + CONFIRM_S + 60
    await bench.until(over_s)
    assert phases(bench) == [Phase.UNPROVED.value]
    assert bench.site.moments == ["pre-switch", "post-switch"]
    return over_s


def test_an_unproved_switch_is_not_committed_as_long_as_its_result_is_owed(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        over_s = await unproved(bench)
        for minutes in (5, 10, 15):  # looks and polls, with the modem registered all the time
            await bench.until(over_s + minutes * 60)
            bench.agent.poke(Wake.COMMAND)
            assert phases(bench) == [Phase.UNPROVED.value]
            assert operations(bench) == []
            assert bench.site.moments == ["pre-switch", "post-switch"]
        bench.network.reachable = lambda: True
        bench.agent.poke(Wake.COMMAND)
        await bench.until(over_s + 16 * 60)
        assert operations(bench) == [["enable ok"]]
        assert phases(bench) == []
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        await bench.stop()

    run(story())


def test_an_unproved_switch_is_not_committed_by_a_person_who_polls_in_vain(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        over_s = await unproved(bench)
        for attempt in range(1, 4):
            bench.agent.poke(Wake.COMMAND)
            await bench.until(over_s + attempt * 120)
        assert phases(bench) == [Phase.UNPROVED.value]
        assert bench.site.moments == ["pre-switch", "post-switch"]
        await bench.stop()

    run(story())


def test_an_unproved_switch_whose_result_is_refused_has_reached_its_eim_all_the_same(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        over_s = await unproved(bench)
        bench.eim.faults.arm(Fault("result", "refuse", 127))
        bench.network.reachable = lambda: True
        bench.agent.poke(Wake.COMMAND)
        await bench.until(over_s + 60)
        assert phases(bench) == []
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        assert len(WorkList(bench.journal).open()) == 1  # the result stays owed
        await bench.stop()

    run(story())


@dataclass
class Lonely:
    """A card without any eIM, with a switch in the journal whose order ended before."""

    folder: Path
    way: Way
    cause: str = BY_EIM
    phase: Phase = Phase.PROVING
    associated: bool = False
    enabled: str = OPERATOR_A
    bench: AgentBench = field(init=False)

    async def begin(self, *, dark: bool) -> None:
        bench = self.bench = AgentBench(self.folder, associated=self.associated)
        for profile in bench.card.state.profiles:
            profile.enabled = profile.iccid == self.enabled
        bench.card.isdr.commit()
        bench.card.reset()
        if dark:
            bench.radio.dark.add(OPERATOR_A)
        journal = Journal(bench.disk, "/state", bench.clock)
        switches = Switches(journal, bench.clock)
        armed = switches.arm(
            self.cause, previous=BOOTSTRAP, target=OPERATOR_A, way=self.way, deadline_s=CONFIRM_S, work=None
        )
        journal.update(armed.id, phase=self.phase.value)
        journal.detach()
        bench.start()


@pytest.mark.parametrize("cause", [BY_EIM, RETURN])
@pytest.mark.parametrize("way", list(Way))
def test_without_an_eim_on_the_card_a_profile_with_a_network_is_committed(
    pki_folder: Path, way: Way, cause: str
) -> None:
    async def story() -> None:
        lonely = Lonely(pki_folder, way, cause)
        await lonely.begin(dark=False)
        await lonely.bench.until(120)
        assert phases(lonely.bench) == []
        assert lonely.bench.site.moments == ["returned" if cause == RETURN else "committed"]
        assert lonely.bench.card.enabled_iccid == OPERATOR_A
        await lonely.bench.stop()

    run(story())


@pytest.mark.parametrize("cause", [BY_EIM, RETURN])
def test_without_an_eim_on_the_card_the_time_to_prove_ends_too(pki_folder: Path, cause: str) -> None:
    async def story() -> None:
        lonely = Lonely(pki_folder, Way.NONE, cause)
        await lonely.begin(dark=True)
        await lonely.bench.until(CONFIRM_S / 2)
        assert phases(lonely.bench) == [Phase.PROVING.value]
        await lonely.bench.until(CONFIRM_S + 600)
        assert phases(lonely.bench) == [Phase.UNPROVED.value]
        assert lonely.bench.site.moments == []
        lonely.bench.radio.dark.clear()
        await lonely.bench.until(CONFIRM_S + 1200)
        assert phases(lonely.bench) == []
        assert lonely.bench.site.moments == ["returned" if cause == RETURN else "committed"]
        await lonely.bench.stop()

    run(story())


def test_without_an_eim_on_the_card_a_return_that_finds_no_network_goes_back_to_the_fallback_profile(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        lonely = Lonely(pki_folder, Way.FALLBACK, RETURN)
        await lonely.begin(dark=True)
        await lonely.bench.until(2 * CONFIRM_S)
        assert lonely.bench.card.enabled_iccid == BOOTSTRAP
        assert phases(lonely.bench) == []
        assert lonely.bench.site.moments == ["rolled-back"]
        await lonely.bench.stop()

    run(story())


def test_a_person_who_returns_from_the_fallback_profile_of_a_card_without_an_eim_gets_an_end(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        for profile in bench.card.state.profiles:
            profile.enabled = profile.iccid == OPERATOR_A
        bench.card.isdr.commit()
        bench.card.reset()
        bench.start()
        await bench.until(60)
        await bench.agent.card_requests.ask(bench.agent.guardian_actions.fall_back)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.agent.card_requests.ask(bench.agent.guardian_actions.go_back)
        await bench.until(180)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert phases(bench) == []
        assert bench.site.moments[-1] == "returned"
        await bench.stop()

    run(story())


def test_a_return_that_could_not_be_taken_back_is_over_when_an_eim_can_be_reached(pki_folder: Path) -> None:
    async def story() -> None:
        alone = Lonely(pki_folder, Way.FALLBACK, RETURN, Phase.UNPROVED, associated=True)
        await alone.begin(dark=False)
        bench = alone.bench
        bench.network.reachable = lambda: False
        for minutes in (2, 5, 10):
            await bench.until(minutes * 60)
            bench.agent.poke(Wake.COMMAND)
        await bench.until(11 * 60)
        assert phases(bench) == [Phase.UNPROVED.value]
        assert bench.site.moments == []
        bench.network.reachable = lambda: True
        bench.agent.poke(Wake.COMMAND)
        await bench.until(13 * 60)
        assert phases(bench) == []
        assert bench.site.moments == ["returned"]
        await bench.stop()

    run(story())


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("associated", [True, False])
def test_an_unproved_switch_is_over_when_the_card_has_another_profile_enabled(
    pki_folder: Path, associated: bool, way: Way
) -> None:
    """The device fell back while its disk took nothing, and lost its power: no time would ever end such a switch."""

    async def story() -> None:
        alone = Lonely(pki_folder, way, BY_EIM, Phase.UNPROVED, associated, enabled=BOOTSTRAP)
        await alone.begin(dark=True)
        bench = alone.bench
        await bench.until(20 * 60)
        assert phases(bench) == []
        assert bench.site.moments == []
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())


def test_an_unproved_switch_is_not_over_because_the_modem_alone_has_another_profile(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card has what it signed: no eIM must be told that it has not."""

    async def story() -> None:
        alone = Lonely(pki_folder, Way.NONE, BY_EIM, Phase.UNPROVED, associated=True)
        await alone.begin(dark=False)
        bench = alone.bench

        async def stale(_: str) -> Finding:
            return Finding(Stage.CARD, False, "the modem has the former one")

        monkeypatch.setattr(bench.radio, "card", stale)
        bench.network.reachable = lambda: False
        await bench.until(20 * 60)
        assert phases(bench) == [Phase.UNPROVED.value]
        assert bench.card.enabled_iccid == OPERATOR_A
        await bench.stop()

    run(story())


def test_a_switch_that_a_person_accepted_and_that_never_works_is_taken_back_when_nothing_else_is_left(
    pki_folder: Path,
) -> None:
    """Torture seed 400232: the card has no fallback profile, and its grant to go back stands."""

    async def story() -> None:
        bench = AgentBench(pki_folder)
        for profile in bench.card.state.profiles:
            profile.fallback_attribute = False
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S / 2)
        bench.agent.person_decision.say(Call.CONFIRM)
        await bench.until(20 * HOUR_S)
        assert bench.card.enabled_iccid == OPERATOR_A, "as the person wanted it"
        assert phases(bench) == []
        await bench.until(3 * DAY_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert operations(bench) == [["enable ok", "rollback ok"]]
        assert bench.journal.entries() == ()
        await bench.stop()

    run(story())
