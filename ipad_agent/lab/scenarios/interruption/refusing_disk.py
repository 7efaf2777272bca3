"""Stories about the device's disk, full, read-only or emptied in the middle of a switch, and read-only from the start.

The disk is a real tmpfs in a mount namespace. At the end profile, eIM and journal agree, also after a restart.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.state_disk import StateDisk
from ipad_agent.lab.bench.varlink_call import local_call
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_enabled, check_nothing_left, until
from ipad_agent.lab.scenarios.support.switch_steps import (
    COMMITTED,
    LONG_S,
    SHORT_S,
    SWITCHED,
    WENT_BACK,
    proving,
    ready,
    said,
    told,
)

REFUSED, ACCEPTS, REMOVED, STATE_REMOVED = "IPA-1208", "IPA-1210", "IPA-1211", "IPA-1217"
NOT_TAKEN, UNEXPECTED, CARD_LOST = "IPA-4045", "IPA-1006", "IPA-1004"
SOCKET = "io.github.ipadagent"

Deed = Callable[[StateDisk], Awaitable[None]]


async def _fill(disk: StateDisk) -> None:
    disk.fill()


async def _make_room(disk: StateDisk) -> None:
    disk.make_room()


async def _read_only(disk: StateDisk) -> None:
    await disk.remount("ro")


async def _writable(disk: StateDisk) -> None:
    await disk.remount("rw")


async def _empty(disk: StateDisk) -> None:
    disk.empty()


async def _nothing(disk: StateDisk) -> None:
    return None


@scenario(
    "switch-disk-full",
    "The disk becomes full in the middle of a switch: the profile proves itself, or is given up in time, all the same.",
    deadline_s=120,
)
async def switch_disk_full(run: Run) -> None:
    """What the agent decides meanwhile is on the disk as soon as there is room, before anybody restarts it."""
    for covered in (True, False):
        await _in_the_middle(run, covered, _fill, _make_room, (REFUSED,), (ACCEPTS,))


@scenario(
    "switch-disk-read-only",
    "The disk is remounted read-only in the middle of a switch: the way back does not need it.",
    deadline_s=120,
)
async def switch_disk_read_only(run: Run) -> None:
    """The agent holds no file open for writing, so that the remount is possible at all."""
    for covered in (True, False):
        await _in_the_middle(run, covered, _read_only, _writable, (REFUSED,), (ACCEPTS,))


@scenario(
    "switch-disk-emptied",
    "Somebody removes all files of the state directory in the middle of a switch: they are made anew from memory.",
    deadline_s=120,
)
async def switch_disk_emptied(run: Run) -> None:
    """It is noticed although nobody tells, and a second agent still finds the first."""
    for covered in (True, False):
        await _in_the_middle(run, covered, _empty, _nothing, (REMOVED, STATE_REMOVED), ())


async def _in_the_middle(
    run: Run, covered: bool, break_it: Deed, mend_it: Deed, noticed: tuple[str, ...], mended: tuple[str, ...]
) -> None:
    name = "a profile that works" if covered else "a profile without coverage"
    options = proving(cells={OPERATOR_A: None}, confirm_s=LONG_S if covered else SHORT_S)
    async with run.bench(options) as bench, StateDisk(bench.folder / "agent-state") as disk:
        bench.agent.command = disk.command(*bench.agent.command)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, f"the card switches to {name}", SWITCHED)
        await break_it(disk)
        if covered:
            bench.set_coverage(OPERATOR_A, True)
            await said(run, bench, "it proves itself", COMMITTED, deadline_s=LONG_S)
            await told(run, bench, order, "enable ok")
        else:
            await said(run, bench, "the old profile is back", WENT_BACK)
            await told(run, bench, order, "enable ok", "rollback ok")
        async with run.step("the agent noticed what happened to its disk"):
            await until(lambda: bool(bench.agent.said(*noticed)), "word of it", deadline_s=20)
        await mend_it(disk)
        async with run.step("the disk has what the agent knows"):
            await until(lambda: not mended or bool(bench.agent.said(*mended)), "word of it", deadline_s=30)
            await until(lambda: (disk.path / "journal").exists() and not owed(disk.path), "journal", deadline_s=20)
        await _check_alone(run, bench, disk)
        await bench.agent.kill()
        await ready(bench)
        await _check_agreed(run, bench, disk, OPERATOR_A if covered else BOOTSTRAP, order.label)


async def _check_alone(run: Run, bench: Bench, disk: StateDisk) -> None:
    words = disk.command(sys.executable, "-m", "ipad_agent", "run", "--config", str(bench.agent.config))
    second = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, heard = await second.communicate()
    run.check("a second agent is refused", b"another agent uses" in heard and second.returncode != 0, heard.decode())


async def _check_agreed(run: Run, bench: Bench, disk: StateDisk, iccid: str, label: str) -> None:
    check_enabled(run, bench, iccid)
    check_nothing_left(run, bench)
    run.check("the journal is empty", not owed(disk.path), ", ".join(entry.kind for entry in owed(disk.path)))
    results = [entry for entry in bench.eim.seen("result") if entry.get("order") == label]
    run.check("the eIM was told once", len(results) == 1, f"{len(results)} times")
    run.check("the agent never failed", not bench.agent.said(UNEXPECTED, CARD_LOST))


@scenario(
    "start-disk-read-only",
    "With a read-only disk the agent starts, says so first, polls and takes no order until it can write it down.",
    deadline_s=120,
)
async def start_disk_read_only(run: Run) -> None:
    """On a disk that was never written, and on one that has a journal and a lock from before."""
    async with run.bench(proving()) as bench, StateDisk(bench.folder / "agent-state") as disk:
        bench.agent.command = disk.command(*bench.agent.command)
        for name in ("an empty disk", "a disk that was used before"):
            await disk.remount("ro")
            await ready(bench)
            status = await local_call(bench.folder / "agent-run" / SOCKET, "GetStatus")
            verdict = status["status"]["verdict"]
            run.check(
                f"with {name} the first line says so", verdict["sentence"].startswith("No new order"), str(verdict)
            )
            before = len(bench.eim.seen("result"))
            order = bench.order("list-profiles")
            await said(run, bench, f"with {name} no order is taken", NOT_TAKEN)
            run.check("the card did not get it", len(bench.eim.seen("result")) == before)
            await _check_alone(run, bench, disk)
            await disk.remount("rw")
            await told(run, bench, order, "listProfileInfo ok", deadline_s=30)
            await said(run, bench, "nothing is left to do", NO_MORE_WORK)
            check_nothing_left(run, bench)
            run.check("the agent never failed", not bench.agent.said(UNEXPECTED, CARD_LOST))
            await bench.agent.terminate()
            bench.eim.skip()
