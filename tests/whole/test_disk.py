"""A disk that refuses, in the middle of whatever it is: the way back needs none, the result on it is delivered once,
and no order is begun that cannot be written down."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.procedures.person_decision import Call
from virtual_time import run

from .agent_bench import CALM, AgentBench, Hooks
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

    bench.site.hook = hook  # type: ignore[method-assign]


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
        assert bench.journal.entries() == ()
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
        assert bench.journal.entries() == ()
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
