"""What the device remembers of itself: who had what done to it, and how it ended, over restarts and on bad disks."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ipad_agent import events
from ipad_agent.daemon.history_file import GAP_S, HistoryFile
from ipad_agent.errors import ModemError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.local.status_model import HistoryEntry
from ipad_agent.procedures.person_decision import Call
from ipad_agent.store import File, Memory
from virtual_time import run

from .agent_bench import CALM, AgentBench

FIRST_POLL_S = 700.0
"""By then every device has polled once."""


class Process:
    """One run of the agent with its history kept on the bench's disk, as the daemon does it."""

    def __init__(self, bench: AgentBench) -> None:
        self.bench = bench
        self.agent = bench.start()
        self.history = self.agent.board.history
        self.memory = self.agent.memory
        assert isinstance(self.memory, Memory)
        self.file = HistoryFile(self.history, self.memory)
        self._leave = events.listen(self.agent.board.happened)
        self._keeping = asyncio.create_task(self.file.run())

    def leave(self) -> None:
        self._leave()
        self._keeping.cancel()

    async def kill(self) -> None:
        await self.bench.kill()
        self.leave()

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(entry.kind, entry.by, entry.outcome) for entry in self.history.entries()]

    def only(self, kind: str) -> HistoryEntry:
        (found,) = [entry for entry in self.history.entries() if entry.kind == kind]
        return found


def story(folder: Path, tell: Callable[[AgentBench], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        bench = AgentBench(folder)
        await tell(bench)

    run(whole())


async def until_proving(bench: AgentBench) -> None:
    """The card has switched, and the new profile has to prove itself."""
    await bench.until(CALM.first_s + bench.phase_s + 5)
    assert bench.agent.person_decision.waited_for


@contextmanager
def living(bench: AgentBench) -> Iterator[Process]:
    process = Process(bench)
    try:
        yield process
    finally:
        process.leave()


def test_an_ordered_switch_that_works_is_an_order_and_a_switch_of_the_eim(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.order("enable", OPERATOR_A, "--rollback")
        with living(bench) as process:
            await bench.until(FIRST_POLL_S)
            assert process.told == [("order", "eim", "done"), ("switch", "eim", "done")]
            order, switch = process.history.entries()
            assert order.eim_id == switch.eim_id == bench.identity.eim_id
            assert "enable" in order.what
            assert (switch.previous, switch.target) == (BOOTSTRAP, OPERATOR_A)
            assert switch.at is not None
            assert switch.duration_s is not None
            assert 0 <= switch.duration_s < FIRST_POLL_S
            await bench.stop()

    story(pki_folder, tell)


def test_a_profile_without_coverage_is_a_switch_taken_back_and_a_rollback_by_the_device(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        with living(bench) as process:
            await bench.until(FIRST_POLL_S + 1000)
            assert process.told == [
                ("order", "eim", "done"),
                ("switch", "eim", "rolled-back"),
                ("rollback", "device", "done"),
            ]
            switch = process.only("switch")
            assert switch.reason is not None
            assert switch.reason.startswith("registration: ")
            back = process.only("rollback")
            assert (back.previous, back.target) == (OPERATOR_A, BOOTSTRAP)
            await bench.stop()

    story(pki_folder, tell)


def test_a_person_who_calls_the_former_profile_back_is_its_author(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        with living(bench) as process:
            await until_proving(bench)
            bench.agent.person_decision.say(Call.ROLLBACK)
            await asyncio.sleep(300)
            assert ("rollback", "person", "done") in process.told
            await bench.stop()

    story(pki_folder, tell)


def test_an_operation_that_the_card_did_not_do_is_a_failed_order_with_the_cards_words(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.order("delete", BOOTSTRAP)
        with living(bench) as process:
            await bench.until(FIRST_POLL_S)
            order = process.only("order")
            assert (order.outcome, "delete" in (order.reason or "")) == ("failed", True)
            await bench.stop()

    story(pki_folder, tell)


def test_a_power_cut_in_the_middle_of_a_switch_leaves_one_entry_that_ends_well_after_the_restart(
    pki_folder: Path,
) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        process = Process(bench)
        await until_proving(bench)
        await asyncio.sleep(GAP_S)
        await process.kill()
        bench.radio.dark.clear()
        bench.disk.allowance = None
        with living(bench) as again:
            assert again.told == [("order", "eim", "done"), ("switch", "eim", "interrupted")]
            await asyncio.sleep(300)
            assert again.told == [("order", "eim", "done"), ("switch", "eim", "done")]
            await bench.stop()

    story(pki_folder, tell)


def test_an_order_that_is_cut_off_by_a_lost_modem_is_interrupted_and_then_done(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.order("enable", OPERATOR_A, "--rollback")
        with living(bench) as process:
            cut = asyncio.Event()

            def lose() -> None:
                if not cut.is_set():
                    cut.set()
                    bench.access.trouble = ModemError("the port is gone")
                    asyncio.get_running_loop().call_later(300, setattr, bench.access, "trouble", None)

            process.history.watch(lose)
            await cut.wait()
            await asyncio.sleep(100)
            assert process.only("order").outcome == "interrupted"
            await asyncio.sleep(3 * 3600)
            assert process.only("order").outcome == "done"
            await bench.stop()

    story(pki_folder, tell)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_costs_the_history_over_the_restart_and_nothing_else(pki_folder: Path, code: int) -> None:
    async def tell(bench: AgentBench) -> None:
        bench.order("enable", OPERATOR_A, "--rollback")
        process = Process(bench)
        create = bench.disk.create

        def refusing(path: str) -> File:
            if "history" in path:
                raise OSError(code, os.strerror(code), path)
            return create(path)

        bench.disk.create = refusing  # type: ignore[method-assign]
        await bench.until(FIRST_POLL_S)
        assert process.told == [("order", "eim", "done"), ("switch", "eim", "done")]
        assert len(bench.results) == 1
        await bench.stop()
        process.leave()
        with living(bench) as again:
            assert again.told == []
            await asyncio.sleep(FIRST_POLL_S)
            await bench.stop()

    story(pki_folder, tell)


def test_an_eim_that_never_stops_has_the_history_written_once_a_minute_at_most(pki_folder: Path) -> None:
    async def tell(bench: AgentBench) -> None:
        with living(bench) as process:
            await bench.until(FIRST_POLL_S)
            written: list[float] = []
            save = process.memory.save

            def counted(name: str, document: Any) -> None:
                written.append(asyncio.get_running_loop().time())
                save(name, document)

            process.memory.save = counted  # type: ignore[method-assign]
            for number in range(600):
                process.history.begin("order", f"order {number}", "eim", eim_id="eim")
                process.history.end("order", "done")
                await asyncio.sleep(1)
            assert 9 <= len(written) <= 10
            assert len(process.history.entries()) == 50
            assert len(bench.disk.read("/state/history.json")) < 32_000
            await bench.stop()

    story(pki_folder, tell)
