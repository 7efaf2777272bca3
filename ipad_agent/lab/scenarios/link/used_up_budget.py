"""A story about traffic that is used up."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_nothing_left, quick
from ipad_agent.lab.scenarios.support.download_steps import poll_now

ONLY_RESULTS, BUDGET, NEXT_POLL = "IPA-4400", "IPA-1012", "IPA-1003"
DAY_BYTES = 6000
LIMITED: dict[str, Table] = {
    "budget": {"day_bytes": DAY_BYTES, "hold_at": 0.5},
    "conditions": {"retry_s": 1},
    "poll": {"interval_s": 1},
}


@scenario(
    "budget-exhausted",
    "With half of the day's bytes used up the agent warns and fetches no more work; a person's word still does.",
    deadline_s=60,
)
async def budget_exhausted(run: Run) -> None:
    """Polls that find nothing use up the budget. Counted on the wire, with the headers of IP and UDP."""
    async with run.bench(quick(provision="card", config=LIMITED)) as bench:
        await bench.agent.start()
        async with run.step("polls use up the budget") as step:
            step.detail = (await bench.agent.event(ONLY_RESULTS, deadline_s=30)).text
        run.check("a warning came before", bool(bench.agent.said(BUDGET)))
        spent = sum(one.delivered_bytes + 28 * one.delivered for one in bench.proxy.link.counters.values())
        run.check("not before half of it was used", spent >= DAY_BYTES / 2, f"{spent} bytes on the wire")
        order = bench.order("list-profiles")
        async with run.step("it looks again, and sends nothing"):
            await bench.agent.event(ONLY_RESULTS, deadline_s=30)
            await bench.agent.event(ONLY_RESULTS, deadline_s=30)
        after = sum(one.delivered_bytes + 28 * one.delivered for one in bench.proxy.link.counters.values())
        run.check("nothing left the device", after == spent, f"{after - spent} bytes")
        async with run.step("a person has the work fetched all the same"):
            bench.agent.skip()
            poll_now(bench)
            await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        run.check("the order is done", order.state == "done", order.state)
        await bench.agent.event(NEXT_POLL, deadline_s=30)
        check_nothing_left(run, bench)
