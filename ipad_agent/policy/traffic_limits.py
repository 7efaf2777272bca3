"""When traffic is so scarce that only what must leave leaves: results, and the way back of a switch."""

from __future__ import annotations

from ipad_agent.records import dataclass

from .polling.hold_reason import Held

BUDGET = "budget"
"""The name of the reason; ``Held.name`` of no condition of a site."""


@dataclass(frozen=True, slots=True)
class TrafficLimits:
    """Bytes with all headers; None is without limit. From ``hold_at`` (a share of either) on no new work is fetched and
    no download begun; None: limits are only shown."""

    day_bytes: int | None = None
    total_bytes: int | None = None
    hold_at: float | None = None


def reached(limits: TrafficLimits, *, today_bytes: int, total_bytes: int) -> Held | None:
    """Why work has to wait, or None. What the day's limit holds back waits until midnight, the other until a person
    raises it."""
    if limits.hold_at is None:
        return None
    for spent, limit, which in (
        (total_bytes, limits.total_bytes, "the whole"),
        (today_bytes, limits.day_bytes, "today's"),
    ):
        if limit is not None and spent >= limits.hold_at * limit:
            return Held(BUDGET, f"{spent} of {limit} bytes of {which} traffic budget are used up")
    return None
