"""The doctor, for all browsers together: one examination at a time, and not again right after the last.

An examination asks the modem, the card and the servers and costs some kilobytes, so what was found a moment ago is
shown again instead, with its age.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

from .agent_connection import CARD_S, AgentConnection, AgentError

REST_S: Final = 60.0
"""So long after the end of an examination its findings are still shown instead of a new one."""

Line = dict[str, Any]
"""``item``; or ``error`` with ``sentence`` and ``hint``; at the end ``done`` with ``age_s``."""


class DoctorRuns:
    """The examination under way, or the last one."""

    def __init__(self, agent: AgentConnection) -> None:
        self._agent = agent
        self._lines: list[Line] = []
        self._told = asyncio.Condition()
        self._running: asyncio.Task[None] | None = None
        self._failed = False
        self._ended_s = 0.0

    async def examine(self) -> AsyncGenerator[Line, None]:
        """What is found, item by item; of an examination that is under way already, from its beginning. It goes on
        when whoever asked goes away."""
        if self._running is None and (not self._lines or self._failed or self._age_s() > REST_S):
            self._lines, self._failed = [], False
            self._running = asyncio.create_task(self._run(self._lines), name="doctor")
        shown, lines = 0, self._lines
        while True:
            async with self._told:
                while len(lines) <= shown and self._goes_on(lines):
                    await self._told.wait()
            while shown < len(lines):
                yield lines[shown]
                shown += 1
            if not self._goes_on(lines):
                yield {"done": True, "age_s": round(self._age_s(), 1)}
                return

    def _goes_on(self, lines: list[Line]) -> bool:
        return self._running is not None and lines is self._lines

    def _age_s(self) -> float:
        return time.monotonic() - self._ended_s

    async def _run(self, lines: list[Line]) -> None:
        try:
            async for reply in self._agent.stream("Doctor", timeout_s=CARD_S):
                await self._tell(lines, {"item": reply.get("item")})
        except AgentError as error:
            self._failed = True
            told = {"name": error.name, "sentence": error.sentence, "hint": error.hint}
            await self._tell(lines, {"error": told})
        finally:
            self._running, self._ended_s = None, time.monotonic()
            async with self._told:
                self._told.notify_all()

    async def _tell(self, lines: list[Line], line: Line) -> None:
        async with self._told:
            lines.append(line)
            self._told.notify_all()
