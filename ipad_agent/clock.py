"""Time as a value the composition root hands in, so that tests and the torture run can own it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """The three clocks of a device whose wall clock may be wrong."""

    def wall(self) -> float:
        """Seconds since 1970, as far as the device knows."""

    def monotonic(self) -> float:
        """Seconds that never go backwards within one boot."""

    def boot_id(self) -> str:
        """Changes with every boot; monotonic times of two boots must not be compared."""


class SystemClock:
    """The clocks of this machine. ``monotonic`` counts through suspend (CLOCK_BOOTTIME)."""

    def __init__(self) -> None:
        self._boot_id: str | None = None

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        if self._boot_id is None:  # no process outlives a boot, and this is asked a dozen times in every poll
            try:
                self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            except OSError:
                return "unknown"
        return self._boot_id
