"""The site in memory: scripts that take their time, and work that it holds back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.torture.history.history_log import SITE, HistoryLog

from .process_fence import ProcessFence
from .virtual_time_loop import TortureLoop

PROVING: Final = "proving"
"""These scripts also tell whether the site's application gets through."""
TAKES_S: Final[Mapping[str, float]] = {"slow": 12.0, "hanging": 30.0, PROVING: 0.2}
"""How long the scripts of each habit take; one that hangs is ended by its deadline."""


class SiteInMemory:
    """Implements ``Site`` for one process. ``held`` tells until when the site holds work back."""

    def __init__(self, loop: TortureLoop, habit: str, held: HeldUntil, owner: ProcessFence, log: HistoryLog) -> None:
        self._loop = loop
        self._takes_s = TAKES_S.get(habit, 0.0)
        self._held = held
        self._owner = owner
        self._log = log

    async def hook(self, moment: str, facts: Mapping[str, str]) -> None:
        self._owner.check()
        if self._takes_s:
            self._log.tell(SITE, f"runs its scripts for {moment}")
            await asyncio.sleep(self._takes_s)
            self._owner.check()

    async def conditions(self) -> tuple[Held, ...]:
        self._owner.check()
        if self._loop.time() < self._held.until_s:
            return (Held("command", "the site's own check says no"),)
        return ()

    def apn(self, iccid: str) -> str | None:
        return None


class HeldUntil:
    """Outlives the process: the site says no until ``until_s``. ``used`` tells whether it ever may."""

    def __init__(self, *, used: bool) -> None:
        self.used = used
        self.until_s = 0.0
