"""A process that forks agents: the program of all of them is loaded once, and shared as long as nobody writes to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ipad_agent.lab.errors import BenchError

__all__ = ["AgentStarter"]

COMMAND = (sys.executable, "-m", "ipad_agent.cli.forked_agents")
READY_S, END_S = 60.0, 30.0


class AgentStarter:
    """Starts agents by configuration file, and ends all of them when it is left."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._running: set[str] = set()
        self.ended: dict[str, int] = {}
        """The exit status of agents that have ended, by configuration file."""

    async def __aenter__(self) -> AgentStarter:
        environment = {n: v for n, v in os.environ.items() if n not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is for the lab, which ends them in order
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_S):
                first = await self._process.stdout.readline()
        except TimeoutError:
            first = b""
        if first != b"ready\n":
            await self.__aexit__()
            raise BenchError("the process that starts the agents did not come up")
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # the end of its input is the end of all agents
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
        if self._reader is not None:
            await self._reader

    def start(self, config: Path, log: Path) -> None:
        """Have an agent started with this configuration; what it says is added to ``log``."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._running.add(str(config))
        self._process.stdin.write(json.dumps([str(config), str(log)]).encode() + b"\n")

    def running(self, config: Path) -> bool:
        """Whether the agent with this configuration was started and has not ended."""
        return str(config) in self._running

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            config, status = json.loads(line)
            self._running.discard(config)
            self.ended[config] = status
