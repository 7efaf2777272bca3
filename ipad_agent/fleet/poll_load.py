"""How many polls reach the eIM in each minute, for a fleet through an outage of the eIM and a power cut of a region.

Devices do not wait for each other, so each lives through its own polls: one vector of the times of the next poll, moved
on until all are past the end. A poll takes no time here. An outage refuses every poll in it; a power cut takes a share
of the devices off, which boot together when it ends.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from ipad_agent.errors import IpadError
from ipad_agent.records import dataclass

from .schedule_table import MOST_FAILURES, ScheduleTable

MINUTE_S: Final = 60.0
_AT_ONCE: Final = 100_000  # devices whose vectors fit into a processor's cache


@dataclass(frozen=True, slots=True)
class Cut:
    """Something that is away from ``begin_s`` for ``length_s``; ``share`` of the devices are in it."""

    begin_s: float
    length_s: float
    share: float = 1.0

    @property
    def end_s(self) -> float:
        return self.begin_s + self.length_s

    @property
    def real(self) -> bool:
        return self.length_s > 0 and self.share > 0


@dataclass(frozen=True, slots=True)
class PollLoad:
    """What the eIM saw. ``answered`` and ``refused`` are polls in each minute of ``length_s``; ``served_s`` are, of the
    devices that were refused in the outage, the seconds from its end to their next answered poll, sorted."""

    devices: int
    length_s: float
    answered: Any
    refused: Any
    served_s: Any


def poll_load(
    table: ScheduleTable, *, devices: int, length_s: float, outage: Cut, power_cut: Cut, seed: int = 0
) -> PollLoad:
    """Simulate. The fleet has been running for long when it begins: its polls are spread evenly over an interval.
    Raises ``IpadError`` when NumPy is missing."""
    numpy = _numpy()
    minutes = int(length_s // MINUTE_S) + 1
    answered, refused = numpy.zeros(minutes, dtype=numpy.int64), numpy.zeros(minutes, dtype=numpy.int64)
    served: list[Any] = []
    for number, first in enumerate(range(0, devices, _AT_ONCE)):
        part = _Part(numpy, table, min(_AT_ONCE, devices - first), (seed, number))
        part.live(length_s, outage, power_cut, answered, refused)
        served.append(part.served_s)
    return PollLoad(devices, length_s, answered, refused, numpy.sort(numpy.concatenate(served)))


class _Part:
    """Some of the devices."""

    def __init__(self, numpy: Any, table: ScheduleTable, devices: int, seed: tuple[int, int]) -> None:
        self._numpy = numpy
        self._table = table
        self._random = numpy.random.default_rng(seed)
        self._failed = numpy.array(table.failed)
        # Somewhere in an interval of the usual length, or the first days would have a rhythm of their own.
        least_s, more_s = table.idle
        self._next_s = self._random.random(devices) * (least_s + more_s * self._random.random(devices))
        self._failures = numpy.zeros(devices, dtype=numpy.int32)
        self._fast_until_s = numpy.full(devices, -1.0)
        self._phase_s = self._random.random(devices) * table.phase_window_s  # as even as SHA-256 of an EID
        self._region = self._random.random(devices)
        self._waits = numpy.zeros(devices, dtype=bool)
        self._served: list[Any] = []

    @property
    def served_s(self) -> Any:
        return self._numpy.concatenate(self._served) if self._served else self._numpy.zeros(0)

    def live(self, length_s: float, outage: Cut, power_cut: Cut, answered: Any, refused: Any) -> None:
        numpy = self._numpy
        while True:
            now_s = self._next_s
            if power_cut.real:
                self._boot_after(power_cut)
            here = now_s < length_s
            if not here.any():
                return
            reached = here & ~((now_s >= outage.begin_s) & (now_s < outage.end_s)) if outage.real else here
            self._count(answered, now_s[reached])
            if outage.real:
                lost = here & ~reached
                self._count(refused, now_s[lost])
                self._served.append(now_s[self._waits & reached] - outage.end_s)
                self._waits = (self._waits & ~reached) | lost
                self._failures = numpy.where(reached, 0, self._failures + lost)
            self._next_s = now_s + numpy.where(here, self._delay_s(now_s), 0.0)

    def _delay_s(self, now_s: Any) -> Any:
        numpy, table = self._numpy, self._table
        chance = self._random.random(len(now_s), dtype=numpy.float32)
        delay_s = table.idle[0] + table.idle[1] * chance
        if self._fast_until_s.max() >= 0.0:
            fast = now_s < self._fast_until_s
            delay_s = numpy.where(fast, table.fast[0] + table.fast[1] * chance, delay_s)
        if self._failures.any():
            row = self._failed[numpy.clip(self._failures, 1, MOST_FAILURES) - 1]
            delay_s = numpy.where(self._failures > 0, row[:, 0] + row[:, 1] * chance, delay_s)
        return delay_s

    def _boot_after(self, cut: Cut) -> None:
        """Whose poll would come while it is off, or later but was planned before, polls after the boot instead."""
        cut_off = (self._region < cut.share) & (self._next_s >= cut.begin_s)
        if not cut_off.any():
            return
        table = self._table
        self._next_s[cut_off] = cut.end_s + table.first_s + self._phase_s[cut_off]
        if table.fast_phase_s > 0:
            self._fast_until_s[cut_off] = cut.end_s + table.fast_phase_s
        self._failures[cut_off] = 0
        self._region[cut_off] = 2.0  # once

    def _count(self, into: Any, times_s: Any) -> None:
        counted = self._numpy.bincount((times_s / MINUTE_S).astype(self._numpy.int64), minlength=len(into))
        into += counted


def _numpy() -> Any:
    # Looked up by name: nobody but this simulation needs it, and no type checker has to know it.
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise IpadError(
            "The simulation of a fleet needs NumPy, which is not installed.",
            hint="Install it: `pip install 'ipad-agent[fleet]'`, or Debian's python3-numpy.",
        ) from error
