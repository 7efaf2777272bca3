"""The real ``ipactl`` beside a bench's agent."""

from __future__ import annotations

import asyncio
import os
import sys

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.errors import BenchError


async def ipactl(bench: Bench, *words: str, expected: int | None = 0) -> str:
    """What it says, its white space as single blanks; ``BenchError`` when it ends with another status than this."""
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
    if expected is not None and process.returncode != expected:
        raise BenchError(f"ipactl {' '.join(words)} ended with {process.returncode}, not {expected}: {text}")
    return text
