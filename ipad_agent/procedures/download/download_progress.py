"""Progress of a download for the log: at most eight lines for each part, however large or small its steps are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

STEPS: Final = 8
FIRST_UNKNOWN_BYTES: Final = 32_768


class Progress:
    """Calls ``say(done, total)`` when another eighth was done; with an unknown total whenever it has doubled from
    32 kB on, eight times at most."""

    def __init__(self, say: Callable[[int, int | None], None]) -> None:
        self._say = say
        self._next = 0.0
        self._lines = 0

    def __call__(self, done: int, total: int | None) -> None:
        if done < self._next or self._lines >= STEPS:
            return
        if total:
            share = min(done * STEPS // total, STEPS)
            self._next = math.inf if share == STEPS else total * (share + 1) / STEPS
            if not share:
                return
        elif done < FIRST_UNKNOWN_BYTES:
            return
        else:
            self._next = done * 2
        self._lines += 1
        self._say(done, total or None)
