"""A disk that refuses, in the middle of whatever it is: the way back needs none, the result on it is delivered once,
and no order is begun that cannot be written down.

Long: one table of refusals, each in the middle of the same few stories.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.local.status_model import Severity, State
from ipad_agent.policy import Wake
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.procedures.person_decision import Call
from ipad_agent.procedures.records.switch_record import Switch
from ipad_agent.procedures.switching.local_switch import End
from ipad_agent.store.journal import UNREAD_PATIENCE_S
from virtual_time import run

from .agent_bench import CALM, SECOND_EIM, START_S, AgentBench, Hooks, now_s
from .test_agent import state_change
from .test_switch import CONFIRM_S, clean, first_poll, said

REFUSALS = pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EIO, errno.ENOSPC], ids=lambda code: errno.errorcode[code]
)
HOUR_S = 3600.0


def refuse_from(bench: AgentBench, moment: str, code: int) -> None:
    """From this hook of the site on nothing is written any more."""
    told = Hooks.hook

    async def hook(now: str, facts: object) -> None:
        if now == moment:
            bench.disk.refuses = code
        await told(bench.site, now, facts)  # type: ignore[arg-type]

    bench.site.hook = hook  # type: ignore[method-assign, assignment]


async def until_proving(bench: AgentBench) -> None:
    """The card has switched; its result is on disk, and the new profile has to prove itself."""
    bench.start()
    await bench.until(CALM.first_s + bench.phase_s + 5)
    assert bench.card.enabled_iccid == OPERATOR_A


# -- the way back ------------------------------------------------------------------------------------------------------
@REFUSALS
def test_without_coverage_the_device_goes_back_in_time_although_the_disk_refuses(pki_folder: Path, code: int) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "post-switch", code)
        await until_proving(bench)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 30)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert [entry.kind for entry in bench.journal.entries()] == ["removal"]  # the card's copy, once the disk works
        assert bench.site.moments == ["pre-switch", "post-switch", "rolled-back"]
        bench.disk.refuses = None
        await bench.until(2 * HOUR_S + 2 * CALM.interval_s)
        assert clean(bench)
        assert len(bench.results) == 1
        await bench.stop()

    run(story())


@REFUSALS
def test_a_disk_that_refuses_from_the_moment_of_the_switch_on_holds_up_neither_proof_nor_delivery(
    pki_folder: Path, code: int
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "post-switch", code)
        await until_proving(bench)
        assert said(bench) == [["enable ok"]]
        assert [entry.kind for entry in bench.journal.entries()] == ["removal"]
        await bench.until(HOUR_S)
        assert len(bench.results) == 1
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        await bench.stop()

    run(story())


@REFUSALS
def test_a_commit_that_cannot_be_written_is_no_reason_to_deliver_the_result_again_and_again(
    pki_folder: Path, code: int
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")

        def taken(when: str, function: str) -> bool:
            if when == "after" and function == "ProvideEimPackageResult":
                bench.disk.refuses = code
            return False

        bench.network.cut = taken
        await until_proving(bench)
        await bench.until(HOUR_S)
        assert [f for _, _, f, _ in bench.network.requests].count("ProvideEimPackageResult") == 1
        assert not bench.card.state.results  # it was on disk before: nothing is lost with the card's copy
        # Cut off now, the disk knows of a switch that is being proved: the result is brought once more, no more.
        await bench.kill()
        bench.disk.refuses = None
        bench.start()
        await bench.until(2 * HOUR_S + CALM.first_s)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert {tuple(result) for result in said(bench)} == {("enable ok",)}
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_person_on_site_brings_the_former_profile_back_although_the_disk_refuses(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "post-switch", errno.EROFS)
        await until_proving(bench)
        bench.agent.person_decision.say(Call.ROLLBACK)
        await bench.until(CALM.first_s + bench.phase_s + 60)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        await bench.stop()

    run(story())


@pytest.mark.parametrize("covered", [True, False])
@pytest.mark.parametrize("cut_after_s", [0, 20, CONFIRM_S / 2, CONFIRM_S + 2, CONFIRM_S + 60])
def test_whenever_the_power_goes_while_the_disk_refuses_profile_and_eim_agree_at_the_end(
    pki_folder: Path, covered: bool, cut_after_s: float
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        if not covered:
            bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "pre-switch", errno.ENOSPC)  # the load itself cannot be written down
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 5)
        assert bench.card.enabled_iccid == BOOTSTRAP
        bench.disk.refuses = None
        refuse_from(bench, "post-switch", errno.EROFS)
        await bench.until(HOUR_S)
        await bench.until(HOUR_S + cut_after_s)
        await bench.kill()
        bench.disk.refuses = None
        bench.start()
        await bench.until(3 * HOUR_S + CALM.interval_s + 2 * CONFIRM_S)
        assert clean(bench)
        told = said(bench)
        assert bench.card.enabled_iccid == (OPERATOR_A if covered else BOOTSTRAP)
        assert {tuple(result) for result in told} == {("enable ok",) if covered else ("enable ok", "rollback ok")}
        await bench.stop()

    run(story())


@pytest.mark.parametrize("steps", range(0, 120, 9))
@pytest.mark.parametrize("covered", [True, False])
def test_at_whatever_step_the_disk_begins_to_refuse_and_the_power_goes_later_both_agree(
    pki_folder: Path, steps: int, covered: bool
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        if not covered:
            bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await first_poll(bench)
        bench.steps.at = bench.steps.count + steps

        def refuse() -> None:
            bench.disk.refuses = errno.EIO

        bench.steps.action = refuse
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        await bench.kill()
        bench.disk.refuses = None
        bench.start()
        await bench.until(4 * HOUR_S + CALM.interval_s)
        assert clean(bench)
        told = {tuple(result) for result in said(bench)}
        assert bench.card.enabled_iccid == (OPERATOR_A if covered else BOOTSTRAP)
        assert told == {("enable ok",) if covered else ("enable ok", "rollback ok")}
        await bench.stop()

    run(story())


# -- nothing is begun that cannot be written down ----------------------------------------------------------------------
@REFUSALS
def test_a_disk_that_cannot_be_written_at_the_start_is_said_first_and_polled_with_and_takes_no_order(
    pki_folder: Path, code: int
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A)
        bench.disk.refuses = code
        agent = bench.start()
        await bench.until(HOUR_S)
        assert bench.network.polls()
        assert bench.card.enabled_iccid == BOOTSTRAP
        verdict = agent.board.snapshot().verdict
        assert (verdict.state, verdict.severity) == (State.TROUBLE, Severity.BAD)
        assert verdict.sentence.startswith("No new order is taken. The disk refuses what the agent has to keep: ")
        bench.disk.refuses = None
        await bench.until(HOUR_S + 15)
        assert "disk" not in agent.board.snapshot().verdict.sentence
        await bench.until(4 * HOUR_S + CALM.interval_s)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_journal_that_cannot_be_read_at_the_start_is_acted_on_as_soon_as_it_can_be(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        await until_proving(bench)
        await bench.kill()
        bench.disk.unreadable = errno.EIO
        agent = bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 30)
        assert "could not be read: Input/output error" in agent.board.snapshot().verdict.sentence
        bench.disk.unreadable = None
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_with_a_journal_that_stays_unreadable_orders_are_taken_again_after_an_hour(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(60)
        await bench.stop()
        bench.disk.unreadable = errno.EIO
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(UNREAD_PATIENCE_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.until(UNREAD_PATIENCE_S + 4 * HOUR_S + CALM.interval_s)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == [["enable ok"]]
        await bench.stop()

    run(story())


def test_an_order_that_was_taken_and_cannot_be_begun_waits_without_keeping_the_eim_from_its_poll(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "pre-switch", errno.ENOSPC)
        bench.start()
        await bench.until(HOUR_S)
        polls = len(bench.network.polls())
        assert 1 < polls < 10  # it goes on by the schedule, and not as if a switch had to be proved
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert len(bench.access.attempts) < 20  # the card is not taken for lost
        bench.disk.refuses = None
        refuse_from(bench, "never", 0)
        await bench.until(4 * HOUR_S + CALM.interval_s)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_an_order_that_waits_for_the_disk_is_not_taken_a_second_time_when_the_disk_works_again(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")
        refuse_from(bench, "pre-switch", errno.ENOSPC)
        bench.start()
        await first_poll(bench)
        await bench.until(CALM.first_s + bench.phase_s + 1)
        assert len(bench.journal.entries("package")) == 1
        refuse_from(bench, "never", 0)

        def works_again(when: str, function: str) -> bool:
            bench.disk.refuses = None  # after the order had to wait in this poll, and before the eIM is asked
            return False

        bench.network.cut = works_again
        while bench.disk.refuses is not None:
            await bench.until(now_s() - START_S + 1)
        await bench.until(now_s() - START_S + 1)
        assert len(bench.journal.entries("package")) == 1
        await bench.until(4 * HOUR_S + CALM.interval_s)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_return_from_the_fallback_profile_that_cannot_be_written_down_is_not_begun_and_costs_nothing_else(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()
        await bench.until(60)
        bench.disk.refuses = errno.EROFS
        done = await agent.card_requests.ask(agent.guardian_actions.go_back)
        assert done.end is End.NOT_BEGUN
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert agent.board.snapshot().trouble is None
        await bench.until(HOUR_S)
        assert bench.network.polls()
        await bench.stop()

    run(story())


# -- the card is the first memory --------------------------------------------------------------------------------------
def test_what_the_disk_never_had_stays_on_the_card_after_it_was_taken_and_is_not_delivered_again(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.radio.dark.add(OPERATOR_A)
        refuse_from(bench, "post-switch", errno.EIO)
        await until_proving(bench)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert said(bench) == [["enable ok", "rollback ok"]]
        (kept,) = bench.card.state.results  # without it a restart could only guess
        for _ in range(3):
            bench.agent.poke(Wake.COMMAND)
            await bench.until(now_s() - START_S + 120)
        assert len(bench.results) == 1
        assert bench.card.state.results == [kept]
        bench.disk.refuses = None
        await bench.until(now_s() - START_S + 30)
        bench.agent.poke(Wake.COMMAND)
        await bench.until(now_s() - START_S + 60)
        assert clean(bench)
        assert len(bench.results) == 1
        await bench.stop()

    run(story())


def test_a_device_that_went_back_and_was_cut_off_before_the_disk_took_it_tells_no_lie(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        await until_proving(bench)
        await bench.until(CALM.first_s + bench.phase_s + 30)  # the proof is on disk, with its reset
        bench.disk.refuses = errno.EROFS
        bench.network.down.add(bench.identity.eim_id)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 5)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.kill()
        bench.disk.refuses = None
        bench.network.down.clear()
        assert [entry.facts["phase"] for entry in bench.journal.entries("switch")] != ["proving"]
        # A modem that cannot say which profile it works with: only the card can tell that this is the former one.
        bench.radio.mute = True
        bench.start()
        await bench.until(2 * HOUR_S)
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_way_back_of_which_the_disk_has_only_the_result_before_it_is_told_by_the_cards_own_result(
    pki_folder: Path,
) -> None:
    """Torture seed 7587: the disk took the result of the enable, and neither the switch nor the rollback."""

    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        move = bench.agent.switches.move

        def refused(switch: Switch, happening: Happening, **more: bool) -> Switch | None:
            bench.disk.refuses = errno.ENOSPC
            return move(switch, happening, **more)

        bench.agent.switches.move = refused  # type: ignore[method-assign, assignment]
        await bench.until(CALM.first_s + bench.phase_s + 5)
        assert bench.card.enabled_iccid == OPERATOR_A
        bench.network.down.add(bench.identity.eim_id)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.kill()
        bench.disk.refuses = None
        bench.network.down.clear()
        hooks = len(bench.site.moments)
        bench.start()
        await bench.until(2 * HOUR_S)
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert bench.site.moments[hooks:] == ["rolled-back"]
        assert clean(bench)
        await bench.stop()

    run(story())


def told_to_the_second(bench: AgentBench, since: int) -> list[object]:
    """What the second eIM was told of, with its questions after so many requests."""
    return [
        state_change(body)
        for _, eim_id, function, body in bench.network.requests[since:]
        if (eim_id, function) == (SECOND_EIM, "GetEimPackage")
    ]


@pytest.mark.parametrize("way_back", [True, False])
def test_a_profile_that_came_and_went_while_the_disk_refused_is_told_to_every_eim_after_a_cut(
    pki_folder: Path, way_back: bool
) -> None:
    """Torture seed 67102: what the disk knew last, and what is enabled now, are the same."""

    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.network.down.add(SECOND_EIM)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, *(["--rollback"] if way_back else []))
        refuse_from(bench, "post-switch", errno.EROFS)
        await until_proving(bench)
        bench.network.down.add(bench.identity.eim_id)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        await bench.kill()
        if not way_back:  # as the fallback mechanism does it
            bootstrap = next(profile for profile in bench.card.state.profiles if profile.iccid == BOOTSTRAP)
            profile_switching.switch(bench.card.isdr, bootstrap, refresh=False, notify=False)
            bench.card.isdr.commit()
            bench.card.reset()
        assert bench.card.enabled_iccid == BOOTSTRAP
        bench.disk.refuses = None
        bench.network.down.clear()
        since = len(bench.network.requests)
        bench.start()
        await bench.until(4 * HOUR_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        expected = StateChangeCause.OTHER_EIM if way_back else StateChangeCause.UNDEFINED
        assert [cause for cause in told_to_the_second(bench, since) if cause is not None] == [expected]
        assert clean(bench)
        await bench.stop()

    run(story())


# -- a state directory that is taken away ------------------------------------------------------------------------------
@pytest.mark.parametrize("removal", ["remove_directory", "empty_directory"])
@pytest.mark.parametrize("covered", [True, False])
def test_a_state_directory_removed_while_a_switch_is_proved_is_made_anew_and_survives_the_next_cut(
    pki_folder: Path, covered: bool, removal: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        await until_proving(bench)
        getattr(bench.disk, removal)("/state")
        await bench.until(CALM.first_s + bench.phase_s + 60)
        await bench.kill()
        assert "/state/journal" in bench.disk.names()
        if covered:
            bench.radio.dark.clear()
        bench.start()
        await bench.until(2 * HOUR_S)
        assert bench.card.enabled_iccid == (OPERATOR_A if covered else BOOTSTRAP)
        assert said(bench) == [["enable ok"] if covered else ["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


@pytest.mark.parametrize("loss", ["empty", "without its header", "removed", "damaged switch"])
@pytest.mark.parametrize("covered", [True, False])
def test_a_switch_that_the_journal_lost_is_taken_up_from_the_card(pki_folder: Path, covered: bool, loss: str) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        await until_proving(bench)
        await bench.kill()
        image = bench.disk.read("/state/journal")
        if loss == "removed":
            bench.disk.remove("/state/journal")
        elif loss == "damaged switch":
            bench.disk.corrupt("/state/journal", 0, image.replace(b'"k":"switch"', b'"k":"damage"'))
        else:
            bench.disk.create("/state/journal").write(b"" if loss == "empty" else b"?")
        if covered:
            bench.radio.dark.clear()
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S + 60)
        assert bench.card.enabled_iccid == (OPERATOR_A if covered else BOOTSTRAP)
        assert said(bench) == [["enable ok"] if covered else ["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_switch_without_a_grant_that_the_journal_lost_stays_and_is_told_as_soon_as_there_is_a_way(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A)
        await until_proving(bench)
        await bench.kill()
        bench.disk.remove("/state/journal")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S + 60)
        assert bench.card.enabled_iccid == OPERATOR_A
        bench.radio.dark.clear()
        await bench.until(4 * HOUR_S + CALM.interval_s)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_result_that_an_eim_does_not_acknowledge_is_no_lost_switch_as_long_as_the_journal_is_whole(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.faults.arm(Fault("result", "acknowledge", value=(), times=-1))
        bench.order("enable", OPERATOR_A, "--rollback")
        await until_proving(bench)
        await bench.until(HOUR_S)
        assert bench.journal.entries() == ()
        await bench.kill()
        bench.radio.dark.add(OPERATOR_A)
        bench.start()
        await bench.until(HOUR_S + 2 * CONFIRM_S)
        assert bench.card.enabled_iccid == OPERATOR_A  # it was proved; a dark hour is no reason to go back
        await bench.stop()

    run(story())
