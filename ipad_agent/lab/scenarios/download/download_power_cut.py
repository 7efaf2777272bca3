"""The power goes in the middle of a profile download, at each of its stages."""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import stuck_after
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.eim import Fault as EimFault
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import until
from ipad_agent.lab.scenarios.support.download_steps import (
    carried_out,
    check_calm,
    check_installed,
    check_not_installed,
    direct,
    indirect,
    install_results,
    offer,
    order_download,
    outcome,
)
from ipad_agent.lab.smdp import Fault

ORDERED, INSTALLED = "IPA-4051", "IPA-4055"
SEGMENTS = 11
"""Of the package that is offered here."""
HOLD_S = 30
"""Longer than the power stays: what is held back until then never arrives."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """When the power goes: at a step of the card, or when the agent says something while a server is held back.

    ``survives``: the profile is there afterwards, without a second order.
    """

    name: str
    survives: bool
    card_step: str = ""
    agent_says: str = ""


MOMENTS = (
    _Moment("the trigger is stored", True, agent_says=ORDERED),
    _Moment("the card knows the server", True, card_step="authenticated"),
    _Moment("the download is prepared", True, card_step="prepared"),
    _Moment("the first segment is on the card", False, card_step="segment-1"),
    _Moment("half of the segments are on the card", False, card_step=f"segment-{SEGMENTS // 2}"),
    _Moment("only the last segment is missing", False, card_step=f"segment-{SEGMENTS - 1}"),
    _Moment("the last segment has come and nothing is stored", False, card_step="before-install"),
    _Moment("the profile is stored and nobody was told", True, card_step="after-install"),
    _Moment("the agent has the result and has not reported it", True, agent_says=INSTALLED),
)


@scenario(
    "download-power-cut",
    "Power is lost at each stage of a download; the profile comes whole or not at all, and every server hears which.",
    deadline_s=120,
)
async def download_power_cut(run: Run) -> None:
    """Device, modem and card lose it at once. Until the card is loaded the download begins again; after that the card
    says what became of it, and its signed result reaches the SM-DP+ and the eIM once."""
    for way, options in (("directly", direct), ("through the eIM", indirect)):
        offers = [offer(number) for number, _ in enumerate(MOMENTS, 1)]
        # The first poll waits twice as long after each boot that follows another quickly; twice nothing is nothing.
        async with run.bench(options(*offers, config={"poll": {"first_s": 0}})) as bench:
            for moment, wanted in zip(MOMENTS, offers, strict=True):
                before = bench.card.profile_states()
                await _is_cut(run, bench, moment, wanted, way)
                others = {iccid: on for iccid, on in bench.card.profile_states().items() if iccid != wanted.iccid}
                run.check("the other profiles are as before", others == before)
            check_calm(run, bench)


def _hold_back(bench: Bench, moment: _Moment) -> None:
    """Let the agent stand where it is: the server that it asks next takes its time."""
    function = "initiateAuthentication" if moment.agent_says == ORDERED else "handleNotification"
    bench.rsp.smdp.faults.arm(Fault(function, "late", HOLD_S))
    if bench.rsp.options.relay != "none":
        kinds = {"initiateAuthentication": "initiate", "handleNotification": "notification"}
        bench.eim.eim.faults.arm(EimFault(kinds[function], "lose-request"))


async def _is_cut(run: Run, bench: Bench, moment: _Moment, wanted: Offer, way: str) -> None:
    name = f"{moment.name}, {way}"
    order = order_download(bench, wanted)
    if moment.card_step:
        bench.card.power_cut_at(moment.card_step)
    if moment.agent_says:
        _hold_back(bench, moment)
    bench.agent.skip()
    if not bench.agent.running:
        await bench.agent.start()
    async with run.step(f"power is lost when {name}"):
        if moment.agent_says:
            await bench.agent.event(moment.agent_says, deadline_s=20)
            await bench.power_cut()
        else:
            await until(bench.power_lost.is_set, "power cut", deadline_s=20)
    bench.rsp.smdp.faults.clear()
    bench.eim.eim.faults.clear()
    await bench.power_back(start_agent=False)
    async with stuck_after(20):
        await bench.modem.present.wait()  # sooner the agent would only wait longer for it
    await bench.agent.start()
    await carried_out(run, bench, order, "with power again the agent finishes it")
    if moment.survives:
        run.check("the order is done for the eIM", order.state == "done", order.state)
        check_installed(run, bench, wanted)
    else:
        run.check("the eIM knows that it failed", order.state == "failed", order.state)
        seen = outcome(bench)
        run.check("the SM-DP+ has the card's word for it", seen.endswith("installFailedDueToInterruption"), seen)
        run.check("once", len(install_results(bench, wanted)) <= 1)
        check_not_installed(run, bench, wanted)
