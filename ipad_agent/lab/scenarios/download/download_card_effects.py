"""What a download does to the card: enabling at once, notifications for many receivers, not an APDU too many."""

from __future__ import annotations

import base64
import contextlib
import socket
from dataclasses import dataclass

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.crypto import der
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play
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
from ipad_agent.lab.smdp import Metadata, Order, PortSettings, ProfilePackage, ServerIdentity, SmdpServer, VirtualSmdp

STORE_DATA = 0xE2
LAST_BLOCK = 0x80
BLOCK_BYTES = 255
LARGE_BYTES = 60_000
PACKAGE = "getBoundProfilePackage"
PAUSED = "IPA-4067"


@scenario(
    "immediate-enable",
    "Where the eIM has configured it, a new profile is used as soon as it is installed, and the eIM is told.",
    deadline_s=60,
)
async def immediate_enable(run: Run) -> None:
    """Only for profiles of the SM-DP+ that was named; another one's stays disabled until it is ordered otherwise."""
    for way, options in (("directly", direct), ("through the eIM", indirect)):
        other, wanted = offer(1), offer(2)
        async with run.bench(options(other, wanted)) as bench:
            bench.cover(wanted.iccid, HOME)
            await bench.agent.start()
            configured = "configureImmediateEnable ok"
            await play(run, bench, [case("immediate-enable on 2.999.99 elsewhere.example", configured)])
            order = order_download(bench, other)
            await carried_out(run, bench, order, f"a profile of another SM-DP+ comes, {way}")
            check_installed(run, bench, other, name="another SM-DP+'s")
            words = f"immediate-enable on {bench.pki.smdp_oid} {bench.rsp.smdp_address}"
            await play(run, bench, [case(words, configured)])
            bench.eim.skip()
            order = order_download(bench, wanted)
            await carried_out(run, bench, order, f"a profile of the right SM-DP+ comes, {way}")
            check_installed(run, bench, wanted, enabled=True)
            check_enabled(run, bench, wanted.iccid)
            causes = [entry["stateChange"] for entry in bench.eim.seen("request") if entry.get("stateChange")]
            run.check(
                "the eIM was told why the profiles changed", any("mmediate" in one for one in causes), str(causes)
            )
            check_calm(run, bench)


@scenario(
    "notification-receivers",
    "Notifications for three receivers, one of them dead: two get theirs at once, the third when it is back.",
    deadline_s=60,
)
async def notification_receivers(run: Run) -> None:
    """Each receiver gets each of its notifications once, in order; the card keeps what nobody has taken."""
    async with run.bench(direct()) as bench, contextlib.AsyncExitStack() as stack:
        dead_port = _free_port()
        second, server = await _receiver(bench, stack)
        addresses = [bench.rsp.smdp_address, f"localhost:{server.port}", f"localhost:{dead_port}"]
        first_offer, second_offer = offer(11), offer(12)
        for one in (first_offer, second_offer):
            _put_out(bench, one, addresses)
        order = order_download(bench, first_offer)
        await bench.agent.start()
        await carried_out(run, bench, order, "a profile comes with three receivers of its installation")
        alive = {"the SM-DP+": bench.rsp.smdp, "the second receiver": second}
        for name, core in alive.items():
            _check_told(run, core, name, [first_offer])
        left = [one.address for one in bench.card.state.notifications]
        run.check("the card keeps what the dead receiver did not take", left == addresses[2:], ", ".join(left))
        run.check("the agent says so", bool(bench.agent.said(PAUSED)))
        third, _ = await _receiver(bench, stack, dead_port)
        order = order_download(bench, second_offer)
        await carried_out(run, bench, order, "the third receiver is there, and another profile comes")
        for name, core in {**alive, "the third receiver": third}.items():
            _check_told(run, core, name, [first_offer, second_offer])
        check_nothing_left(run, bench)
        check_calm(run, bench)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _receiver(bench: Bench, stack: contextlib.AsyncExitStack, port: int = 0) -> tuple[VirtualSmdp, SmdpServer]:
    """Another server that takes notifications."""
    core = VirtualSmdp(ServerIdentity.smdp(bench.pki))
    server = SmdpServer(core, PortSettings(port=port))
    await stack.enter_async_context(server)
    return core, server


def _put_out(bench: Bench, wanted: Offer, addresses: list[str]) -> None:
    notify = tuple(((0,), address) for address in addresses)
    package = ProfilePackage.sample(Metadata(wanted.iccid, name=wanted.name, notify=notify), wanted.size_bytes)
    bench.rsp.smdp.orders.add(Order(wanted.matching_id, package))


def _check_told(run: Run, core: VirtualSmdp, name: str, offers: list[Offer]) -> None:
    events = [record for record in core.notifications if record.kind == "event"]
    told = [record.iccid for record in events]
    good = told == [one.iccid for one in offers] and all(one.verified and one.times == 1 for one in events)
    good = good and all("install" in one.events for one in events)
    run.check(f"{name} was told of each installation, once and in order", good, f"{len(events)} notifications")


@dataclass(frozen=True, slots=True)
class _Command:
    """STORE DATA as the card put it together: its data, where in the trace it began, and its blocks."""

    data: bytes
    begin: int
    blocks: tuple[int, ...]
    """Data bytes of each block."""


@scenario(
    "download-60k-apdus",
    "A 60 kB profile is loaded over AT+CSIM and AT+CGLA with no APDU more than its segments need.",
    deadline_s=120,
)
async def download_60k_apdus(run: Run) -> None:
    """The segments are cut here by the rules of SGP.22 §2.5.5, and compared with what the card was sent."""
    for transport, personality in (("csim", "sim7600"), ("cgla", "eg25")):
        wanted = offer(size_bytes=LARGE_BYTES)
        config = {"modem": {"transport": transport}}
        async with run.bench(direct(wanted, personality=personality, config=config)) as bench:
            order = order_download(bench, wanted)
            await bench.agent.start()
            await carried_out(run, bench, order, f"the profile comes over {transport}", deadline_s=60)
            check_installed(run, bench, wanted, name=transport)
            segments = _segments(_package(bench))
            blocks = sum(-(-len(one) // BLOCK_BYTES) for one in segments)
            expected = blocks + 1  # one GET RESPONSE for the card's result
            commands = _commands(bench)
            at = next(i for i, command in enumerate(commands) if command.data[:2] == b"\xbf\x36")
            loading = commands[at : at + len(segments)]
            run.check(f"the segments are cut by the rules ({transport})", [c.data for c in loading] == segments)
            full = all(size == BLOCK_BYTES for command in loading for size in command.blocks[:-1])
            run.check(f"every block but the last of a segment is full ({transport})", full)
            following = commands[at + len(segments)]
            used = following.begin - loading[0].begin
            run.check(
                f"no APDU more than needed ({transport})",
                used == expected,
                f"{sum(map(len, segments))} bytes in {len(segments)} segments: expected {expected} APDUs, used {used}",
            )
            check_calm(run, bench)


def _package(bench: Bench) -> bytes:
    """What the SM-DP+ handed out last."""
    exchange = next(one for one in reversed(bench.rsp.smdp.log) if one.function == PACKAGE)
    body = exchange.reply.body or {}
    return base64.b64decode(body["boundProfilePackage"])


def _segments(package: bytes) -> list[bytes]:
    """BF36's head with BF23; A0; A1's head, then each 88; A2; A3's head, then each 86."""
    whole = der.parse(package)
    first, *groups = whole.children
    segments = [package[: len(package) - len(whole.value)] + first.raw]
    for group in groups:
        if group.tag in (0xA1, 0xA3):
            segments.append(group.raw[: len(group.raw) - len(group.value)])
            segments += [one.raw for one in group.children]
        else:
            segments.append(group.raw)
    return segments


def _commands(bench: Bench) -> list[_Command]:
    """All STORE DATA commands that the card saw."""
    commands: list[_Command] = []
    data, begin = b"", 0
    blocks: list[int] = []
    for number, (apdu, _) in enumerate(bench.slot.trace):
        if len(apdu) < 5 or apdu[1] != STORE_DATA:
            continue
        if not blocks:
            begin = number
        part = apdu[5 : 5 + apdu[4]]
        data += part
        blocks.append(len(part))
        if apdu[2] & LAST_BLOCK:
            commands.append(_Command(data, begin, tuple(blocks)))
            data, blocks = b"", []
    return commands
