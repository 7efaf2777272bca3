"""``ipad-agent demo``: the main job on a screen, step by step, for someone who has never heard of SGP.32.

The agent is the real one, a process of its own; card, modem, eIM and SM-DP+ are the lab's. What is claimed at the end
is read from the lab's parts, not from what the agent says about itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from ipad_agent.lab.bench.agent_process import AgentEvent
from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer, RspOptions
from ipad_agent.lab.errors import AgentEndedError, NothingHappenedError
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.modem import Cell
from ipad_agent.records import dataclass

from .demo_registration import CONSUMER_CARD, NotRegisteredError, polling, register
from .demo_screen import Screen

SOCKET_NAME: Final = "io.github.ipadagent"

DEADLINE_S: Final = 60.0
NEW: Final = Offer(name="Operator New", size_bytes=30_000)
BAUD: Final = 230_400
"""A serial line of that speed gives the eye time to follow."""
QUIET: Final[dict[str, Table]] = {"poll": {"interval_s": 3600, "fast_phase_s": 0}}
EMULATE: Final[dict[str, Table]] = {"card": {"emulate_iot": "when-needed"}}

INTRODUCTION: Final = """\
A gateway in the field has an eSIM chip (eUICC) for its mobile contracts, called profiles. Which profiles it gets and
which one is used is decided by its owner's server, the eIM. Nobody is there to scan a code or press a button. The
program that connects the two is this agent: it asks the eIM for work, has the chip execute it, and brings back the
chip's signed answer.

Today the gateway shall change its operator. The new profile is not on the chip yet; it waits at the new operator's
download server (SM-DP+). Two orders wait at the eIM: download that profile, then switch to it."""

WAYS: Final = {
    "coaps": """\
Chip, modem and servers are virtual here, but the agent cannot tell: it talks AT commands on a serial port and CoAP over
DTLS 1.2 on UDP to the eIM, which also fetches the profile for it. (With --carrier https it talks HTTPS to the eIM and
fetches the profile from the operator itself.)""",
    "https": """\
Chip, modem and servers are virtual here, but the agent cannot tell: it talks AT commands on a serial port and HTTPS to
the eIM and to the operator's server. (With --carrier coaps it talks CoAP over DTLS to the eIM alone, which then fetches
the profile for it.)""",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: who acts, and what happens, in plain words with the facts filled in."""

    who: str
    text: str
    once: bool = True


STORY: Final[dict[str, Line]] = {
    "IPA-1001": Line("agent", "starts and opens the serial port of the modem"),
    "IPA-2101": Line("card", "is reached: a logical channel to the eSIM's management application stands"),
    "IPA-4004": Line("card", "is told which eIM manages it: identity, signature key and TLS key"),
    "IPA-4001": Line("card", "answers: {kind}, {profiles} profiles, managed by {eims}"),
    "IPA-3001": Line("network", "DTLS 1.2 session with the eIM; its key is the one that the eSIM told us to trust"),
    "IPA-3009": Line("network", "TLS connection to {host}, port {port}; {trusted}", once=False),
    "IPA-4050": Line("eIM", "orders a download: the profile that the operator's server keeps under a code"),
    "IPA-4051": Line("card", "and the operator's server prove to each other who they are"),
    "IPA-4055": Line("card", "installed profile {iccid} and signed for it; nothing else changed, it is not in use yet"),
    "IPA-4034": Line("eIM", "takes the card's signed receipt {seq} and passes it on to the operator", once=False),
    "IPA-4066": Line("operator", "takes the card's signed receipt {seq}", once=False),
    "IPA-4020": Line("eIM", "hands out a signed order: {what}", once=False),
    "IPA-4021": Line("card", "checked the eIM's signature and the counter, and did it: {what}", once=False),
    "IPA-4024": Line("card", "switches its profile; the modem resets it and registers anew"),
    "IPA-4025": Line("card", "is back, now with profile {iccid}; modem and card agree"),
    "IPA-4030": Line(
        "eIM", "received the signed result ({size_bytes} bytes) and acknowledged {acknowledged}", once=False
    ),
    "IPA-4011": Line("eIM", "has no more work; the agent sleeps until the next poll"),
}
REFUSED: Final = "IPA-4012"
UNREGISTERED: Final[dict[str, Line]] = {
    **{name: STORY[name] for name in ("IPA-1001", "IPA-2101", "IPA-4001")},
    "IPA-1231": Line("agent", "finds a consumer card, and emulates the IoT functions in front of it"),
    "IPA-1232": Line("agent", "makes this device's key ({fingerprint:.16}…)"),
    "IPA-4004": Line("agent", "keeps for the card which eIM manages it: identity, signature key and TLS key"),
    REFUSED: Line("eIM", "does not know this card yet: {meaning}"),
}
EMULATED: Final[dict[str, Line]] = STORY | {
    "IPA-3001": Line("network", "DTLS 1.2 session with the eIM; its key is the one that the agent keeps for the card"),
    "IPA-4021": Line(
        "agent", "checked the eIM's signature and the counter, and had the card do it: {what}", once=False
    ),
}
"""What the agent does in the place of a consumer card."""
PROGRESS: Final[dict[str, Line]] = {
    "IPA-4053": Line("network", "the profile arrives, encrypted for this chip alone"),
    "IPA-4054": Line("card", "takes the profile in, piece by piece"),
}
IPACTL: Final = "ipactl"
NO_MORE_WORK, WAITING = "IPA-4011", "IPA-1003"
SWITCHED, POLL_FAILED = "IPA-4024", "IPA-1005"


async def play(*, plain: bool = False, carrier: str = "coaps", card: str = "iot") -> int:
    """Run the demo; the exit status is 0 only if everything that is claimed at the end was seen to be true.

    ``card``: an ``iot`` eUICC, or a ``consumer`` card whose IoT functions the agent emulates."""
    consumer = card == "consumer"
    screen = Screen(plain=plain)
    screen.title("ipad-agent: what it is for, in one run")
    screen.paragraph(INTRODUCTION)
    screen.paragraph(WAYS[carrier])
    if consumer:
        screen.paragraph(CONSUMER_CARD)
    async with Bench(_options(carrier, consumer=consumer)) as bench:
        if not consumer:
            _give_orders(bench)
        socket = bench.folder / "agent-run" / SOCKET_NAME
        screen.paragraph(f"To watch it from a second terminal: {IPACTL} --socket {socket} watch")
        try:
            await bench.agent.start()
            if consumer:
                await _tell(bench, screen, UNREGISTERED, until=REFUSED)
                await register(bench, screen)
                bench.order("list-profiles")
                _give_orders(bench)
                async with polling(socket):
                    await _tell(bench, screen, EMULATED, until=NO_MORE_WORK)
            else:
                await _tell(bench, screen, STORY, until=NO_MORE_WORK)
        except (NothingHappenedError, AgentEndedError, NotRegisteredError) as failure:
            screen.step("demo", f"did not come to its end: {failure}")
            return 1
        shown = await _status(socket, plain=plain)
        stopped = await bench.agent.terminate()
        print()
        return _prove(bench, screen, stopped, shown, consumer=consumer)


async def _status(socket: Path, *, plain: bool) -> int:
    """Let the technician's command say how the agent is; its exit status."""
    print()
    print(f"$ {IPACTL} status", flush=True)
    environment = os.environ | ({"NO_COLOR": "1"} if plain else {})
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", "--socket", str(socket), "status"), env=environment
    )
    return await command.wait()


def _give_orders(bench: Bench) -> None:
    """What waits at the eIM."""
    bench.order("trigger", bench.rsp.code(NEW))
    bench.order("enable", NEW.iccid, "--rollback")


def _options(carrier: str, *, consumer: bool) -> BenchOptions:
    return BenchOptions(
        personality="eg25",
        baud=BAUD,
        carrier=carrier,
        cells={NEW.iccid: Cell(plmn="26203")},
        rsp=RspOptions(offers=(NEW,), relay="https" if carrier == "coaps" else "none"),
        quirks=Quirks(consumer=consumer),
        config=EMULATE | QUIET if consumer else QUIET,
    )


async def _tell(bench: Bench, screen: Screen, story: dict[str, Line], *, until: str) -> None:
    """Show what happens until that event was seen and the agent waits: every receipt is delivered then."""
    seen: set[str] = set()
    while True:
        event = await bench.agent.event(deadline_s=DEADLINE_S)
        name = event.id or ""
        line = story.get(name)
        if name in PROGRESS and isinstance(event.facts.get("total"), int):
            screen.progress(PROGRESS[name].who, PROGRESS[name].text, event.facts["done"], event.facts["total"])
        elif line is not None and not (line.once and name in seen):
            screen.step(line.who, _filled(line.text, event))
        elif name == POLL_FAILED and SWITCHED in seen and event.facts.get("side") == "network":
            screen.step("network", "is not there yet after the switch; the agent tries again by itself")
        elif event.level in ("warning", "error"):
            screen.step("agent", event.text)
        if name == WAITING and until in seen:
            return
        seen.add(name)


def _filled(text: str, event: AgentEvent) -> str:
    return text.format_map({name: str(value) for name, value in event.facts.items()})


def _prove(bench: Bench, screen: Screen, stopped: int, shown: int, *, consumer: bool) -> int:
    """Check every claim against card, modem, servers and network."""
    receipts = [one for one in bench.rsp.smdp.notifications if one.iccid == NEW.iccid and one.verified]
    installed = [one for one in receipts if one.succeeded]
    results = [entry for entry in bench.eim.seen("result") if entry.get("ok") and not entry.get("discarded")]
    orders = bench.eim.eim.device(bench.eid).finished
    short = f"…{NEW.iccid[-4:]}"
    claims: list[tuple[bool, str]] = [
        (
            len(installed) == 1 and NEW.iccid in bench.card.profile_states(),
            f"Profile {short} is on the eSIM, and the operator's server holds the receipt, signed by the chip.",
        ),
        (
            bench.card.enabled_iccid == NEW.iccid,
            f"The eSIM has profile {short} enabled, because the eIM ordered it and for no other reason.",
        ),
        (
            bench.card.active_iccid == NEW.iccid == bench.modem.module.uicc.iccid,
            "The modem sees the same profile: the switch was completed by a card reset, not only stored.",
        ),
        (
            [order.state for order in orders] == ["done", "done"] and bool(results),
            "The eIM knows that both orders are done, by words that the chip signed and the eIM verified.",
        )
        if not consumer
        else _signed_by_the_device(bench),
        (
            not bench.card.state.results and not bench.card.state.notifications,
            "Everything that was acknowledged was removed from the eSIM; nothing is left behind or sent twice.",
        ),
        _sealed(bench),
        (shown == 0, "The agent says of itself that all is well and nothing is owed."),
        (stopped == 0, "The agent stopped at once when told to, owing nothing."),
    ]
    print("What was proved:")
    for good, text in claims:
        screen.check(good, text)
    print()
    return 0 if all(good for good, _ in claims) else 1


def _signed_by_the_device(bench: Bench) -> tuple[bool, str]:
    """How the eIM knows what became of its orders, where the card signs no results."""
    device = bench.eim.eim.device(bench.eid)
    signatures = [entry["facts"]["signature"] for entry in bench.eim.seen("result") if "operations" in entry["facts"]]
    done = [order.state for order in device.finished] == ["done", "done", "done"]
    return (
        done and device.emulated and len(signatures) >= 2 and set(signatures) == {"right (token)"},
        "The eIM knows that all three orders are done, by words that the chip or this device's key signed.",
    )


def _sealed(bench: Bench) -> tuple[bool, str]:
    """How everything travelled."""
    datagrams = bench.proxy.link.tap
    gates = bench.rsp.gates if bench.https_gate is None else (bench.https_gate, *bench.rsp.gates)
    counters = [gate.counters for gate in gates]
    connections = sum(one.connections for one in counters)
    if bench.https_gate is None:
        size = sum(len(item.data) for item in datagrams)
        return (
            bool(datagrams) and all(_is_dtls(item.data) for item in datagrams) and not connections,
            f"All went as CoAP sealed in DTLS 1.2, to the eIM alone: {len(datagrams)} datagrams, {size} bytes.",
        )
    size = sum(one.up_bytes + one.down_bytes for one in counters)
    return (
        connections > 1 and not datagrams,
        f"All went over HTTPS: {connections} connections, {size} bytes, to servers that take nothing but TLS.",
    )


def _is_dtls(datagram: bytes) -> bool:
    """A DTLS 1.0 to 1.2 record header: a known content type and version FE FF or FE FD."""
    return len(datagram) >= 13 and datagram[0] in range(20, 26) and datagram[1:3] in (b"\xfe\xff", b"\xfe\xfd")
