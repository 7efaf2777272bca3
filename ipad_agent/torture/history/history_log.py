"""What happened, as sentences a person can read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from ipad_agent.events import Event
from ipad_agent.records import dataclass

AGENT: Final = "agent"
CARD: Final = "card"
EIM: Final = "eIM"
FATE: Final = "fate"
CHECK: Final = "check"
SMDP: Final = "SMDP"
SITE: Final = "site"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, ``at_s`` after the beginning. ``text`` makes the sentence when somebody wants it."""

    at_s: float
    who: str
    text: Callable[[], str]

    def __str__(self) -> str:
        hours, rest_s = divmod(self.at_s, 3600)
        return f"{int(hours):3d}:{int(rest_s // 60):02d}:{rest_s % 60:06.3f}  {self.who:<5}  {self.text()}"


class HistoryLog:
    """The lines of one seed. Nothing is formatted until it is read: most stories end well and are never read."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._start_s = now_s()
        self.lines: list[Line] = []

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self._now_s() - self._start_s

    def tell(self, who: str, sentence: str) -> None:
        """Add a sentence."""
        self.lines.append(Line(self.now_s, who, lambda: sentence))

    def said(self, event: Event[...], facts: Mapping[str, object]) -> None:
        """The agent said something."""
        kept = dict(facts)
        self.lines.append(Line(self.now_s, AGENT, lambda: f"{event.id} {event.sentence.format_map(kept)}"))

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))

    @property
    def digest(self) -> str:
        """Names this story among all others."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:16]
