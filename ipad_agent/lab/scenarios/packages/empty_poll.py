"""Stories about asking for work."""

from __future__ import annotations

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support import card_and_eim_checks


@scenario("poll-empty", "A device that has nothing to do is provisioned, polls, hears so, and polls again in time.")
async def poll_empty(run: Run) -> None:
    """A card without any eIM gets one from the file; two polls with an empty queue."""
    options = BenchOptions(provision="agent", config={"poll": {"interval_s": 2}})
    async with run.bench(options) as bench:
        await card_and_eim_checks.first_poll(run, bench)
        counter = bench.card.state.eim(bench.identity.eim_id)
        async with run.step("it asks again after the interval") as step:
            await bench.eim.entry("request", deadline_s=20)
            up, down = bench.proxy.link.counters["up"], bench.proxy.link.counters["down"]
            step.detail = f"{up.delivered_bytes} bytes up, {down.delivered_bytes} bytes down so far"
        run.check("nothing was handed out", not bench.eim.seen("handed out"))
        run.check("nothing was reported", not bench.eim.seen("result"))
        run.check("the card did not change", bench.card.state.eim(bench.identity.eim_id) == counter)
        run.check("the modem was not reset", bench.modem.module.uicc.reset_count == 1)
        await card_and_eim_checks.ends_when_told(run, bench)
