"""The real agent as a process of its own: started from its configuration, watched by its log, stopped or killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipad_agent.lab.errors import AgentEndedError, NothingHappenedError

from .real_time_limits import scaled, stuck_after

__all__ = ["AgentEvent", "AgentProcess"]

LOG = logging.getLogger("ipad_agent.lab")

MAX_LINE_BYTES = 1 << 20
SHOWN_ON_FAILURE = 15
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """A lab that is killed ends nobody in order. An agent left behind would take the next pseudo-terminal that gets the
    number of its modem, and talk to a modem that is another's."""
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """One line of the agent's log. ``id`` is ``None`` for a line that is no event of its (a traceback, a warning).

    ``at_s`` is seconds since the bench began, ``t_s`` the agent's own monotonic clock.
    """

    id: str | None
    level: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    at_s: float = 0.0
    t_s: float | None = None
    run: int = 0

    @classmethod
    def parse(cls, line: str, *, at_s: float = 0.0, run: int = 0) -> AgentEvent:
        """A log line; anything that is not a JSON object of the agreed shape becomes plain text."""
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            return cls(None, "raw", line, at_s=at_s, run=run)
        name, facts, t_s = row.get("id"), row.get("facts"), row.get("t")
        text = row["text"] + (f"\n{row['traceback']}" if "traceback" in row else "")
        return cls(
            name if isinstance(name, str) else None,
            str(row.get("level", "info")),
            text,
            facts if isinstance(facts, dict) else {},
            at_s,
            float(t_s) if isinstance(t_s, int | float) else None,
            run,
        )

    def __str__(self) -> str:
        return f"{self.at_s:8.3f} {self.id or '-':9} {self.text}"


class AgentProcess:
    """``python -m ipad_agent run --config FILE``, as often as it is started.

    ``events`` is everything it has said over all runs. ``event`` waits for a message by id; the search begins behind
    the last message that was found this way, so that consecutive calls follow the story. ``command`` is what the next
    start runs.
    """

    def __init__(self, config: Path, log_path: Path, *, command: Sequence[str] | None = None) -> None:
        self.config = config
        self.log_path = log_path
        self.events: list[AgentEvent] = []
        self.runs = 0
        self.command = list(command or (sys.executable, "-m", "ipad_agent", "run", "--config", str(config)))
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._cursor = 0
        self._ended = True
        self._loop_began_s = asyncio.get_running_loop().time()

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process is not None else None

    @property
    def returncode(self) -> int | None:
        """How the last run ended; negative for a signal, ``None`` while running or before the first start."""
        return self._process.returncode if self._process is not None else None

    async def start(self) -> None:
        """Start it (again)."""
        if self.running:
            raise AgentEndedError("the agent is running already")
        await self._reap()
        self.runs += 1
        environment = {
            name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")
        }
        environment["PYTHONUNBUFFERED"] = "1"
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        self._ended = False
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process))

    async def kill(self) -> None:
        """SIGKILL, at once: what a power cut does to it."""
        await self._end(signal.SIGKILL, deadline_s=10.0)

    def kill_now(self) -> None:
        """SIGKILL without waiting for the end."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def terminate(self, *, deadline_s: float = 20.0) -> int:
        """SIGTERM, and wait; ``NothingHappenedError`` (after a SIGKILL) if it does not end in time. The exit status."""
        return await self._end(signal.SIGTERM, deadline_s=deadline_s)

    async def wait_ended(self, *, deadline_s: float) -> int:
        """Wait for it to end by itself; the exit status."""
        process = self._process
        if process is None:
            raise AgentEndedError("the agent was never started")
        try:
            async with stuck_after(deadline_s) as waiting:
                await process.wait()
        except TimeoutError:
            raise NothingHappenedError(f"the agent still runs after {waiting.sentence}\n{self.tail()}") from None
        await self._reap()
        return int(process.returncode or 0)

    async def event(
        self,
        *ids: str,
        deadline_s: float,
        where: Callable[[AgentEvent], bool] | None = None,
    ) -> AgentEvent:
        """The next message with one of these ids (any, without ids) that ``where`` likes.

        Raises ``NothingHappenedError`` at the deadline and ``AgentEndedError`` when the process ends before.
        """
        wanted = f"{' or '.join(ids) or 'a message'}"
        try:
            async with stuck_after(deadline_s) as waiting, self._news:
                while True:
                    while self._cursor < len(self.events):
                        event = self.events[self._cursor]
                        self._cursor += 1
                        if (not ids or event.id in ids) and (where is None or where(event)):
                            return event
                    if self._ended:
                        raise AgentEndedError(
                            f"the agent ended with {self.returncode} before it said {wanted}\n{self.tail()}"
                        )
                    await self._news.wait()
        except TimeoutError:
            raise NothingHappenedError(f"no {wanted} within {waiting.sentence}\n{self.tail()}") from None

    def moves(self) -> dict[str, float]:
        """What of the agent can be seen to move."""
        return {"the agent's log": len(self.events), "the agent's CPU time": self._cpu_ticks()}

    def _cpu_ticks(self) -> int:
        """CPU time of the process, in clock ticks; 0 where there is none to be seen. A start without byte code says
        nothing for many seconds, and is not stuck."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        except (OSError, ValueError, IndexError):
            return 0

    async def stream(self) -> AsyncIterator[AgentEvent]:
        """Every message from the first one on, until the process ends."""
        at = 0
        while True:
            async with self._news:
                while at >= len(self.events):
                    if self._ended:
                        return
                    await self._news.wait()
            yield self.events[at]
            at += 1

    def said(self, *ids: str) -> list[AgentEvent]:
        """Everything said so far under these ids."""
        return [event for event in self.events if event.id in ids]

    def skip(self) -> None:
        """Let ``event`` search from now on only."""
        self._cursor = len(self.events)

    def tail(self, count: int = SHOWN_ON_FAILURE) -> str:
        """The last messages, for people."""
        return "\n".join(f"  {event}" for event in self.events[-count:]) or "  (the agent said nothing)"

    async def close(self) -> None:
        """Kill it if it runs."""
        if self.running:
            await self.kill()
        await self._reap()

    # Inside

    async def _end(self, number: signal.Signals, *, deadline_s: float) -> int:
        process = self._process
        if process is None or process.returncode is not None:
            return int(process.returncode or 0) if process is not None else 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            # What is to end is not allowed to go on for as long as it keeps busy.
            async with asyncio.timeout(scaled(deadline_s)):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await self._reap()
            raise NothingHappenedError(
                f"the agent did not end on {number.name} in {deadline_s:g} s\n{self.tail()}"
            ) from None
        await self._reap()
        return int(process.returncode or 0)

    async def _reap(self) -> None:
        if self._reader is not None:
            await self._reader
            self._reader = None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Cut stderr into lines until it ends; a line beyond all measure is cut where it stands."""
        stream = process.stderr
        if stream is None:
            return
        rest = b""
        with self.log_path.open("ab") as copy:
            while data := await stream.read(65536):
                copy.write(data)
                copy.flush()
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    lines.append(rest)
                    rest = b""
                await self._tell(lines)
        await self._tell([rest])
        await process.wait()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def _tell(self, lines: list[bytes]) -> None:
        at_s = asyncio.get_running_loop().time() - self._loop_began_s
        async with self._news:
            for line in lines:
                if text := line.decode("utf-8", "replace").rstrip():
                    self.events.append(AgentEvent.parse(text, at_s=at_s, run=self.runs))
            self._news.notify_all()
