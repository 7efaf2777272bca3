"""Profiles that an eIM has downloaded to an emulated card: the card itself signs what the SM-DP+ is told, the device
what the eIM is told."""

from __future__ import annotations

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, play
from ipad_agent.lab.scenarios.support.download_steps import (
    HOME,
    carried_out,
    check_calm,
    check_installed,
    direct,
    indirect,
    offer,
    order_download,
)
from ipad_agent.lab.scenarios.support.emulated_card_steps import (
    CONSUMER,
    EMULATE,
    check_emulated_end,
    kept,
    registered,
)


@scenario(
    "emulated-download-direct",
    "A profile comes onto an emulated card from the SM-DP+ itself, is enabled by order, and everybody knows.",
    deadline_s=60,
)
async def emulated_download_direct(run: Run) -> None:
    """The SM-DP+ verifies the installation by the card's certificate, the eIM the order by the device's key."""
    await _downloaded(run, direct(offer(), quirks=CONSUMER, config=EMULATE, provision="agent"), relayed=False)


@scenario(
    "emulated-download-indirect",
    "A profile comes onto an emulated card through the eIM, is enabled by order, and everybody knows.",
    deadline_s=60,
)
async def emulated_download_indirect(run: Run) -> None:
    """The device speaks to nobody else; the session is between card and SM-DP+ all the same."""
    await _downloaded(run, indirect(offer(), quirks=CONSUMER, config=EMULATE, provision="agent"), relayed=True)


async def _downloaded(run: Run, options: BenchOptions, *, relayed: bool) -> None:
    async with run.bench(options) as bench:
        await registered(run, bench)
        (wanted,) = bench.rsp.options.offers
        bench.cover(wanted.iccid, HOME)
        order = order_download(bench, wanted)
        await carried_out(run, bench, order, "the profile is downloaded")
        check_installed(run, bench, wanted)
        run.check("the order is done for the eIM", order.state == "done", order.state)
        connections = sum(gate.counters.connections for gate in bench.rsp.gates)
        run.check("it went the way that was wanted", bool(connections) is not relayed, f"{connections} connections")
        listed, enabled = case("list-profiles", "listProfileInfo ok"), case(f"enable {wanted.iccid}", "enable ok")
        first, _ = await play(run, bench, [listed, enabled])
        names = [row["iccid"] for row in first["facts"]["operations"][0]["profiles"]]
        run.check("the list has it", wanted.iccid in names, str(names))
        await check_emulated_end(run, bench, wanted.iccid, [listed.order, enabled.order])


@scenario(
    "emulated-immediate-enable",
    "On an emulated card a new profile is used at once where the eIM allows it, and no other SM-DP+'s is.",
    deadline_s=60,
)
async def emulated_immediate_enable(run: Run) -> None:
    """Who may, is kept by the device; the enabling is the card's own. The eIM is told why the profile changed."""
    other, wanted = offer(1), offer(2)
    options = direct(other, wanted, quirks=CONSUMER, config=EMULATE, provision="agent")
    async with run.bench(options) as bench:
        await registered(run, bench)
        bench.cover(wanted.iccid, HOME)
        before = bench.card.enabled_iccid
        elsewhere = case("immediate-enable on 2.999.99 elsewhere.example", "configureImmediateEnable ok")
        await play(run, bench, [elsewhere])
        run.check("the device keeps who may", kept(bench)["immediate"] is not None)
        order = order_download(bench, other)
        await carried_out(run, bench, order, "a profile of another SM-DP+ comes")
        check_installed(run, bench, other, name="another SM-DP+'s")
        check_enabled(run, bench, before)
        words = f"immediate-enable on {bench.pki.smdp_oid} {bench.rsp.smdp_address}"
        await play(run, bench, [case(words, "configureImmediateEnable ok", name="for the right one")])
        order = order_download(bench, wanted)
        await carried_out(run, bench, order, "a profile of the right SM-DP+ comes")
        check_installed(run, bench, wanted, enabled=True)
        causes = [entry["stateChange"] for entry in bench.eim.seen("request") if entry.get("stateChange")]
        run.check("the eIM was told why, once", len(causes) == 1 and "mmediate" in causes[0], str(causes))
        last = case("list-profiles", "listProfileInfo ok")
        await play(run, bench, [last])
        await check_emulated_end(run, bench, wanted.iccid, [elsewhere.order, last.order])
        check_calm(run, bench)
