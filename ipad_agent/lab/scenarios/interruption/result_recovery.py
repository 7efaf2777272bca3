"""Stories about what is owed: agent or power go at the worst moment, and everything still happens exactly once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.watched_eim import Entry
from ipad_agent.lab.eim import Fault, Order
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, StatusError
from ipad_agent.lab.euicc.apdu.es10_dispatch import Handler
from ipad_agent.lab.euicc.es10 import pending_notifications
from ipad_agent.lab.euicc.packages import load_euicc_package
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_enabled, check_nothing_left, quick

LOAD_PACKAGE, REMOVE = 0xBF51, 0xBF30


@dataclass(frozen=True, slots=True)
class Crash:
    """One way to die: ``arm`` makes it happen to the next order; ``power`` when the card dies as well."""

    name: str
    arm: Callable[[Bench, contextlib.AsyncExitStack], object]
    power: bool = False


@scenario(
    "recover-results",
    "Killed or without power between card and eIM, it delivers each result exactly once.",
    deadline_s=180,
)
async def recover_results(run: Run) -> None:
    """One switch after the other, each with another accident; in the end the eIM has accepted one result for each."""
    async with run.bench(quick(provision="card")) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        target = OPERATOR_A
        for crash in CRASHES:
            await _one_accident(run, bench, crash, target)
            target = BOOTSTRAP if target == OPERATOR_A else OPERATOR_A
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


async def _one_accident(run: Run, bench: Bench, crash: Crash, target: str) -> None:
    bench.eim.skip()
    async with contextlib.AsyncExitStack() as armed:
        order = bench.order("enable", target)
        order.label = f"enable: {crash.name}"
        crash.arm(bench, armed)
        async with run.step(f"{crash.name}"):
            await bench.agent.wait_ended(deadline_s=30)
    bench.eim.eim.faults.clear()
    if crash.power:
        await bench.power_back()
    else:
        await bench.agent.start()
    async with run.step("the eIM has the result") as step:
        await _settled(bench, order)
        step.detail = str(order.state)
    accepted = _accepted(bench, order)
    run.check("exactly once", len(accepted) == 1, f"{len(accepted)} results accepted")
    run.check("the order was carried out", order.state == "done", _operations(accepted))
    check_enabled(run, bench, target)
    check_nothing_left(run, bench)
    before = len(bench.eim.seen("result"))
    async with run.step("the next poll has nothing to deliver"):
        await bench.eim.entry("request", deadline_s=20)
        bench.agent.skip()
        await bench.agent.event(NO_MORE_WORK, deadline_s=20)
    run.check("nothing was sent again", len(bench.eim.seen("result")) == before)


async def _settled(bench: Bench, order: Order) -> None:
    """Until the agent of now has brought the result, and then has nothing more to do."""
    await bench.agent.event(NO_MORE_WORK, deadline_s=60, where=lambda _: order.state in ("done", "failed"))


def _accepted(bench: Bench, order: Order) -> list[Entry]:
    return [
        entry
        for entry in bench.eim.seen("result")
        if entry.get("order") == order.label and entry.get("discarded") is None and not entry["facts"].get("repeated")
    ]


def _operations(entries: list[Entry]) -> str:
    return "; ".join(str(one) for entry in entries for one in entry["facts"].get("operations", []))


# The accidents


def _handed_out(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The answer with the package is on its way to an agent that is no more."""
    _when_the_eim(bench, armed, "handed out")


def _before_the_card(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The agent wrote the order down; the card does not execute it."""

    def refuse(isdr: Isdr, raw: bytes) -> bytes:
        bench.agent.kill_now()
        raise StatusError(0x6F00)

    _instead(bench, armed, LOAD_PACKAGE, refuse)


def _before_the_answer(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The card executed it; the answer reaches nobody."""

    def die(isdr: Isdr, raw: bytes) -> bytes:
        bench.agent.kill_now()
        return load_euicc_package.load_euicc_package(isdr, raw)

    _instead(bench, armed, LOAD_PACKAGE, die)


def _before_delivery(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The result is on its way when the agent dies; the eIM never reads it."""
    bench.eim.eim.faults.arm(Fault("result", "lose-request", times=-1))
    _when_the_eim(bench, armed, "fault")


def _after_delivery(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The eIM has the result; its acknowledgement is lost, and then the agent dies."""
    bench.eim.eim.faults.arm(Fault("result", "lose-answer", times=-1))
    _when_the_eim(bench, armed, "result")


def _before_removal(bench: Bench, armed: contextlib.AsyncExitStack) -> None:
    """The acknowledgement arrived; the card does not remove anything."""

    def refuse(isdr: Isdr, raw: bytes) -> bytes:
        bench.agent.kill_now()
        raise StatusError(0x6F00)

    _instead(bench, armed, REMOVE, refuse)


def _power(step: str) -> Callable[[Bench, contextlib.AsyncExitStack], object]:
    return lambda bench, armed: bench.card.power_cut_at(step)


CRASHES = (
    Crash("killed when the package was handed out", _handed_out),
    Crash("killed before the card executed the package", _before_the_card),
    Crash("killed before the card's answer arrived", _before_the_answer),
    Crash("killed before the result was delivered", _before_delivery),
    Crash("killed before the acknowledgement arrived", _after_delivery),
    Crash("killed before the card was told of the acknowledgement", _before_removal),
    Crash("power cut after the switch", _power("after-swap"), power=True),
)

_OWN: dict[int, Handler] = {
    LOAD_PACKAGE: load_euicc_package.load_euicc_package,
    REMOVE: pending_notifications.remove_notification,
}


def _instead(bench: Bench, armed: contextlib.AsyncExitStack, tag: int, handler: Handler) -> None:
    bench.card.es10.register(tag, handler)
    armed.callback(bench.card.es10.register, tag, _OWN[tag])


def _when_the_eim(bench: Bench, armed: contextlib.AsyncExitStack, kind: str) -> None:
    """Kill the agent as soon as this happened at the eIM."""

    async def watch() -> None:
        await bench.eim.entry(kind, deadline_s=30)
        bench.agent.kill_now()

    watcher = asyncio.get_running_loop().create_task(watch())
    armed.callback(watcher.cancel)
