"""An event loop whose clock jumps to the next timer when nothing else is to be done: days pass in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_SHORTEST_S = 1e-6  # less than this would be lost in the sum, and time would stand still


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: a time-out is taken as having passed."""

    def __init__(self, now_s: float) -> None:
        super().__init__()
        self.now_s = now_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits and nothing would ever wake it"
            self.now_s += max(timeout, _SHORTEST_S) if timeout > 0 else 0.0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """``now_s`` is what ``time`` starts with."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self._jumping = _JumpingSelector(now_s)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
