"""Stories about a card with several eIMs: each gets its own, and one may take its leave."""

from __future__ import annotations

from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.second_eim import EimSpot
from ipad_agent.lab.bench.watched_eim import WatchedEim
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    NO_MORE_WORK,
    check_enabled,
    check_nothing_left,
    check_result,
    until,
)
from ipad_agent.lab.scenarios.support.switch_steps import COMMITTED, proving, ready, said

SECOND = "second.lab.example"


@scenario(
    "two-eims",
    "Two eIMs, one over CoAP and one over HTTPS, each get their own results and hear of the other's switch.",
    deadline_s=60,
)
async def two_eims(run: Run) -> None:
    """Own keys, own tokens, own counters; a switch that one ordered is a state change (otherEim) for the other."""
    async with run.bench(proving(more_eims=[EimSpot(SECOND, "https")])) as bench:
        first, second = bench.eim, bench.eims[SECOND].eim
        await ready(bench)
        async with run.step("both are asked for work"):
            for eim in (first, second):
                await eim.entry("request", deadline_s=20)
        mine = bench.order("enable", OPERATOR_A, "--rollback")
        await _answered(run, bench, first, mine, "enable ok")
        await said(run, bench, "the switch of the first is committed", COMMITTED)
        await _heard_of_change(run, second, "the second")
        yours = bench.order("enable", OPERATOR_B, "--rollback", eim_id=SECOND)
        await _answered(run, bench, second, yours, "enable ok")
        await said(run, bench, "the switch of the second is committed", COMMITTED)
        await _heard_of_change(run, first, "the first")
        again = bench.order("list-profiles")
        await _answered(run, bench, first, again, "listProfileInfo ok")
        await _nothing_owed(run, bench)
        check_enabled(run, bench, OPERATOR_B)
        check_nothing_left(run, bench)
        counters = {entry.eim_id: entry.counter for entry in bench.card.state.eims}
        run.check("each order was executed once", list(counters.values()) == [2, 1], f"{counters}")
        for eim, wanted in ((first, [mine.label, again.label]), (second, [yours.label])):
            got = [entry.get("order") for entry in eim.seen("result")]
            run.check(f"{eim.eim.identity.eim_id} got its own results only", got == wanted, f"{got}")
        told = [entry["stateChange"] for eim in (first, second) for entry in _changes(eim)]
        run.check("each heard of one change, once", told == ["otherEim"] * 2, f"{told}")


@scenario(
    "eim-deletes-itself",
    "An eIM orders its own deletion: it gets the result over the association that it had, and is left alone then.",
    deadline_s=60,
)
async def eim_deletes_itself(run: Run) -> None:
    """The card forgets the trust data at once, so that the agent has to have kept them; the other eIM goes on."""
    async with run.bench(proving(more_eims=[EimSpot(SECOND, "https")])) as bench:
        first, second = bench.eim, bench.eims[SECOND].eim
        await ready(bench)
        farewell = bench.order("delete-eim", SECOND, eim_id=SECOND)
        await _answered(run, bench, second, farewell, "deleteEim ok")
        left = [entry.eim_id for entry in bench.card.state.eims]
        run.check("one eIM is left on the card", left == [bench.identity.eim_id], ", ".join(left))
        await _nothing_owed(run, bench)
        asked = len(second.seen("request"))
        for number in (1, 2):
            order = bench.order("list-profiles")
            order.label = f"list-profiles {number}"
            await _answered(run, bench, first, order, "listProfileInfo ok")
        await _nothing_owed(run, bench)
        run.check("nobody asks the one that is gone", len(second.seen("request")) == asked, f"{asked} times before")
        check_nothing_left(run, bench)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


async def _answered(run: Run, bench: Bench, eim: WatchedEim, order: Order, *expected: str) -> None:
    entry = await eim.entry("result", deadline_s=20, where=lambda entry: entry.get("order") == order.label)
    check_result(run, f"{order.label} of {eim.eim.identity.eim_id}", entry, expected)


async def _heard_of_change(run: Run, eim: WatchedEim, name: str) -> None:
    async with run.step(f"{name} is told that another eIM changed the profiles"):
        await until(lambda: bool(_changes(eim)), "a state change", deadline_s=20)


def _changes(eim: WatchedEim) -> list[dict[str, object]]:
    return [entry for entry in eim.seen("request") if entry.get("notifyStateChange")]


async def _nothing_owed(run: Run, bench: Bench) -> None:
    async with run.step("nothing is owed any more"):
        await until(lambda: not owed(bench.folder / "agent-state"), "empty journal", deadline_s=20)
        bench.agent.skip()
        await bench.agent.event(NO_MORE_WORK, deadline_s=20)
