"""Work that can wait is not fetched while the site's conditions speak against it, but not for ever."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.instant import Instant, elapsed_s
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.procedures.ports import Memory, Site
from ipad_agent.records import dataclass

from . import events

DOCUMENT: Final = "held"


@dataclass(frozen=True, slots=True)
class Holding:
    """``retry_s`` between two looks; after ``max_hold_s`` work is fetched all the same (0: never)."""

    retry_s: float = 900.0
    max_hold_s: float = 604_800.0


class HeldWork:
    """Since when work is held back, over restarts."""

    def __init__(self, memory: Memory, clock: Clock, holding: Holding) -> None:
        self._memory = memory
        self._clock = clock
        self._holding = holding
        self.now: tuple[Held, ...] = ()
        """What held work back at the last look."""

    @property
    def retry_s(self) -> float:
        return self._holding.retry_s

    async def look(self, site: Site) -> bool:
        """Whether work may be fetched now."""
        self.now = await site.conditions()
        if not self.now:
            if self._memory.load(DOCUMENT):
                self._memory.save(DOCUMENT, {})
            return True
        held_s = self._held_s()
        if self._holding.max_hold_s and held_s >= self._holding.max_hold_s:
            events.HELD_TOO_LONG.emit(held=spell_duration(held_s), sentence=self.now[0].sentence)
            self._memory.save(DOCUMENT, {})
            return True
        events.HELD.emit(sentences="; ".join(condition.sentence for condition in self.now), wait_s=self.retry_s)
        return False

    def _held_s(self) -> float:
        now = Instant.now(self._clock)
        since = _instant(self._memory.load(DOCUMENT))
        passed_s = None if since is None else elapsed_s(since, now)
        if passed_s is None:
            self._memory.save(DOCUMENT, asdict(now))
            return 0.0
        return passed_s


def _instant(document: object) -> Instant | None:
    match document:
        case {"wall_s": int() | float() as wall, "monotonic_s": int() | float() as monotonic, "boot_id": str() as boot}:
            return Instant(float(wall), float(monotonic), boot)
        case _:
            return None
