"""Stories about downloads that a link cuts off, and about large ones."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, until
from ipad_agent.lab.scenarios.support.download_steps import (
    carried_out,
    check_calm,
    check_installed,
    indirect,
    offer,
    order_download,
    poll_now,
)

CUT_OFF, POLL_FAILED = "IPA-4063", "IPA-1005"
LARGE_BYTES = 500_000
CARD_BYTES = 2_000_000
FAILED_POLLS = 4
BLOCKS_BEFORE_THE_OUTAGE = 12
IMPATIENT: dict[str, Table] = {
    "coap": {
        "ack_timeout_s": 0.1,
        "max_retransmit": 1,
        "handshake_timeout_s": 1.0,
        "exchange_timeout_s": 1.0,
        "flight_timeout_s": 0.1,
        "block_size": 64,
    }
}
"""Minutes become tenths of a second."""


@scenario(
    "long-outage-mid-download",
    "The link dies in the middle of a download and stays dead for many polls; when it is back, the profile comes.",
    deadline_s=90,
)
async def long_outage_mid_download(run: Run) -> None:
    """The order is never given up: attempts that reach nobody are not counted."""
    wanted = offer()
    async with run.bench(indirect(wanted, config=IMPATIENT)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        order = order_download(bench, wanted)
        async with run.step("the link dies while the package comes") as step:
            await until(lambda: _asked_for_package(bench), "the package", deadline_s=30)
            down = bench.proxy.link.counters["down"]
            at = down.delivered
            await until(lambda: down.delivered > at + BLOCKS_BEFORE_THE_OUTAGE, "blocks", deadline_s=30)
            bench.proxy.link.blackout = True
            step.detail = (await bench.agent.event(CUT_OFF, deadline_s=30)).text
        async with run.step(f"{FAILED_POLLS} polls reach nobody") as step:
            for _ in range(FAILED_POLLS):
                failed = await bench.agent.event(POLL_FAILED, deadline_s=30)
                poll_now(bench)
            step.detail = failed.text
        run.check("the eIM was told of no failure", order.state != "failed", order.state)
        bench.proxy.link.blackout = False
        await carried_out(run, bench, order, "with the link back the profile comes", deadline_s=60)
        run.check("the order is done for the eIM", order.state == "done", order.state)
        check_installed(run, bench, wanted)
        check_calm(run, bench)


@scenario("profile-500k", "A profile of half a megabyte comes through the eIM over CoAP, in blocks.", deadline_s=180)
async def profile_500k(run: Run) -> None:
    """Larger than any that the field has, and than what was the limit once."""
    wanted = offer(size_bytes=LARGE_BYTES)
    async with run.bench(indirect(wanted)) as bench:
        bench.card.state.free_memory_bytes = CARD_BYTES
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        order = order_download(bench, wanted)
        await carried_out(run, bench, order, "the profile comes", deadline_s=150)
        run.check("the order is done for the eIM", order.state == "done", order.state)
        check_installed(run, bench, wanted)
        check_calm(run, bench)


def _asked_for_package(bench: Bench) -> bool:
    return any(one.function == "getBoundProfilePackage" for one in bench.rsp.smdp.log)
