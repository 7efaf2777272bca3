"""An order about eIMs that was cut off and goes on with a later poll counts as at once: who it adds is polled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from ipad_agent.lab.eim import VirtualEim
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.startup import euicc_memory_reset
from virtual_time import run

from .agent_bench import CALM, SECOND_EIM, AgentBench

HOUR_S = 3600.0


def test_an_eim_that_is_added_by_a_resumed_order_is_polled(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        identity = replace(bench.identity, eim_id=SECOND_EIM)
        second = bench.network.eims[SECOND_EIM] = VirtualEim(identity)
        second.add_device(bench.card.eid, token=None, certificate_der=bench.certificate)
        bench.order("add-eim", identity.configuration(fqdn=SECOND_EIM, ask_for_token=False).hex())
        reached, first = asyncio.Event(), [True]

        def taken(when: str, function: str) -> bool:
            if (when, function) == ("after", "GetEimPackage") and first and first.pop():
                # The exchange ends with one wait; the next is for the card, which has not got the order yet.
                bench.steps.at, bench.steps.action = bench.steps.count + 2, reached.set
            return False

        bench.network.cut = taken
        bench.start()
        await reached.wait()
        assert [entry.facts["loads"] for entry in bench.journal.entries("package")] == [1]
        await bench.kill()
        assert len(bench.card.state.eims) == 1
        bench.start()
        await bench.until(HOUR_S + CALM.first_s + bench.phase_s)
        assert len(bench.card.state.eims) == 2
        assert len(bench.results) == 1
        assert bench.network.polls(SECOND_EIM)
        await bench.stop()

    run(story())


def test_an_eim_that_a_person_took_off_the_card_is_not_polled_any_more(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)

        async def reset(context: Context, eims: tuple[str, ...]) -> None:
            await euicc_memory_reset.reset(context, agent.memory, ["eims"], allowed=True)

        await agent.card_requests.ask(reset)
        assert bench.card.state.eims == []
        polls = len(bench.network.polls())
        await bench.until(4 * CALM.interval_s)
        assert len(bench.network.polls()) == polls
        assert "no eIM" in bench.notifier.texts[-1]
        await bench.stop()

    run(story())
