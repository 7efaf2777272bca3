"""A story in which the eIM is driven by programs: everything that is ordered and read goes over its REST API."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_nothing_left
from ipad_agent.lab.scenarios.support.switch_steps import proving, ready


@scenario("lab-rest", "A program drives the eIM by its REST API alone, and its events tell how it went.", deadline_s=60)
async def lab_rest(run: Run) -> None:
    """A list of the profiles is ordered, seen to be handed out and done, and its verified result read."""
    async with run.bench(proving(rest_port=0, store=run.folder / "eim.db")) as bench:
        device = f"/devices/{bench.eid}"
        await ready(bench)
        events = asyncio.ensure_future(_events_until(bench, "result"))
        (known,) = (await _ask(bench, "/devices"))["devices"]
        run.check("the device is known with its key", known["eid"] == bench.eid and known["keyFingerprint"], str(known))
        order = await _ask(bench, f"{device}/orders", "POST", {"words": ["list-profiles", "5A", "9F70"]})
        run.check("the order waits", order["state"] == "queued", str(order))
        async with run.step("the order is carried out"):
            kinds = await asyncio.wait_for(events, 30)
        run.check("events told it in order", kinds.index("handed out") < kinds.index("result"), ", ".join(kinds))
        done = await _ask(bench, f"{device}/orders/{order['number']}")
        run.check("the order is done", done["state"] == "done", str(done["state"]))
        entries = (await _ask(bench, f"/results?eid={bench.eid}&kind=result"))["entries"]
        facts = [entry["details"]["facts"] for entry in entries]
        verified = [one["signature"].startswith("right") for one in facts]
        run.check("its result is verified", verified == [True], str(facts))
        run.check("it says that it went well", facts[0]["ok"] is True, str(facts[0]["operations"]))
        await bench.agent.event(NO_MORE_WORK, deadline_s=20)
        check_nothing_left(run, bench)
        kept = (run.folder / "eim.db").exists() and not (bench.folder / "eim.json").exists()
        run.check("the store is the only one", kept, "eim.db")


async def _ask(bench: Bench, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
    """One request; the decoded answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(_url(bench, path), data, {"Content-Type": "application/json"}, method=method)

    def run() -> Any:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    return await asyncio.to_thread(run)


async def _events_until(bench: Bench, kind: str) -> list[str]:
    """The kinds of everything that happens, until one of this kind does."""
    assert bench.rest is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.rest.http.port)
    kinds: list[str] = []
    try:
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while kind not in kinds:
            line = await reader.readline()
            if not line:
                raise BenchError("the stream of events has ended")
            if line.startswith(b"data: "):
                kinds.append(json.loads(line.removeprefix(b"data: "))["kind"])
    finally:
        writer.close()
    return kinds


def _url(bench: Bench, path: str) -> str:
    assert bench.rest is not None
    return f"{bench.rest.url}/api/v1{path}"
