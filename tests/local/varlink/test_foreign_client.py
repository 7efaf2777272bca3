"""Against a Varlink client that nobody here wrote: the reference implementation in Python (package ``varlink``).

It reads our interface with its own parser, makes its methods of it, and checks parameters and replies by it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.local import varlink as package
from ipad_agent.local.status_model import to_plain
from ipad_agent.local.varlink import varlink_interface
from situations import SITUATIONS

from .conftest import Bench
from .service import ICCID, refused

PUBLISHED = Path(package.__file__).with_name("io.github.ipadagent.varlink")
MANUAL = (Path(__file__).resolve().parents[3] / "docs" / "local-api.md").read_text(encoding="utf-8")

SCRIPT = """
import json, sys
import varlink
address, method, parameters, more = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
with varlink.Client.new_with_address(address) as client:
    with client.open("io.github.ipadagent") as connection:
        call = getattr(connection, method)
        try:
            if more:
                replies = call(**parameters, _more=True)
                print(json.dumps([next(replies) for _ in range(more)]))
            else:
                print(json.dumps(call(**parameters)))
        except varlink.VarlinkError as error:
            print(json.dumps(error.as_dict()))
"""

MEMBERS = """
import json, sys
from varlink.scanner import Interface, _Method, _Error, _Alias
parsed = Interface(sys.stdin.read())
kinds = {_Method: "method", _Error: "error", _Alias: "type"}
print(json.dumps([parsed.name, [[kinds[type(member)], name] for name, member in parsed.members.items()]]))
"""


async def foreign(*arguments: str, given: str = "") -> str:
    """Run the other implementation with these arguments; what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate(given.encode())
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def call(bench: Bench, method: str, parameters: dict[str, Any] | None = None, *, more: int = 0) -> Any:
    address = f"unix:{bench.path}"
    return json.loads(await foreign("-c", SCRIPT, address, method, json.dumps(parameters or {}), str(more)))


async def test_its_parser_reads_the_published_interface() -> None:
    name, members = json.loads(await foreign("-c", MEMBERS, given=PUBLISHED.read_text(encoding="utf-8")))
    assert name == "io.github.ipadagent"
    by_kind = {kind: {name for found, name in members if found == kind} for kind in ("method", "error", "type")}
    assert by_kind["method"] == {method.name for method in varlink_interface.METHODS}
    assert by_kind["error"] == {failure.name for failure in varlink_interface.FAILURES}
    assert {"Status", "Verdict", "PastPoll", "TrafficShare", "DoctorItem"} <= by_kind["type"]
    assert len({name for _, name in members}) == len(members), "types, methods and errors share their names"


async def test_its_parser_reads_the_interface_of_every_service() -> None:
    name, members = json.loads(await foreign("-c", MEMBERS, given=varlink_interface.SERVICE_TEXT))
    assert name == "org.varlink.service"
    assert ["method", "GetInfo"] in members


def without_nulls(value: Any) -> Any:
    """As that client hands objects on: without the members that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("situation", ["ready", "switch-armed", "no-modem", "downloading", "starting"])
async def test_it_gets_the_status_by_the_types_of_the_interface(bench: Bench, situation: str) -> None:
    bench.service.now = SITUATIONS[situation]
    answer = await call(bench, "GetStatus")
    assert answer == {"status": without_nulls(to_plain(SITUATIONS[situation]))}


async def test_it_makes_calls_with_parameters(bench: Bench) -> None:
    assert await call(bench, "Poll", {"eim_id": "eim.example.net"}) == {}
    assert await call(bench, "Poll") == {}
    assert (await call(bench, "PlanSwitch", {"iccid": ICCID}))["plan"]["possible"] is True
    assert await call(bench, "MemoryReset", {"what": ["eims"]}) == {}
    assert bench.service.calls == [
        ("poll", "eim.example.net"),
        ("poll", None),
        ("plan", ICCID),
        ("memory_reset", ("eims",)),
    ]


async def test_it_gets_several_replies(bench: Bench) -> None:
    items = await call(bench, "Doctor", more=2)
    assert [item["item"]["layer"] for item in items] == ["modem", "card"]
    bench.service.happen(3)
    event, status = await call(bench, "Subscribe", {"recent": 1}, more=2)
    assert event["event"]["facts"] == {"number": "3"}
    assert status["status"]["verdict"]["state"] == "ready"
    await bench.until(lambda: not bench.server.connections)


async def test_it_gets_errors_with_their_parameters(bench: Bench) -> None:
    bench.service.trouble = refused("CardError", "The card said no.", sw="6985")
    answer = await call(bench, "Rollback")
    assert answer["error"] == "io.github.ipadagent.CardError"
    assert answer["parameters"] == {"sentence": "The card said no.", "sw": "6985", "hint": None}


async def test_its_command_line_tells_info_describes_and_calls(bench: Bench) -> None:
    address = f"unix:{bench.path}"
    assert "io.github.ipadagent" in await foreign("-m", "varlink.cli", "info", address)
    described = await foreign("-m", "varlink.cli", "help", f"{address}/io.github.ipadagent")
    assert "method GetStatus() -> (status: Status)" in described
    answer = json.loads(await foreign("-m", "varlink.cli", "call", f"{address}/io.github.ipadagent.ListProfiles"))
    assert len(answer["profiles"]) > 1


async def test_the_example_of_the_manual_works(bench: Bench) -> None:
    example = MANUAL.partition("```python\n")[2].partition("```")[0]
    assert "/run/ipad-agent/io.github.ipadagent" in example
    printed = await foreign("-c", example.replace("/run/ipad-agent/io.github.ipadagent", str(bench.path)))
    assert printed.strip() == SITUATIONS["ready"].verdict.sentence
