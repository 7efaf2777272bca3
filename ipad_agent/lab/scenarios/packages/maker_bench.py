"""A story about the maker's bench: what is done to a card before anybody manages it."""

from __future__ import annotations

import asyncio
import os
import sys

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import check_result, quick, result_of

NO_EIM = "IPA-4003"
BUG = "IPA-1006"
SMDP = "smdp.example:8443"


@scenario("maker-bench", "At the bench a card gets its default SM-DP+, immediate enabling, and its first manager.")
async def maker_bench(run: Run) -> None:
    """By the commands that people type."""
    config: dict[str, Table] = {"provisioning": {"initial_eim": None}}
    async with run.bench(quick(provision="none", ask_for_token=False, config=config)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_EIM, deadline_s=30)
        state = bench.card.state
        async with run.step("the default SM-DP+ is named") as step:
            step.detail = await _ipactl(bench, 0, "card", "set-default-smdp", SMDP)
        run.check("the card has it", state.default_smdp == SMDP, str(state.default_smdp))
        async with run.step("immediate enabling is allowed") as step:
            step.detail = await _ipactl(bench, 0, "card", "immediate-enable", "on", "--smdp", SMDP)
        run.check("the card knows", state.immediate_enable is not None)
        async with run.step("what the configuration does not allow is refused") as step:
            step.detail = await _ipactl(bench, 3, "card", "activate-ipae", "--eid-ends", bench.eid[-4:])
        file = str(bench.folder / "initial-eim.der")
        async with run.step("without consent no manager gets onto the card") as step:
            step.detail = await _ipactl(bench, 2, "provision", file)
        run.check("nobody manages it", not state.eims)
        async with run.step("the first manager gets onto the card") as step:
            step.detail = await _ipactl(bench, 0, "provision", file, "--yes")
        bench.order("list-profiles")
        check_result(run, "and orders something", await result_of(bench, "list-profiles"), ["listProfileInfo ok"])
        async with run.step("a second time it is refused") as step:
            step.detail = await _ipactl(bench, 3, "provision", file, "--yes")
        async with run.step("and immediate enabling is the manager's to say") as step:
            step.detail = await _ipactl(bench, 1, "card", "immediate-enable", "off")
        run.check("the agent had no trouble", BUG not in (bench.folder / "agent.log").read_text())


async def _ipactl(bench: Bench, expected: int, *words: str) -> str:
    """What it says; ``BenchError`` when it ends otherwise."""
    socket = bench.folder / "agent-run" / "io.github.ipadagent"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", *words),
        env={**os.environ, "IPACTL_SOCKET": str(socket)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = " ".join(said.decode().split())
    if process.returncode != expected:
        raise BenchError(f"ipactl {' '.join(words)} ended with {process.returncode}, not {expected}: {text}")
    return text
