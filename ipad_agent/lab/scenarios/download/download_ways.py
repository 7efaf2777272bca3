"""The ways a profile can come: from the SM-DP+ itself or through the eIM, by code, default SM-DP+ or SM-DS."""

from __future__ import annotations

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play
from ipad_agent.lab.scenarios.support.download_steps import (
    HOME,
    carried_out,
    check_calm,
    check_installed,
    check_not_installed,
    direct,
    indirect,
    offer,
    order_download,
)


@scenario("download-direct", "A profile comes from the SM-DP+ over HTTPS, is enabled and used.", deadline_s=60)
async def download_direct(run: Run) -> None:
    """The whole life of a profile: order, download, result to both servers, switch, and the last notifications."""
    wanted = offer()
    async with run.bench(direct(wanted)) as bench:
        order = order_download(bench, wanted)
        await bench.agent.start()
        await carried_out(run, bench, order, "the profile is downloaded")
        check_installed(run, bench, wanted)
        run.check("the order is done for the eIM", order.state == "done", order.state)
        connections = bench.rsp.smdp_gate.counters.connections
        run.check("the device itself was at the SM-DP+", connections > 0, f"{connections} connections")
        bench.cover(wanted.iccid, HOME)
        await play(run, bench, [case(f"enable {wanted.iccid}", "enable ok")])
        check_enabled(run, bench, wanted.iccid)
        check_calm(run, bench)


@scenario(
    "download-indirect-asn1-coaps",
    "A profile comes through the eIM over CoAP, in blocks; the device speaks to nobody else.",
    deadline_s=60,
)
async def download_indirect_asn1_coaps(run: Run) -> None:
    """Block-wise transfer carries the package; the eIM asks the SM-DP+ over HTTPS."""
    await _through_eim(run, indirect(offer(size_bytes=20_000)))


@scenario(
    "download-indirect-asn1-https",
    "A profile comes through the eIM over HTTPS in ASN.1; the device speaks to nobody else.",
    deadline_s=60,
)
async def download_indirect_asn1_https(run: Run) -> None:
    """The same functions on another carrier."""
    await _through_eim(run, indirect(offer(size_bytes=20_000), carrier="https"))


@scenario(
    "download-indirect-json",
    "A profile comes through the eIM over HTTPS in JSON; the device speaks to nobody else.",
    deadline_s=60,
)
async def download_indirect_json(run: Run) -> None:
    """The binding that SGP.32 §6.4 has besides ASN.1."""
    await _through_eim(run, indirect(offer(size_bytes=20_000), carrier="https", binding="json"))


async def _through_eim(run: Run, options: BenchOptions) -> None:
    async with run.bench(options) as bench:
        (wanted,) = bench.rsp.options.offers
        order = order_download(bench, wanted)
        await bench.agent.start()
        await carried_out(run, bench, order, "the profile is downloaded")
        check_installed(run, bench, wanted)
        run.check("the order is done for the eIM", order.state == "done", order.state)
        functions = [entry["function"] for entry in bench.eim.seen("rsp") if entry["ok"]]
        expected = ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage"]
        run.check("the eIM relayed each function once", functions == expected, ", ".join(functions))
        connections = sum(gate.counters.connections for gate in bench.rsp.gates)
        run.check("the device itself was at no SM-DP+", connections == 0, f"{connections} connections")
        datagrams = len(bench.proxy.link.tap)
        over_coap = bench.https_gate is None
        run.check(f"all went over {'CoAP' if over_coap else 'HTTPS'}", bool(datagrams) is over_coap)
        bench.cover(wanted.iccid, HOME)
        await play(run, bench, [case(f"enable {wanted.iccid}", "enable ok")])
        check_enabled(run, bench, wanted.iccid)
        check_nothing_left(run, bench)
        check_calm(run, bench)


@scenario(
    "download-default-smdp",
    "An order that names no server leads to the card's default SM-DP+; the eIM can change which one that is.",
    deadline_s=60,
)
async def download_default_smdp(run: Run) -> None:
    """Directly: first without a default SM-DP+ (the order fails and the eIM hears why), then with the one it set."""
    wanted = offer(matching_id="")
    async with run.bench(direct(wanted, rsp={"known_to_card": False})) as bench:
        await bench.agent.start()
        refused = order_download(bench, "default")
        await carried_out(run, bench, refused, "without a default SM-DP+ the eIM hears that it is impossible")
        run.check("the order has failed", refused.state == "failed", refused.state)
        check_not_installed(run, bench, wanted)
        await play(run, bench, [case(f"set-default-dp {bench.rsp.smdp_address}", "setDefaultDpAddress ok")])
        order = order_download(bench, "default")
        await carried_out(run, bench, order, "with one the profile is downloaded")
        run.check("the order is done for the eIM", order.state == "done", order.state)
        check_installed(run, bench, wanted)
        check_calm(run, bench)
        session = bench.rsp.smdp.sessions.latest
        run.check("the matching ID was empty", session is not None and session.matching_id == "")


@scenario(
    "download-smds",
    "An order to ask the SM-DS leads to the event there and on to its SM-DP+, directly and through the eIM.",
    deadline_s=90,
)
async def download_smds(run: Run) -> None:
    """Twice: the address of the SM-DS from the order, then from the card (root SM-DS)."""
    for name, options in (
        ("directly", direct(offer(event=True))),
        ("through the eIM", indirect(offer(event=True))),
    ):
        async with run.bench(options) as bench:
            (wanted,) = bench.rsp.options.offers
            direct_way = bench.rsp.options.relay == "none"
            order = order_download(bench, "smds" if direct_way else f"smds:{bench.rsp.smds_address}")
            await bench.agent.start()
            await carried_out(run, bench, order, f"the event is found and carried out {name}")
            check_installed(run, bench, wanted, name=name)
            asked = bench.rsp.smds.sessions.latest
            run.check(f"the SM-DS was asked {name}", asked is not None and asked.euicc is not None)
            check_calm(run, bench)
