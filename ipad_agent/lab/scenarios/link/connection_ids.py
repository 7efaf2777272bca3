"""Stories about Connection IDs (RFC 9146): sessions that need no handshake, wherever and however the agent comes back.

Not for every day: agent and eIM need Mbed TLS 3.6 (docs/connection-id.md).
"""

from __future__ import annotations

from typing import Final

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_nothing_left, quick
from ipad_agent.lab.scenarios.support.download_steps import poll_now

CONNECTED, RECONNECTING, NEXT_POLL = "IPA-3001", "IPA-3003", "IPA-1003"
POLL_S = 20.0
MOST_BYTES: Final = 200
"""For a poll after the first, on the wire, headers of IP and UDP included."""
_CONFIG: Final[dict[str, Table]] = {
    "poll": {"interval_s": 3600, "first_s": 0},
    "coap": {"ack_timeout_s": 0.3, "max_retransmit": 2},
}


def _options() -> BenchOptions:
    return quick(provision="card", config=_CONFIG, dtls={"connection_id_bytes": 8})


async def _first_poll(run: Run, bench: Bench) -> None:
    async with run.step("the agent polls for the first time") as step:
        await bench.agent.start()
        connected = await bench.agent.event(CONNECTED, deadline_s=POLL_S)
        await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
        await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)
        step.detail = connected.text


async def _start_again(bench: Bench) -> None:
    """Until it waits for its next poll, which is far away."""
    bench.agent.skip()
    await bench.agent.start()
    await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)


async def _poll(run: Run, bench: Bench, name: str) -> int:
    """One poll without a handshake; how many bytes it took."""
    before = _on_the_wire(bench)
    async with run.step(name) as step:
        bench.agent.skip()
        poll_now(bench)
        connected = await bench.agent.event(CONNECTED, deadline_s=POLL_S)
        await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
        await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)
        step.detail = connected.text
    run.check("without a handshake", "no handshake" in connected.text, connected.text)
    cost = _on_the_wire(bench) - before
    run.check(f"for {MOST_BYTES} bytes at most", 0 < cost <= MOST_BYTES, f"{cost} bytes")
    return cost


@scenario(
    "cid-new-address",
    "A device that gets another address between polls is known by its Connection ID: no handshake, 200 bytes.",
    deadline_s=60,
    every_day=False,
)
async def cid_new_address(run: Run) -> None:
    """Three times; the eIM sees a new address each time."""
    async with run.bench(_options()) as bench:
        await _first_poll(run, bench)
        for _ in range(3):
            bench.proxy.rebind()
            await _poll(run, bench, "with another address it polls")
        run.check("nothing was given up", not bench.agent.said(RECONNECTING))
        check_nothing_left(run, bench)


@scenario(
    "cid-agent-restart",
    "Stopped or killed and started again, from another address, the agent goes on without a handshake.",
    deadline_s=60,
    every_day=False,
)
async def cid_agent_restart(run: Run) -> None:
    """What it had set aside lies in the runtime folder, and is gone from there while it is in use."""
    async with run.bench(_options()) as bench:
        await _first_poll(run, bench)
        await bench.agent.terminate()
        bench.proxy.rebind()
        await _start_again(bench)
        await _poll(run, bench, "stopped and started, it polls")
        await bench.agent.kill()
        await _start_again(bench)
        await _poll(run, bench, "killed and started, it polls")
        check_nothing_left(run, bench)


@scenario(
    "cid-lost",
    "An eIM that was started anew knows no Connection ID: it is asked once in vain, then with a handshake.",
    deadline_s=60,
    every_day=False,
)
async def cid_lost(run: Run) -> None:
    """The old connection is not tried a second time."""
    async with run.bench(_options()) as bench:
        await _first_poll(run, bench)
        bench.server.restart_quietly()
        async with run.step("it polls the new eIM") as step:
            bench.agent.skip()
            poll_now(bench)
            step.detail = (await bench.agent.event(RECONNECTING, deadline_s=POLL_S)).text
            connected = await bench.agent.event(CONNECTED, deadline_s=POLL_S)
            await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
            await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)
        run.check("with a full handshake", "full handshake" in connected.text, connected.text)
        await _poll(run, bench, "it polls again")
        check_nothing_left(run, bench)


def _on_the_wire(bench: Bench) -> int:
    counters = bench.proxy.link.counters.values()
    return sum(one.delivered_bytes + 28 * one.delivered for one in counters)
