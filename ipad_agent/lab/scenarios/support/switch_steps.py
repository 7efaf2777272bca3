"""What the stories about switches share: short deadlines, hooks that write down their calls, the end of each story."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import Any

from ipad_agent.lab.bench.agent_process import AgentEvent
from ipad_agent.lab.bench.agent_toml import Table, merged
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.bench.watched_eim import Entry
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc.apdu.es10_dispatch import Handler
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.lab.scenarios.scenario_runner import Run

from .common_steps import NO_MORE_WORK, check_enabled, check_nothing_left_soon, check_result, quick, result_of, until

ARMED, SWITCHED, STAGE, COMMITTED = "IPA-4201", "IPA-4202", "IPA-4203", "IPA-4205"
GOING_BACK, WENT_BACK, NO_WAY_BACK, UNPROVED = "IPA-4206", "IPA-4207", "IPA-4208", "IPA-4209"
RESUMED = "IPA-4211"
CHAPTERS = (ARMED, SWITCHED, COMMITTED, GOING_BACK, WENT_BACK, NO_WAY_BACK, UNPROVED)
"""The events that tell how a switch goes; what is said in between depends on the speed of the machine."""

SHORT_S, LONG_S = 5.0, 30.0
"""Time to prove a profile on a quiet machine: the least that there is for one that must fail, plenty for one that must
not."""
PROVE_FAST: dict[str, dict[str, float]] = {
    "switch": {"registration_s": 2, "ip_s": 1, "dns_s": 1, "eim_s": 2},
    "coap": {"ack_timeout_s": 0.3, "flight_timeout_s": 0.3, "exchange_timeout_s": 3, "handshake_timeout_s": 3},
}

HOOK = """\
#!/bin/sh
echo "$IPAD_MOMENT $IPAD_PREVIOUS_ICCID $IPAD_ICCID" >> {log}
"""
ROLLBACK, FALLBACK, RETURN = 0xBF58, 0xBF5D, 0xBF5E


def proving(
    personality: str = "eg25",
    *,
    confirm_s: float = LONG_S,
    config: dict[str, Table] | None = None,
    **more: Any,
) -> BenchOptions:
    """A quick bench whose card has its eIM and whose agent gives a new profile ``confirm_s``, or more on a machine that
    is slow."""
    fast: dict[str, Table] = {
        name: {key: round(scaled(value), 1) for key, value in table.items()} for name, table in PROVE_FAST.items()
    }
    tables = merged(merged(fast, {"switch": {"confirm_s": round(scaled(confirm_s), 1)}}), config or {})
    return quick(personality, config=tables, provision="card", **more)


class Hooks:
    """A script in the agent's folder of hooks that writes down each call."""

    def __init__(self, bench: Bench) -> None:
        self.log = bench.folder / "hooks.log"
        folder = bench.folder / "hooks.d"
        folder.mkdir(exist_ok=True)
        script = folder / "10-write-down"
        script.write_text(HOOK.format(log=self.log))
        script.chmod(stat.S_IRWXU)

    @property
    def calls(self) -> list[tuple[str, ...]]:
        """Each call so far: the moment, and the ICCIDs it named."""
        if not self.log.exists():
            return []
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]

    @property
    def ends(self) -> list[str]:
        """The calls that told how a switch ended."""
        return [call[0] for call in self.calls if call[0] in ("committed", "rolled-back")]

    def check(self, run: Run, *moments: str, iccids: tuple[str, str]) -> None:
        """Called once for each of these moments, in this order, and told both profiles of the switch each time."""
        heard = [call[0] for call in self.calls]
        run.check("each hook was called once", heard == list(moments), " ".join(heard) or "no call")
        named = {tuple(sorted(call[1:])) for call in self.calls}
        run.check("the hooks were told both profiles", named == {tuple(sorted(iccids))}, f"{named}")


def count_calls(bench: Bench, *tags: int) -> dict[int, int]:
    """How often the card is asked for these ES10 functions from now on."""
    counts = dict.fromkeys(tags, 0)

    def counting(tag: int, handler: Handler) -> Handler:
        def count(isdr: Isdr, raw: bytes) -> bytes:
            counts[tag] += 1
            return handler(isdr, raw)

        return count

    for tag in tags:
        bench.card.es10.register(tag, counting(tag, bench.card.es10.handler(tag)))
    return counts


async def ready(bench: Bench) -> None:
    """Start the agent; it has found nothing to do."""
    await bench.agent.start()
    await bench.agent.event(NO_MORE_WORK, deadline_s=30)


async def said(run: Run, bench: Bench, name: str, *ids: str, deadline_s: float = 20.0) -> AgentEvent:
    """The agent says so."""
    async with run.step(name) as step:
        event = await bench.agent.event(*ids, deadline_s=deadline_s)
        step.detail = event.text.partition("\n")[0]
    return event


async def told(run: Run, bench: Bench, order: Order, *expected: str, deadline_s: float = 20.0) -> Entry:
    """The eIM accepts a result of this order, exactly this one."""
    entry = await result_of(bench, order.label, deadline_s=deadline_s)
    check_result(run, f"the eIM is told of {order.label}", entry, expected)
    return entry


async def check_end(
    run: Run, bench: Bench, iccid: str, orders: Sequence[Order], *, chapters: Sequence[str] | None = None
) -> None:
    """How every story ends: one profile, nothing owed anywhere, and each order carried out once."""
    async with run.step("nothing is owed any more"):
        await until(lambda: not _owed(bench), "empty journal", deadline_s=20)
        await until(lambda: not bench.card.state.results, "card without results", deadline_s=20)
        bench.agent.skip()
        await bench.agent.event(NO_MORE_WORK, deadline_s=20)
    check_enabled(run, bench, iccid)
    await check_nothing_left_soon(run, bench)
    run.check("the journal is empty", not _owed(bench), ", ".join(_owed(bench)))
    run.check("the card keeps no way back", bench.card.state.rollback is None)
    for order in orders:
        accepted = [entry for entry in bench.eim.seen("result") if _is_of(entry, order)]
        run.check(f"one result of {order.label}", len(accepted) == 1, f"{len(accepted)}")
    entry = bench.card.state.eim(bench.identity.eim_id)
    counter = -1 if entry is None else entry.counter
    run.check("no package was executed twice", counter == len(orders), f"counter {counter}, {len(orders)} orders")
    handed_out = [str(row["order"]) for row in bench.eim.seen("handed out")]
    run.check("no package was asked for twice", len(handed_out) == len(orders), ", ".join(handed_out))
    if chapters is not None:
        heard = [str(event.id) for event in bench.agent.said(*CHAPTERS)]
        run.check("the agent told the story in order", heard == list(chapters), " ".join(heard))
    run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


def works_with(bench: Bench, iccid: str) -> bool:
    """Whether the modem has read this profile and is registered in its network."""
    module = bench.modem.module
    registered = module.radio.cell is not None and module.radio.cell == bench.coverage.cell_for(iccid)
    return module.uicc.iccid == iccid and registered


def modem_state(bench: Bench) -> str:
    """Its profile and registration, for people."""
    module = bench.modem.module
    return f"{module.uicc.iccid}, {module.radio.state.name.lower()}"


def refuse_rollback(isdr: Isdr, raw: bytes) -> bytes:
    """A card that grants nothing: rollbackNotAllowed(1)."""
    return der.tlv(ROLLBACK, der.integer(1))


def _is_of(entry: Entry, order: Order) -> bool:
    repeated = entry["facts"].get("repeated") is True
    return entry.get("order") == order.label and entry.get("discarded") is None and not repeated


def _owed(bench: Bench) -> list[str]:
    return [entry.kind for entry in owed(bench.folder / "agent-state")]
