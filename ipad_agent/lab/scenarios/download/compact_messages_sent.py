"""Stories about an agent that leaves out what the eIM knows (minimizeEsipaBytes)."""

from __future__ import annotations

from typing import Any

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, play
from ipad_agent.lab.scenarios.support.download_steps import (
    HOME,
    carried_out,
    check_calm,
    check_installed,
    indirect,
    offer,
    order_download,
)

MINIMIZES: dict[str, Table] = {"ipa": {"features": ["minimize_esipa_bytes"]}}
DATA = "BF20,BF22,A5,A6,A8"
"""euiccInfo1, euiccInfo2, both certificates, ipaCapabilities."""


@scenario(
    "compact-esipa",
    "What the eIM was told is left out of a download and of a switch's report; the SM-DP+ gets what the card signed.",
    deadline_s=90,
)
async def compact_esipa(run: Run) -> None:
    """Each message is put together again by the eIM's own code, and the SM-DP+ and the eIM check the card's signatures.
    Then the eIM comes back from an old backup."""
    first, second = offer(1), offer(2)
    async with run.bench(indirect(first, second, config=MINIMIZES)) as bench:
        await bench.agent.start()
        await play(run, bench, [case(f"data-request {DATA}", "ok")])
        await _download(run, bench, first)
        functions = [entry["function"] for entry in bench.eim.eim.history if entry.get("compact")]
        run.check(
            "two messages came in compact form",
            functions == ["authenticateClient", "getBoundProfilePackage"],
            ", ".join(functions),
        )
        bench.cover(first.iccid, HOME)
        await play(run, bench, [case(f"enable {first.iccid}", "enable ok")])
        check_enabled(run, bench, first.iccid)
        verified = [record.verified for record in bench.rsp.smdp.notifications]
        run.check("the SM-DP+ could verify every notification", all(verified) and len(verified) > 1, str(verified))
        device: Any = bench.eim.eim.devices[bench.eid]
        device.euicc_info1 = device.euicc_info2 = device.eum_certificate = None
        await _download(run, bench, second)
        after = [entry for entry in bench.eim.eim.history if entry.get("compact")]
        run.check("an eIM without memory gets everything", len(after) == len(functions), f"{len(after)} compact forms")
        check_calm(run, bench)


async def _download(run: Run, bench: Bench, wanted: Offer) -> None:
    order = order_download(bench, wanted)
    await carried_out(run, bench, order, f"profile {wanted.matching_id} comes")
    run.check("the order is done for the eIM", order.state == "done", order.state)
    check_installed(run, bench, wanted)
