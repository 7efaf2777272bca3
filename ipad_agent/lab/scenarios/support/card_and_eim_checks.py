"""Steps that many stories share. What is claimed is read from card, modem and eIM, never from the agent's words."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.scenarios.scenario_runner import Run

__all__ = ["answers_order", "ends_when_told", "first_poll", "switches_to"]

WAITING = "IPA-1003"
START_S = 30.0
SWITCH_S = 60.0


async def first_poll(run: Run, bench: Bench) -> None:
    """Start the agent; its first question must arrive at the eIM."""
    async with run.step("the agent starts and asks the eIM for work") as step:
        await bench.agent.start()
        entry = await bench.eim.entry("request", deadline_s=START_S)
        step.detail = f"EID {entry['eid']}"
    run.check("the eIM knows the EID", entry.get("error") is None, _unless_none(entry.get("error")))
    associated = bench.card.state.eim(bench.identity.eim_id) is not None
    run.check("the card is associated with the eIM", associated)


async def answers_order(run: Run, bench: Bench, *, deadline_s: float = SWITCH_S) -> None:
    """The next result at the eIM must be good and signed by the card, and leave nothing behind on it."""
    async with run.step("the eIM receives the signed result") as step:
        entry = await bench.eim.entry("result", deadline_s=deadline_s)
        step.detail = str(entry.get("order"))
    good = entry.get("ok") is True and entry.get("discarded") is None
    run.check("the result is accepted", good, "" if good else str(entry.get("discarded") or entry.get("facts")))
    acknowledged = await bench.eim.entry("acknowledged", deadline_s=deadline_s)
    async with run.step("the agent goes on after the acknowledgement"):
        await bench.eim.entry("request", deadline_s=deadline_s)
    left = [result.seq for result in bench.card.state.results if result.seq in acknowledged["numbers"]]
    run.check("acknowledged results are off the card", not left, f"left: {left}" if left else "")


async def switches_to(run: Run, bench: Bench, iccid: str, *, deadline_s: float = SWITCH_S) -> None:
    """After an order to enable ``iccid``: result at the eIM, and card, modem and network agree on the profile."""
    await answers_order(run, bench, deadline_s=deadline_s)
    module = bench.modem.module
    run.check("the card has the profile enabled", bench.card.enabled_iccid == iccid, str(bench.card.enabled_iccid))
    run.check("the UICC was reset and shows it", bench.card.active_iccid == iccid, str(bench.card.active_iccid))
    run.check("the modem knows it", module.uicc.iccid == iccid, str(module.uicc.iccid))
    cell = module.radio.cell
    served = cell is not None and cell == bench.coverage.cell_for(iccid)
    run.check("the modem is registered with it", served, cell.plmn if cell is not None else module.radio.state.name)


async def ends_when_told(run: Run, bench: Bench) -> None:
    """SIGTERM must end the idle agent at once and in order, with nothing left open on the card."""
    async with run.step("the agent ends when told") as step:
        bench.agent.skip()
        await bench.agent.event(WAITING, deadline_s=START_S)
        status = await bench.agent.terminate()
        step.detail = f"exit status {status}"
    run.check("its exit status says that all is well", status == 0, str(status))
    channels = sorted(bench.modem.module.uicc.open_channels)
    run.check("no logical channel is left open", not channels, str(channels or ""))


def _unless_none(value: object) -> str:
    return "" if value is None else str(value)
