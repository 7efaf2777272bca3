"""What the stories about consumer cards share that the device emulates the IoT functions of: their registration at the
eIM, what people see of them, and the truth on the card, at the eIM and on the screen.

The eIM of the lab verifies results by the key that the import file gave it; what the device keeps in the place of the
card's memory is read from its disk, as whoever looks at the device would.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ipad_agent.lab.bench.agent_toml import Table, merged
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import stuck_after
from ipad_agent.lab.bench.watched_eim import Entry, WatchedEim
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Order
from ipad_agent.lab.eim.device_records import Device
from ipad_agent.lab.eim.orders.package_bytes import iccid_text
from ipad_agent.lab.errors import NothingHappenedError
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run

from .common_steps import LOOK_EVERY_S, check_enabled, check_nothing_left_soon, quick, until
from .ipactl_run import ipactl

PROVISIONED, EMULATING = "IPA-4004", "IPA-1231"
EMULATE: dict[str, Table] = {"card": {"emulate_iot": "when-needed"}}
FALLBACK_ALLOWED = 0x9F67
_ENABLE, _DISABLE = 0xA3, 0xA4
CONSUMER = Quirks(consumer=True)
TELLS_FALLBACK = Quirks(consumer=True, tells_sgp32_tags=frozenset({FALLBACK_ALLOWED}))
"""A consumer card that tells which profiles may be for fallback, when it is asked for that by name."""


def emulated(*, config: dict[str, Table] | None = None, quirks: Quirks = CONSUMER, **more: Any) -> BenchOptions:
    """A quick bench with a consumer card, whose first eIM comes from the agent's own configuration."""
    return quick(quirks=quirks, config=merged(EMULATE, config or {}), **more)


async def export(bench: Bench, *words: str) -> bytes:
    """The import file as it is now: ``ipactl emulation export``."""
    path = bench.folder / f"import-{len(list(bench.folder.glob('import-*')))}.json"
    await ipactl(bench, "emulation", "export", str(path), *words, "--config", str(bench.agent.config))
    return path.read_bytes()


async def registered(run: Run, bench: Bench) -> Device:
    """Start the agent, and do what the device's owner and the eIM's operator do once."""
    async with run.step("the agent gives the card its eIM, and the eIM is told the device's key") as step:
        await bench.agent.start()
        await bench.agent.event(EMULATING, deadline_s=20)
        await bench.agent.event(PROVISIONED, deadline_s=20)
        device = bench.eim.eim.import_device(await export(bench))
        step.detail = f"counter {device.counter}, token {device.token}"
    run.check("the eIM knows that the card is emulated", device.emulated)
    return device


def kept(bench: Bench, eid: str | None = None) -> dict[str, Any]:
    """What the device keeps in the place of the card's memory; empty when there is nothing."""
    path = bench.folder / "agent-state" / f"emulated-{eid or bench.eid}.json"
    data: dict[str, Any] = json.loads(path.read_bytes())["data"] if path.exists() else {}
    return data


async def status_says(run: Run, bench: Bench, name: str, *wanted: str) -> None:
    """``ipactl status`` shows all of these words, now or soon, whatever else it has to say."""
    text = ""
    try:
        async with stuck_after(20) as waiting:
            while not all(words in text for words in wanted):
                text = await ipactl(bench, "status", expected=None)
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        missing = [words for words in wanted if words not in text]
        raise NothingHappenedError(f"status has no {missing} within {waiting.sentence}: {text}") from None
    run.check(name, all(words in text for words in wanted), " … ".join(wanted))


def accepted(eim: WatchedEim) -> list[Entry]:
    """The results that the eIM took, each once, in their order."""
    return [
        entry
        for entry in eim.seen("result")
        if entry.get("discarded") is None and not entry["facts"].get("repeated") and "variant" in entry["facts"]
    ]


async def check_emulated_end(
    run: Run, bench: Bench, iccid: str, orders: list[Order], *, shown: tuple[str, ...] = (), refused: int = 0
) -> None:
    """How every story ends: card, modem, eIM and screen agree, each order has one result that the device's key signed,
    and nothing is owed to anybody. ``shown``: further words on the screen; ``refused``: so many orders
    were refused without a signature."""
    async with run.step("nothing is owed any more"):
        await until(lambda: not owed(bench.folder / "agent-state"), "empty journal", deadline_s=20)
        await until(lambda: not kept(bench).get("results"), "device without results", deadline_s=20)
    run.check("no order is under way", kept(bench)["running"] is None and kept(bench)["local"] is None)
    check_enabled(run, bench, iccid)
    await check_nothing_left_soon(run, bench)
    for order in orders:
        results = [entry for entry in accepted(bench.eim) if entry.get("order") == order.label]
        run.check(f"one result of {order.label}", len(results) == 1, f"{len(results)}")
    signatures = [str(entry["facts"].get("signature")) for entry in accepted(bench.eim)]
    good = signatures.count("right (token)") == len(signatures) - refused
    run.check(
        "every result is signed by the device's key", good and signatures.count("None") == refused, str(signatures)
    )
    told = told_enabled(bench.eim)
    run.check("the eIM's picture of the card is true", told in (None, iccid), f"it believes in {told}")
    words = ("emulated by this device", f"…{iccid[-4:]} ✓", *shown)
    await status_says(run, bench, "the screen says what it is and what is enabled", *words)
    run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


def told_enabled(eim: WatchedEim) -> str | None:
    """The profile that is enabled according to all results that the eIM took; None when they tell of none."""
    orders = {order.label: order for device in eim.eim.devices.values() for order in (*device.finished, *device.queue)}
    told: str | None = None
    for entry in accepted(eim):
        before, codes = told, entry["facts"].get("operations", [])
        order = orders.get(str(entry.get("order")))
        for operation, one in zip(() if order is None else order.operations, codes, strict=False):
            node = der.parse(operation)
            if one.get("profiles") is not None:
                told = next((row["iccid"] for row in one["profiles"] if row.get("state") == "enabled"), None)
            elif node.tag in (_ENABLE, _DISABLE) and one.get("code") == 0:
                iccid = iccid_text(node.get(0x5A).value)
                told = iccid if node.tag == _ENABLE else (None if told == iccid else told)
        if any(one.get("operation") == "rollback" and one.get("code") == 0 for one in codes):
            told = before
    return told
