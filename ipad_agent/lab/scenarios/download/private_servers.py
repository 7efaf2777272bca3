"""An eIM that names a server in the device's own networks as an SM-DP+."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.download_steps import (
    carried_out,
    check_calm,
    check_not_installed,
    direct,
    offer,
    order_download,
)

FORBIDDEN = "IPA-3202"
DEFAULT: dict[str, Table] = {"download": {"allow_private_servers": None}}
TOLD = b"this device may not go to its address"


@scenario(
    "download-private-refused",
    "A server on the device itself, named by the eIM, is not connected to, and the eIM hears nothing of it.",
    deadline_s=60,
)
async def download_private_refused(run: Run) -> None:
    """With the default of ``download.allow_private_servers``; the lab's own is to allow it."""
    wanted = offer()
    async with run.bench(direct(wanted, config=DEFAULT)) as bench:
        order = order_download(bench, wanted)
        await bench.agent.start()
        await carried_out(run, bench, order, "the order has its answer")
        check_not_installed(run, bench, wanted)
        run.check("the eIM knows that it failed", order.state == "failed", order.state)
        connections = bench.rsp.smdp_gate.counters.connections
        run.check("nobody connected to the server", connections == 0, f"{connections} connections")
        said = bench.agent.said(FORBIDDEN)
        run.check("the owner is told what the address leads to", bool(said), said[0].text if said else "")
        told = [body for body in bench.eim.bodies if b"127.0.0.1" in body or TOLD in body]
        run.check("the eIM is not told what the address leads to", not told)
        check_calm(run, bench)
