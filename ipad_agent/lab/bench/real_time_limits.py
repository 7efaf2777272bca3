"""Limits in real time that are for what is stuck, and not for what is slow.

A limit is written for a quiet machine. It is scaled by how slow this machine is, measured when the first limit begins
and again when one runs out; and as long as something moves that belongs to what is waited for, it is extended. Both
have an end, so that nothing waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_SLOWNESS: Final = 6.0
MOST_EXTENSION: Final = 3.0
"""A limit is extended to at most so many times itself."""
LONGEST_FACTOR: Final = MOST_SLOWNESS * MOST_EXTENSION
"""For limits that must outlast every limit below them."""

_SAMPLES: Final = 5
_ROUNDS: Final = 12_000
_QUIET_S: Final = 0.012
"""What one sample takes on a quiet core of an ordinary machine."""

Moves = Callable[[], Mapping[str, float]]
"""What can be seen to move, and how far each has come."""
MOVES: Final[contextvars.ContextVar[Moves | None]] = contextvars.ContextVar("moves", default=None)
"""Of the bench that is in use."""

_slowness: float | None = None


def slowness() -> float:
    """How many times slower this machine is than a quiet ordinary one, at least 1; measured once."""
    global _slowness  # noqa: PLW0603 - one machine, one speed
    if _slowness is None:
        _slowness = measure()
    return _slowness


def measure() -> float:
    """Measure it now, by work of known size and by how many others want the same cores."""
    took_s = max(_sample_s() for _ in range(_SAMPLES))
    return min(MOST_SLOWNESS, max(1.0, took_s / _QUIET_S, _crowd()))


def scaled(limit_s: float) -> float:
    """A limit for a quiet machine, as it has to be on this one."""
    return limit_s * slowness()


def _sample_s() -> float:
    began_s = time.monotonic()
    digest = b""
    for _ in range(_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return time.monotonic() - began_s


def _crowd() -> float:
    """How many of those that want to run share a core; 1 where that cannot be seen."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 1.0


@dataclass
class Waiting:
    """One wait. After its end ``sentence`` tells how long it was and what moved meanwhile."""

    limit_s: float
    began_s: float
    first: Mapping[str, float]
    now: Moves
    slowness: float = 1.0
    seen: Mapping[str, float] = field(default_factory=dict)
    over: bool = False
    """Whether the limit ended it."""

    @property
    def sentence(self) -> str:
        """``20 s (31 s on this machine, which is slow); moved: the agent's log; not moved: commands to the modem``."""
        spent_s = asyncio.get_running_loop().time() - self.began_s
        words = f"{self.limit_s:g} s"
        if spent_s > self.limit_s * 1.05:
            words += f" ({spent_s:.0f} s on this machine, {self.slowness:.1f} times slower than a quiet one)"
        last = self.now()
        moved = [name for name, value in last.items() if value != self.first.get(name)]
        still = [name for name in last if name not in moved]
        if moved:
            words += f"; moved: {', '.join(moved)}"
        if still:
            words += f"; did not move: {', '.join(still)}"
        return words


@contextlib.asynccontextmanager
async def stuck_after(limit_s: float, moves: Moves | None = None) -> AsyncIterator[Waiting]:
    """Raises ``TimeoutError`` when what is done inside is stuck: it is not over after ``limit_s``, scaled, and nothing
    of ``moves`` (those of the bench in use, if none are given) has moved lately."""
    loop = asyncio.get_running_loop()
    now = moves or MOVES.get() or dict
    began_s, factor = loop.time(), slowness()
    waiting = Waiting(limit_s, began_s, now(), now, factor)
    waiting.seen = waiting.first
    handle: asyncio.TimerHandle | None = None
    async with asyncio.timeout_at(began_s + limit_s * factor) as timeout:

        def look() -> None:
            nonlocal handle
            when = timeout.when()
            if when is None or timeout.expired():
                return
            if (again := measure()) > waiting.slowness:
                waiting.slowness = again
            latest_s = began_s + limit_s * waiting.slowness * MOST_EXTENSION
            seen = now()
            moved, waiting.seen = seen != waiting.seen, seen
            least_s = began_s + limit_s * waiting.slowness
            until_s = max(least_s, when + limit_s / 2 if moved else when)
            if until_s > when and when < latest_s:
                timeout.reschedule(min(until_s, latest_s))
                handle = loop.call_at(min(until_s, latest_s) - _AHEAD_S, look)

        handle = loop.call_at(began_s + limit_s * factor - min(_AHEAD_S, limit_s / 4), look)
        try:
            yield waiting
        finally:
            handle.cancel()
            waiting.over = timeout.expired()


_AHEAD_S: Final = 0.2
"""So long before a limit it is decided whether it is extended."""
