"""How long one step may take before the watchdog is no longer fed."""

from __future__ import annotations

import asyncio


class StepLimit:
    """``with`` it around a step: one that hangs beyond the limit is overdue. Steps do not lie in one another."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._deadline: float | None = None

    @property
    def overdue(self) -> bool:
        """Whether the step in progress has passed its limit."""
        return self._deadline is not None and asyncio.get_running_loop().time() > self._deadline

    def __enter__(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self._limit_s

    def __exit__(self, *_: object) -> None:
        self._deadline = None
