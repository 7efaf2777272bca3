"""Stories about the way through the network: small blocks, lost datagrams."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.network.impaired_network import Impairments
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import CoapSettings, Order
from ipad_agent.lab.eim.orders import package_bytes as eim_packages
from ipad_agent.lab.euicc import OPERATOR_A, bulk_profiles, default_profiles
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    APPLICATION_DATA,
    LIST_WITH_ICONS,
    UNKNOWN_ICCID,
    carries,
    case,
    check_enabled,
    check_nothing_left,
    play,
    quick,
)

BLOCK_BYTES = 64
SZX = 2
SEALED_OVERHEAD_BYTES = 100
"""DTLS record, CoAP header, token and options around one block."""
SEARCHES = 600
LOSS = 0.2
SEEDS = (1, 2, 3)
LIMIT_S = 120.0


@scenario(
    "block-wise", "A package of over 10 kB and a result of over 20 kB travel in blocks of 64 bytes.", deadline_s=90
)
async def block_wise(run: Run) -> None:
    """Blocks are counted on the wire: one datagram of application data each way per block, none larger than a block."""
    options = quick(
        provision="card",
        profiles=[*default_profiles(), *bulk_profiles(19)],
        coap=CoapSettings(block_size_exp=SZX),
        config={"coap": {"block_size": BLOCK_BYTES, "ack_timeout_s": 10.0}},
        tap_size=20_000,
    )
    async with run.bench(options) as bench:
        await bench.agent.start()
        none = eim_packages.list_profile_info(search=der.tlv(0x5A, eim_packages.iccid_bytes(UNKNOWN_ICCID)))
        big_order = Order(eim_packages.PSMO, "", (none,) * SEARCHES)
        before = _datagrams(bench)
        await play(run, bench, [case(big_order, *["listProfileInfo ok"] * SEARCHES, name="a big package")])
        size_bytes = len(big_order.package or b"")
        run.check("the package is big", size_bytes > 10_000, f"{size_bytes} bytes")
        _check_blocks(run, bench, before, size_bytes + len(bench.eim.bodies[-2]))

        before = _datagrams(bench)
        await play(run, bench, [case(LIST_WITH_ICONS, "listProfileInfo ok", name="a big result")])
        size_bytes = len(bench.eim.bodies[-2])
        run.check("the result is big", size_bytes > 20_000, f"{size_bytes} bytes")
        _check_blocks(run, bench, before, size_bytes)
        check_nothing_left(run, bench)


@scenario(
    "loss-20", "With a fifth of all datagrams lost each way, orders are carried out within two minutes.", deadline_s=300
)
async def loss_20(run: Run) -> None:
    """Three seeds, each with its own losses; a list, a switch and a data request for each."""
    bad = Impairments(loss=LOSS)
    coap = {"ack_timeout_s": 0.2, "flight_timeout_s": 0.2, "max_retransmit": 8}
    for seed in SEEDS:
        async with run.bench(quick(provision="card", seed=seed, up=bad, down=bad, config={"coap": coap})) as bench:
            began_s = run.elapsed_s
            await bench.agent.start()
            await play(
                run,
                bench,
                [
                    case("list-profiles", "listProfileInfo ok", name=f"seed {seed}: list"),
                    case(f"enable {OPERATOR_A} --rollback", "enable ok", name=f"seed {seed}: enable"),
                    case("data-request info1,info2,eum,euicc", "ok", name=f"seed {seed}: data"),
                ],
                deadline_s=LIMIT_S,
            )
            took_s = run.elapsed_s - began_s
            run.check(f"seed {seed}: in time", took_s < scaled(LIMIT_S), f"{took_s:.1f} s")
            for direction, counters in bench.proxy.link.counters.items():
                detail = f"{counters.lost} of {counters.offered}"
                run.check(f"seed {seed}: datagrams were lost {direction}", counters.lost > 0, detail)
            check_enabled(run, bench, OPERATOR_A)
            check_nothing_left(run, bench)


def _datagrams(bench: Bench) -> dict[str, int]:
    """Datagrams with application data so far, by direction."""
    items = [item for item in bench.proxy.link.tap if carries(item, APPLICATION_DATA)]
    return {way: sum(item.direction == way for item in items) for way in ("up", "down")}


def _check_blocks(run: Run, bench: Bench, before: dict[str, int], size_bytes: int) -> None:
    """One datagram each way per block of the two bodies, and a few for the polls around them."""
    blocks = -(-size_bytes // BLOCK_BYTES)
    after = _datagrams(bench)
    for way in ("up", "down"):
        count = after[way] - before[way]
        run.check(f"blocks {way}", blocks <= count <= blocks + 20, f"{count} datagrams for {size_bytes} bytes")
    largest = max(len(item.data) for item in bench.proxy.link.tap if carries(item, APPLICATION_DATA))
    run.check("no datagram is larger than a block", largest <= BLOCK_BYTES + SEALED_OVERHEAD_BYTES, f"{largest} bytes")
