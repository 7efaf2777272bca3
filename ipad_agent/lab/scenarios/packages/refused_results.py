"""Stories about an eIM that does not take everything it is brought: one result costs one step, never the rest."""

from __future__ import annotations

from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.varlink_call import local_call
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import check_enabled, check_nothing_left, quick, result_of, until

REFUSED, UNEXPECTED, POLL_FAILED = "IPA-4340", "IPA-1006", "IPA-1005"
ANSWERS = ("127", "5.00", "garbage")
HOUR_S = 3600


@scenario(
    "stranger-refuses-results",
    "One result is refused for ever; later orders are carried out, delivered and acknowledged meanwhile.",
    deadline_s=120,
)
async def stranger_refuses_results(run: Run) -> None:
    """By an error number, by a status, by rubbish; over a restart; and at the end the eIM takes what it is owed."""
    async with run.bench(quick(provision="card")) as bench:
        bench.eim.eim.settings.strict_sequence = False  # else none below the last accepted number could ever be taken
        refused = [_refused(bench, answer) for answer in ANSWERS]
        await bench.agent.start()
        async with run.step("each of them is refused, and says so with its reason and the next try"):
            for _ in ANSWERS:
                event = await bench.agent.event(REFUSED, deadline_s=30)
                run.check("after an hour", "next try is in 1 h" in event.text, event.text)
        offers = len(bench.eim.seen("result refused"))
        await _three_orders(run, bench, "meanwhile", OPERATOR_A)
        await _check_owed(run, bench, len(ANSWERS))
        await bench.agent.terminate()
        await bench.agent.start()
        await _three_orders(run, bench, "after a restart", BOOTSTRAP)
        await _check_owed(run, bench, len(ANSWERS))
        again = len(bench.eim.seen("result refused")) - offers
        run.check("in their pause they are not offered", again == 0, f"{again} times")
        run.check("no poll failed", not bench.agent.said(POLL_FAILED, UNEXPECTED))
        bench.eim.eim.take_results()
        async with run.step("the eIM takes them, after it has handed the orders out again"):
            await until(lambda: all(order.state == "done" for order in refused), "accepted result", deadline_s=30)
            await until(lambda: not owed(bench.folder / "agent-state"), "empty journal", deadline_s=20)
        counters = [entry.counter for entry in bench.card.state.eims]
        run.check("no order was carried out twice", counters == [2 * 3 + len(ANSWERS)], f"{counters}")
        check_nothing_left(run, bench)


def _refused(bench: Bench, answer: str) -> Order:
    order = bench.order("list-profiles")
    order.label = f"list-profiles, answered with {answer}"
    bench.eim.eim.refuse_results(order, answer)
    return order


async def _three_orders(run: Run, bench: Bench, when: str, iccid: str) -> None:
    bench.eim.skip()
    orders = [bench.order(*words) for words in (("list-profiles",), ("enable", iccid), ("get-rat",))]
    for order in orders:
        order.label = f"{order.label} {when}"
    async with run.step(f"three later orders are done {when}"):
        for order in orders:
            await result_of(bench, order.label)
    run.check("with success", all(order.state == "done" for order in orders), ", ".join(one.state for one in orders))
    check_enabled(run, bench, iccid)


async def _check_owed(run: Run, bench: Bench, count: int) -> None:
    """What ``ipactl owed`` would show, and the verdict."""
    socket = bench.folder / "agent-run" / "io.github.ipadagent"
    await until(socket.exists, "local socket", deadline_s=20)
    listed = [one for one in (await local_call(socket, "ListOwed"))["owed"] if one["kind"] == "result"]
    tried = sorted(f"{one['reason']}, {one['attempts']}" for one in listed if one["next_attempt"] is not None)
    run.check("all of them are owed, with reason, attempts and next try", len(tried) == count, "; ".join(tried))
    waits_s = [-one["next_attempt"]["age_s"] for one in listed if one["next_attempt"] is not None]
    run.check("the next try is within the hour", all(0 < wait_s <= HOUR_S for wait_s in waits_s), f"{waits_s}")
    status = (await local_call(socket, "GetStatus"))["status"]
    said = " ".join([status["verdict"]["sentence"], *(str(eim["trouble"]) for eim in status["eims"])])
    run.check("the eIM is said to have refused a result", "refused our result" in said, said)
    run.check("and never to be out of reach", status["verdict"]["state"] != "eim-unreachable", said)
