"""A result that was not acknowledged before its eIM left the card is brought home all the same, and leaves the card."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.policy import Wake
from virtual_time import run

from .agent_bench import CALM, SECOND_EIM, AgentBench
from .test_switch import clean

DAY_S = 86_400.0


def counters(bench: AgentBench) -> list[object]:
    """Of which packages the first eIM took a result, one after the other."""
    return [dict(result)["facts"]["counter"] for result in bench.results]  # type: ignore[index]


def takes_without_acknowledging(bench: AgentBench, *, times: int = 1) -> None:
    bench.eim.faults.arm(Fault("result", "empty", times=times))


def test_an_eim_that_deletes_itself_gets_what_it_had_not_acknowledged_before(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        takes_without_acknowledging(bench)
        bench.order("list-profiles")
        bench.order("delete-eim", bench.identity.eim_id)
        bench.start()
        await bench.until(DAY_S)
        assert bench.card.state.eims == []
        assert counters(bench) == [1, 2, 1]
        assert clean(bench)
        requests = len(bench.network.requests)
        await bench.until(4 * DAY_S)
        assert len(bench.network.requests) == requests
        await bench.stop()

    run(story())


@pytest.mark.parametrize("cut_off", [False, True])
def test_an_eim_that_another_deletes_gets_it_too_also_after_a_power_cut_at_that_moment(
    pki_folder: Path, cut_off: bool
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        takes_without_acknowledging(bench)
        bench.order("list-profiles")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        assert len(counters(bench)) == len(bench.card.state.results) == 1
        bench.order("delete-eim", bench.identity.eim_id, eim_id=SECOND_EIM)
        bench.agent.poke(Wake.COMMAND, SECOND_EIM)
        if cut_off:
            reached, steps = asyncio.Event(), bench.card.isdr.steps

            def step(name: str) -> None:
                steps(name)
                if name == "counter-stored":  # of the second eIM's package: its answer is never seen
                    bench.steps.at, bench.steps.action = bench.steps.count + 1, reached.set

            bench.card.isdr.steps = step
            await reached.wait()
            await bench.kill()
            bench.start()
        await bench.until(4 * DAY_S)
        assert [entry.eim_id for entry in bench.card.state.eims] == [SECOND_EIM]
        assert counters(bench) == [1, 1]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_one_that_never_acknowledges_is_asked_at_the_pace_of_its_schedule_and_no_faster(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        takes_without_acknowledging(bench, times=-1)
        bench.order("list-profiles")
        bench.order("delete-eim", bench.identity.eim_id)
        bench.start()
        await bench.until(4 * DAY_S)
        assert len(bench.card.state.results) == 2  # nothing that nobody acknowledged is ever removed
        assert len(bench.network.polls()) < 12
        await bench.stop()

    run(story())
