"""A time of the day in which work is welcome."""

from __future__ import annotations

import re
from typing import Final

from ipad_agent.records import dataclass

DAY_MIN: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Minutes since midnight; ``end_min`` is outside. ``start_min`` after ``end_min`` goes over midnight."""

    start_min: int
    end_min: int

    @classmethod
    def parse(cls, text: str) -> DailyWindow:
        """``"22:00-05:00"``; the end may be 24:00. Raises ``ValueError`` for all else, and for no time at all."""
        match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", text)
        if match is None:
            raise ValueError("no time of the form HH:MM-HH:MM")
        start, end = int(match[1]) * 60 + int(match[2]), DAY_MIN
        if match[3] is not None:
            end = int(match[3]) * 60 + int(match[4])
        if start == end:
            raise ValueError("begins when it ends")
        return cls(start, end)

    def __contains__(self, minute: int) -> bool:
        """Whether this minute since midnight is inside."""
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def __str__(self) -> str:
        return f"{_clock(self.start_min)}-{_clock(self.end_min)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
