"""A session is recorded, exported without its numbers, and played back to an agent that has never seen the device."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.bench.varlink_call import local_call
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.replay import recorded_session
from ipad_agent.lab.replay.replay_bench import Replay
from ipad_agent.lab.scenarios.scenario_runner import CheckFailedError, Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, quick

_SOCKET = "io.github.ipadagent"


@scenario(
    "replay-roundtrip",
    "A recorded session, redacted and played back to a fresh agent, ends as it did with the device.",
    deadline_s=90,
)
async def replay_roundtrip(run: Run) -> None:
    """Poll, list profiles, enable; then the same from the file, with neither modem, card nor eIM."""
    options = quick(provision="card", link_follows_modem=False, config={"record": {"enabled": True}})
    async with run.bench(options) as bench:
        async with run.step("with the device: poll, enable, list profiles"):
            bench.order("enable", OPERATOR_A, "--rollback")
            first = await _session(bench, bench.folder / "agent-run")
        report = bench.folder / "report.jsonl"
        async with run.step("the recording is exported without its numbers"):
            await _export(bench.folder / "agent-state" / "records", report)
        content = report.read_bytes()
        numbers = [bench.eid, *(str(profile["iccid"]) for profile in first)]
        run.check("it names neither card nor profile", not any(text.encode() in content for text in numbers))
        session = recorded_session.load(report)
        run.check("it can be read whole", session.redacted and session.unreadable_lines == 0)
        link = bench.folder / "replayed-modem"
        async with Replay(session, link, identity=bench.identity) as replay:
            _give(bench, replay, link)
            async with run.step("with the file: the same") as step:
                second = await _session(bench, bench.folder / "replay-run")
                step.detail = "; ".join(replay.report())
        _compare(run, first, second, replay)


async def _session(bench: Bench, runtime: Path) -> list[dict[str, Any]]:
    """From the agent's start until nothing is left to do; the profiles as it sees them."""
    await bench.agent.start()
    await bench.agent.event("IPA-4021", deadline_s=30)  # executed
    await bench.agent.event(NO_MORE_WORK, deadline_s=30)
    profiles = (await local_call(runtime / _SOCKET, "ListProfiles"))["profiles"]
    await bench.agent.terminate()
    return [dict(profile) for profile in profiles]


def _give(bench: Bench, replay: Replay, link: Path) -> None:
    """Another modem, another eIM, and nothing remembered."""
    (bench.folder / "replay-run").mkdir(mode=0o700)
    server = replay.server
    bench.reconfigure(
        {
            "modem": {"port": link},
            "store": {"state_dir": bench.folder / "replay-state", "runtime_dir": bench.folder / "replay-run"},
            "record": {"enabled": False},
            "eim": {"port": 0 if server is None else server.port},
        }
    )


async def _export(records: Path, file: Path) -> None:
    """As a person does it."""
    words = [sys.executable, "-m", "ipad_agent.cli.ipactl", "record", "export", str(file), "--from", str(records)]
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), scaled(30))
    if process.returncode != 0:
        raise CheckFailedError(f"the export ended with {process.returncode}: {said.decode(errors='replace')}")


def _compare(run: Run, first: list[dict[str, Any]], second: list[dict[str, Any]], replay: Replay) -> None:
    def told(profiles: list[dict[str, Any]]) -> list[tuple[str, object]]:
        return [(str(one["name"]), one["enabled"]) for one in profiles]

    run.check("the ordered profile was enabled", [one["enabled"] for one in first] == [False, True, False])
    run.check("the same profiles in the same states", told(first) == told(second), f"{told(first)}, {told(second)}")
    same = {str(one["iccid"]) for one in first} & {str(one["iccid"]) for one in second}
    run.check("under other numbers", not same, ", ".join(same))
    run.check("the eIM was told the same, byte for byte", not replay.eim.differing, "; ".join(replay.eim.differing))
    run.check("all that was recorded of the eIM was asked for", replay.eim.left == 0, f"{replay.eim.left} are left")
    unknown = [*replay.modem.not_recorded, *replay.eim.not_recorded]
    run.check("nothing was asked that was not recorded", not unknown, ", ".join(unknown))
