"""The guardian with a whole card: coverage comes and goes, and the device ends where it has connectivity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.policy.guardian.guardian_rules import Kind
from ipad_agent.policy.guardian.guardian_settings import NORMAL
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.procedures.guardian.connectivity_guardian import Guardian
from ipad_agent.procedures.switching.local_switch import End

from .local_switches import Bench

DAY_S = 86_400.0
POLL_S = 3 * 3600.0


@dataclass
class Coverage:
    """Which profiles have a network; the modem works with the one that it has seen."""

    bench: Bench
    has: set[str]

    def now(self) -> bool:
        return self.bench.card.active_iccid in self.has

    async def card(self, iccid: str) -> Finding:
        return Finding(Stage.CARD, self.bench.card.active_iccid == iccid, "")

    async def registration(self) -> Finding:
        return Finding(Stage.REGISTRATION, self.now(), "")

    async def ip(self, host: str | None) -> Finding:
        return Finding(Stage.IP, self.now(), "")

    async def dns(self, host: str) -> Finding:
        return Finding(Stage.DNS, self.now(), "")

    async def use(self, connection: PacketConnection) -> None:
        return None

    async def application(self) -> Finding:
        return Finding(Stage.APPLICATION, None, "")


@dataclass
class Life:
    """What the daemon does, day by day; ``switches`` is what became of the profile, as (day, ICCID)."""

    bench: Bench
    coverage: Coverage
    up_s: float = 100.0
    boots: int = 1
    switches: list[tuple[float, str | None]] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.guardian = Guardian(self.bench.world.documents, self, NORMAL)

    def wall(self) -> float:
        return 1.8e9 + self.up_s

    def monotonic(self) -> float:
        return self.up_s

    def boot_id(self) -> str:
        return f"boot {self.boots}"

    async def days(self, count: float) -> None:
        end_s, poll_s = self.up_s + count * DAY_S, self.up_s
        while self.up_s < end_s:
            if self.up_s >= poll_s:
                self.guardian.polled(Outcome.IDLE if self.coverage.now() else Outcome.UNREACHABLE)
                poll_s += POLL_S
            self.up_s += NORMAL.check_s
            await self.act((await self.guardian.look(self.coverage, "eim.example")).kind)

    async def act(self, kind: Kind) -> None:
        bench, guardian = self.bench, self.guardian
        if kind is Kind.FALLBACK_NOW:
            await self._fall_back()
        elif kind is Kind.RETURN_NOW:
            self.asked += 1
            guardian.returning()
            switch = await bench.return_back()
            guardian.did(switch)
            if switch.end is End.DONE:
                self._note(switch.enabled)
                if self.coverage.now():
                    guardian.returned()
                else:
                    await self._fall_back()

    async def _fall_back(self) -> None:
        self.asked += 1
        switch = await self.bench.execute()
        self.guardian.did(switch)
        if switch.end is End.DONE:
            self._note(switch.enabled)

    def _note(self, iccid: str | None) -> None:
        self.switches.append((round((self.up_s - 100.0) / DAY_S, 1), iccid))


async def life(folder: Path, *has: str) -> Life:
    bench = Bench(folder)
    await bench.start()
    return Life(bench, Coverage(bench, set(has)))


async def test_a_device_whose_operator_fails_is_on_its_fallback_profile_after_a_day_and_tells_the_eim(
    pki_folder: Path,
) -> None:
    story = await life(pki_folder, OPERATOR_A, BOOTSTRAP)
    await story.days(10)
    assert story.switches == []
    story.coverage.has = {BOOTSTRAP}
    await story.days(1.2)
    assert story.switches == [(11.0, BOOTSTRAP)]
    assert story.bench.pending is StateChangeCause.FALLBACK


async def test_a_device_whose_operator_comes_back_is_back_within_a_day(pki_folder: Path) -> None:
    story = await life(pki_folder, BOOTSTRAP)
    await story.days(1.5)
    story.coverage.has = {OPERATOR_A, BOOTSTRAP}
    await story.days(10)
    assert story.switches == [(1.0, BOOTSTRAP), (2.0, OPERATOR_A)]
    assert story.guardian.watch.returns == 0


async def test_a_device_whose_operator_stays_away_tries_seven_times_and_stays_connected(pki_folder: Path) -> None:
    story = await life(pki_folder, BOOTSTRAP)
    await story.days(60)
    assert [iccid for _, iccid in story.switches] == [BOOTSTRAP] + [OPERATOR_A, BOOTSTRAP] * NORMAL.max_returns
    assert story.guardian.decision.kind is Kind.GIVEN_UP_RETURNING
    assert story.bench.works_with(BOOTSTRAP)


async def test_a_device_without_any_coverage_goes_on_trying_calmly_for_ever(pki_folder: Path) -> None:
    story = await life(pki_folder)
    await story.days(60)
    assert 30 <= len(story.switches) <= 120
    story.coverage.has = {OPERATOR_A}
    await story.days(3)
    assert story.bench.works_with(OPERATOR_A)


async def test_a_card_without_a_fallback_profile_is_left_alone_but_for_once_a_day(pki_folder: Path) -> None:
    story = await life(pki_folder)
    story.bench.card.update_profile(BOOTSTRAP, fallback_attribute=False)
    await story.days(10)
    assert story.switches == []
    assert 5 <= story.asked <= 10


async def test_a_device_that_only_has_its_bootstrap_profile_does_not_switch_at_all(pki_folder: Path) -> None:
    story = await life(pki_folder)
    story.bench.card.update_profile(OPERATOR_A, enabled=False)
    story.bench.card.update_profile(BOOTSTRAP, enabled=True)
    story.bench.boot()
    await story.days(20)
    assert story.switches == []
    assert story.asked <= 20


def facts_of(story: Life) -> Mapping[str, object]:
    return story.bench.world.documents.load("guardian")


async def test_patience_and_place_survive_a_restart_at_any_time(pki_folder: Path) -> None:
    story = await life(pki_folder, BOOTSTRAP)
    for _ in range(40):
        await story.days(0.1)
        story.boots += 1
        story.bench.boot()
        story.guardian = Guardian(story.bench.world.documents, story, NORMAL)
        await story.bench.start()
    assert story.switches[:3] == [(1.0, BOOTSTRAP), (2.0, OPERATOR_A), (2.0, BOOTSTRAP)]
    assert facts_of(story)["in_fallback"] is True
