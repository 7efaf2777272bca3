"""What the stories share: quick benches, batches of orders with expected results, looks at card and network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ipad_agent.lab.bench.agent_toml import Table, merged
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.network.impaired_network import Datagram
from ipad_agent.lab.bench.real_time_limits import stuck_after
from ipad_agent.lab.bench.watched_eim import Entry
from ipad_agent.lab.eim import CoapsServer, DtlsSettings, Order, TlsIdentity, build_order
from ipad_agent.lab.errors import NothingHappenedError
from ipad_agent.lab.euicc import Profile
from ipad_agent.lab.euicc.state.profile_list import isdp_aid, with_check_digit
from ipad_agent.lab.scenarios.scenario_runner import Run

APPLICATION_DATA = 23
HANDSHAKE = 22
CLIENT_HELLO = 1
LOOK_EVERY_S = 0.02
MAX_SHOWN = 4

UNKNOWN_ICCID = with_check_digit("8949020000999999999")
LIST_WITH_ICONS = "list-profiles 5A 4F 9F70 90 91 92 93 94 95"
"""The order whose result is as big as the profiles' icons."""
NO_MORE_WORK = "IPA-4011"
WAITING = "IPA-1003"

QUICK_MODEM: dict[str, object] = {
    "refresh_delay_s": 0.02,
    "card_init_s": 0.05,
    "attach_s": 0.05,
    "reboot_s": 0.3,
    "port_away_s": 0.3,
}
QUICK_POLLS: dict[str, Table] = {
    "poll": {
        "interval_s": 1,
        "backoff_first_s": 0.2,
        "backoff_local_s": 0.2,
        "backoff_trust_s": 0.5,
        "backoff_unknown_s": 0.5,
        "max_packages": 1000,
        "pause_s": 0.2,
    },
    "switch": {"probe_first_s": 0.1, "probe_s": 0.3},
}


def quick(
    personality: str = "eg25",
    *,
    modem: dict[str, object] | None = None,
    config: dict[str, Table] | None = None,
    **more: Any,
) -> BenchOptions:
    """Options of a bench on which nothing takes longer than it must; ``more`` as in ``BenchOptions``."""
    return BenchOptions(
        personality=personality,
        modem={**QUICK_MODEM, **(modem or {})},
        config=merged(QUICK_POLLS, config or {}),
        **more,
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One order and what must come of it: ``enable ok`` per operation, or ``package replayError`` for a refusal."""

    order: Order
    expected: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.order.label


def case(words: str | Order, *expected: str, name: str | None = None) -> Case:
    """A case from words as typed (``enable 8949… + list-profiles``) or from a finished order."""
    order = build_order(words.split()) if isinstance(words, str) else words
    order.label = name or order.label
    return Case(order, expected)


async def play(run: Run, bench: Bench, cases: Sequence[Case], *, deadline_s: float = 30.0) -> list[Entry]:
    """Queue all cases at once, compare each result that the eIM accepts with what is expected of it."""
    bench.eim.skip()
    for one in cases:
        bench.eim.eim.enqueue(bench.eid, one.order)
    entries = []
    for one in cases:
        entry = await result_of(bench, one.name, deadline_s=deadline_s)
        check_result(run, one.name, entry, one.expected)
        entries.append(entry)
    bench.agent.skip()
    await bench.agent.event(NO_MORE_WORK, deadline_s=deadline_s)
    await bench.agent.event(WAITING, deadline_s=deadline_s)  # notifications are delivered at the end of a poll
    return entries


async def result_of(bench: Bench, label: str, *, deadline_s: float = 30.0) -> Entry:
    """The next result that the eIM finds to belong to this order."""
    return await bench.eim.entry("result", deadline_s=deadline_s, where=lambda entry: entry.get("order") == label)


def check_result(run: Run, name: str, entry: Entry, expected: Sequence[str]) -> None:
    """One accepted result against what is expected; its signature must be right wherever there is one."""
    seen = seen_in(entry)
    facts = entry["facts"]
    signed = facts.get("variant") in ("result", "error")
    signature = str(facts.get("signature", "none"))
    good = seen == list(expected) and entry.get("discarded") is None
    good = good and (not signed or signature.startswith("right"))
    detail = _listed(seen)
    if not good:
        detail = f"expected {_listed(expected)}; seen {detail}; signature {signature}, {entry.get('discarded')}"
    run.check(name, good, detail)


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(words[:MAX_SHOWN])
    return shown if len(words) <= MAX_SHOWN else f"{shown} … ({len(words)})"


def seen_in(entry: Entry) -> list[str]:
    """A result in the words of ``Case.expected``."""
    facts = entry["facts"]
    match facts.get("variant"):
        case "result":
            return [f"{one['operation']} {one.get('name', 'ok')}" for one in facts["operations"]]
        case "error":
            return [f"package {facts['name']}"]
        case "unsigned error":
            return ["package refused unsigned"]
    return [str(facts.get("name", "ok" if facts.get("ok") else "unread"))]


def _left_on_card(bench: Bench) -> list[int]:
    state = bench.card.state
    return [result.seq for result in state.results] + [notification.seq for notification in state.notifications]


async def check_nothing_left_soon(run: Run, bench: Bench) -> None:
    """The same as ``check_nothing_left`` while the agent may still be at it."""
    with contextlib.suppress(NothingHappenedError):
        await until(lambda: not _left_on_card(bench), "card with nothing left", deadline_s=20)
    check_nothing_left(run, bench)


def check_nothing_left(run: Run, bench: Bench) -> None:
    """Everything that was acknowledged is gone from the card."""
    left = _left_on_card(bench)
    run.check("nothing is left on the card", not left, f"left: {left or 'nothing'}")


def check_enabled(run: Run, bench: Bench, iccid: str | None) -> None:
    """Card and modem agree on the enabled profile."""
    on_card, at_modem = bench.card.enabled_iccid, bench.modem.module.uicc.iccid
    run.check(
        "card and modem have the profile",
        on_card == iccid and at_modem == iccid,
        f"expected {iccid}, card {on_card}, modem {at_modem}",
    )


def spare_profile(number: int, **fields: Any) -> Profile:
    """Another disabled operational profile."""
    return Profile(
        with_check_digit(f"894902000070{number:07d}"), isdp_aid(0x40 + number), name=f"Spare {number}", **fields
    )


async def until(happened: Callable[[], bool], what: str, *, deadline_s: float) -> None:
    """Wait for something that wakes nobody; ``NothingHappenedError`` at the deadline."""
    try:
        async with stuck_after(deadline_s) as waiting:
            while not happened():  # noqa: ASYNC110 - parts without an event of their own
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise NothingHappenedError(f"no {what} within {waiting.sentence}") from None


@contextlib.asynccontextmanager
async def serving_as(bench: Bench, identity: TlsIdentity) -> AsyncIterator[CoapsServer]:
    """While this is entered another (D)TLS identity answers at the eIM's port; what is behind it stays the same."""
    port = bench.proxy.server[1]
    await bench.server.stop()
    settings = replace(DtlsSettings(identity=identity), **bench.options.dtls)
    async with CoapsServer(bench.eim, dtls=settings, coap=bench.options.coap, port=port) as server:
        yield server


def records(datagram: bytes) -> list[tuple[int, int, bytes]]:
    """The DTLS records of a datagram: content type, epoch, fragment."""
    found = []
    at = 0
    while at + 13 <= len(datagram):
        size = int.from_bytes(datagram[at + 11 : at + 13], "big")
        found.append(
            (datagram[at], int.from_bytes(datagram[at + 3 : at + 5], "big"), datagram[at + 13 : at + 13 + size])
        )
        at += 13 + size
    return found


def carries(item: Datagram, content_type: int) -> bool:
    """Whether a datagram has a record of this type."""
    return any(kind == content_type for kind, _, _ in records(item.data))


def clear_handshakes(items: Sequence[Datagram], message: int) -> list[Datagram]:
    """The datagrams with this handshake message in the clear (1 ClientHello, 11 Certificate, 12 ServerKeyExchange)."""
    return [
        item
        for item in items
        if any(
            kind == HANDSHAKE and epoch == 0 and part[:1] == bytes([message])
            for kind, epoch, part in records(item.data)
        )
    ]


def connection_attempts(bench: Bench) -> list[float]:
    """When the agent began a DTLS handshake: the first ClientHello of each client port, seconds on the loop's clock."""
    # Message sequence 0 is the hello without a cookie; its repetitions carry the same client random.
    seen: dict[bytes, float] = {}
    for item in clear_handshakes([d for d in bench.proxy.link.tap if d.direction == "up"], CLIENT_HELLO):
        for kind, epoch, part in records(item.data):
            if kind == HANDSHAKE and epoch == 0 and part[:1] == bytes([CLIENT_HELLO]):
                seen.setdefault(part[14:46], item.t_s)
    return sorted(seen.values())
