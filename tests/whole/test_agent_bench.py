"""The bench itself does not take a time limit of a test for an end of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from virtual_time import run

from .agent_bench import AgentBench


@pytest.mark.parametrize("end", [AgentBench.stop, AgentBench.kill])
def test_a_time_limit_that_strikes_inside_the_agents_task_is_told_as_one(
    pki_folder: Path, end: Callable[[AgentBench], Awaitable[None]]
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.steps.at, bench.steps.action = 3, lambda: pytest.fail("the time is over")
        bench.start()
        await asyncio.sleep(100.0)
        await end(bench)

    with pytest.raises(pytest.fail.Exception, match="the time is over"):
        run(story())
