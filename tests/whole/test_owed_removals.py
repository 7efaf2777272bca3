"""What was acknowledged while the disk refused leaves the card once the disk has caught up: with an eIM or without one,
and after a restart."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from ipad_agent.errors import ModemError
from ipad_agent.lab.euicc import OPERATOR_A
from virtual_time import run

from .agent_bench import CALM, START_S, AgentBench, now_s
from .test_switch import clean, said

REFUSALS = pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EIO, errno.ENOSPC], ids=lambda code: errno.errorcode[code]
)
HOUR_S = 3600.0


def refuse_while_the_card_executes(bench: AgentBench, code: int) -> None:
    """The order is written down, and nothing of what becomes of it."""
    steps = bench.card.isdr.steps

    def step(name: str) -> None:
        if name == "counter-stored":
            bench.disk.refuses = code
        steps(name)

    bench.card.isdr.steps = step


@REFUSALS
def test_the_result_of_the_last_eim_leaves_the_card_when_the_disk_works_again(pki_folder: Path, code: int) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("delete-eim", bench.identity.eim_id)
        refuse_while_the_card_executes(bench, code)
        bench.start()
        await bench.until(HOUR_S)
        assert bench.card.state.eims == []
        assert said(bench) == [["deleteEim lastEimDeleted"]]
        assert len(bench.card.state.results) == 1  # the only memory that survives
        requests = len(bench.network.requests)
        bench.disk.refuses = None
        await bench.until(HOUR_S + 70)
        assert clean(bench)
        assert len(bench.network.requests) == requests
        await bench.stop()

    run(story())


def test_it_leaves_without_waiting_for_the_next_poll(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A)
        refuse_while_the_card_executes(bench, errno.ENOSPC)
        bench.start()
        await bench.until(HOUR_S)
        assert said(bench) == [["enable ok"]]
        assert bench.card.state.results
        requests = len(bench.network.requests)
        bench.disk.refuses = None
        await bench.until(HOUR_S + 70)
        assert clean(bench)
        assert len(bench.network.requests) == requests
        await bench.stop()

    run(story())


@pytest.mark.parametrize("deletes_itself", [True, False])
def test_a_power_cut_between_the_disk_and_the_card_forgets_no_removal(pki_folder: Path, deletes_itself: bool) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order(*(("delete-eim", bench.identity.eim_id) if deletes_itself else ("enable", OPERATOR_A)))
        refuse_while_the_card_executes(bench, errno.EIO)
        bench.start()
        await bench.until(HOUR_S)
        assert len(bench.results) == 1
        bench.disk.refuses = None
        reached = asyncio.Event()
        bench.steps.at, bench.steps.action = bench.steps.count + 1, reached.set  # before the first APDU from now on
        await reached.wait()
        assert [entry.kind for entry in bench.journal.entries()] == ["removal"]
        await bench.kill()
        bench.network.down.add(bench.identity.eim_id)
        bench.start()
        await bench.until(now_s() - START_S + 60)
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_power_cut_while_the_disk_refuses_leads_to_a_second_delivery_and_an_empty_card(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("delete-eim", bench.identity.eim_id)
        refuse_while_the_card_executes(bench, errno.EROFS)
        bench.start()
        await bench.until(HOUR_S)
        await bench.kill()
        bench.disk.refuses = None
        bench.start()
        await bench.until(2 * HOUR_S + CALM.first_s)
        assert {tuple(result) for result in said(bench)} == {("deleteEim lastEimDeleted",)}
        assert clean(bench)
        await bench.stop()

    run(story())


def test_a_card_that_cannot_be_reached_is_not_asked_without_a_pause(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("delete-eim", bench.identity.eim_id)
        refuse_while_the_card_executes(bench, errno.EROFS)
        bench.start()
        await bench.until(HOUR_S)
        bench.access.trouble = ModemError("the port is gone")
        bench.disk.refuses = None
        before = len(bench.access.attempts)
        await bench.until(2 * HOUR_S)
        assert len(bench.access.attempts) - before < 80
        bench.access.trouble = None
        await bench.until(2 * HOUR_S + 70)
        assert clean(bench)
        await bench.stop()

    run(story())
