"""Time on a device whose wall clock may be wrong: how long ago was that, and is it knowable at all?"""

from __future__ import annotations

from typing import Protocol

from ipad_agent.clock import Clock
from ipad_agent.records import dataclass

# No device runs this software before 2024: a wall clock that says so was never set.
UNSET_BEFORE_S = 1_704_067_200.0

# What a deadline is given when it is not knowable how much of it is left.
GRACE_S = 120.0


class Moment(Protocol):
    """Anything stamped by all three clocks, such as a journal entry's stamp."""

    @property
    def wall_s(self) -> float: ...
    @property
    def monotonic_s(self) -> float: ...
    @property
    def boot_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by all three clocks (see ``ipad_agent.clock``)."""

    wall_s: float
    monotonic_s: float
    boot_id: str

    @staticmethod
    def now(clock: Clock) -> Instant:
        """This moment."""
        return Instant(clock.wall(), clock.monotonic(), clock.boot_id())


def same_boot(earlier: Moment, later: Moment) -> bool:
    """Whether the monotonic clocks of the two moments may be compared."""
    return earlier.boot_id == later.boot_id and later.monotonic_s >= earlier.monotonic_s


def elapsed_s(earlier: Moment, later: Moment) -> float | None:
    """Seconds between two moments, None when it is not knowable.

    Within one boot the monotonic clock decides and jumps of the wall clock do not matter. Over a reboot the wall
    clock is all there is; it is believed when it was set both times and did not go backwards.
    """
    if same_boot(earlier, later):
        return later.monotonic_s - earlier.monotonic_s
    if earlier.wall_s < UNSET_BEFORE_S or later.wall_s < earlier.wall_s:
        return None
    return later.wall_s - earlier.wall_s


def remaining_s(armed: Moment, deadline_s: float, now: Moment) -> float:
    """What is left of a deadline that must hold over crash and reboot (a dead man's switch); 0 when it has passed.

    Over a reboot the wall clock can only have been too slow to be set (it then shows less than really passed), so
    the answer is never more than the whole deadline; when nothing is knowable it is ``GRACE_S`` at most.
    """
    passed_s = elapsed_s(armed, now)
    if passed_s is None:
        return min(GRACE_S, deadline_s)
    return min(max(0.0, deadline_s - passed_s), deadline_s)
