"""How often a bad link cut a download off, and since when: what decides whether it is begun again.

An attempt counts when the server answered in it. What ends without an answer cost nothing and says nothing about the
order, so an outage of any length never ends one. Only an SM-DP+ that does not answer while the eIM does is given up
sooner: the eIM may have named a wrong one, and has to hear that.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.policy.instant import Instant, elapsed_s
from ipad_agent.records import dataclass, replace

MAX_UNANSWERED: Final = 4
"""So many attempts in a row the SM-DP+ may leave without any answer while the eIM is reached."""
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class DownloadCuts:
    """``count`` attempts were cut off, the first of them at ``first``; in the last ``unanswered`` no answer came."""

    count: int
    first: Instant
    unanswered: int = 0


def cut_off(before: DownloadCuts | None, now: Instant, *, answered: bool) -> DownloadCuts:
    """One more."""
    if before is None:
        return DownloadCuts(1, now, 0 if answered else 1)
    unanswered = 0 if answered else min(before.unanswered + 1, _MOST)
    return replace(before, count=min(before.count + 1, _MOST), unanswered=unanswered)


def is_enough(cuts: DownloadCuts, now: Instant, *, max_attempts: int, give_up_s: float) -> bool:
    """Whether the order ends here. Where it is not knowable how much time has passed the number alone decides."""
    passed_s = elapsed_s(cuts.first, now)
    if cuts.unanswered >= MAX_UNANSWERED:
        return True
    return cuts.count >= max_attempts or (passed_s is not None and passed_s >= give_up_s)


def to_document(cuts: DownloadCuts) -> tuple[object, ...]:
    """Plain data that ``from_document`` reads back to the same value."""
    return (cuts.count, cuts.unanswered, (cuts.first.wall_s, cuts.first.monotonic_s, cuts.first.boot_id))


def from_document(document: object) -> DownloadCuts | None:
    """The value, or None when the document is missing or not one: then none was cut off so far."""
    match document:
        case (
            int() as count,
            int() as unanswered,
            (int() | float() as wall_s, int() | float() as monotonic_s, str() as boot_id),
        ):
            if 0 <= unanswered <= count <= _MOST and 0 <= wall_s <= 1e12 and 0 <= monotonic_s <= 1e12:
                return DownloadCuts(count, Instant(float(wall_s), float(monotonic_s), boot_id), unanswered)
    return None
