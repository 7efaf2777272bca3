"""What holds back work that can wait."""

from __future__ import annotations

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """One condition that is not met. ``name`` as in the configuration; ``sentence`` says what is missing."""

    name: str
    sentence: str
