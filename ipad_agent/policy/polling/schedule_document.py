"""The schedule as plain data for the store, and back; a document nobody would have written counts as none."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar

from ipad_agent.policy.instant import Instant

from .poll_outcome import Outcome, Wake
from .poll_schedule import EimSchedule, Reason

LONGEST_S: Final = 40 * 86_400.0  # longer than any interval the configuration allows, with its jitter
_MOST: Final = 1_000_000

_Member = TypeVar("_Member", bound=Enum)


class _UnusableError(Exception):
    pass


def to_document(state: EimSchedule) -> dict[str, object]:
    """Plain data that ``from_document`` reads back to the same schedule."""
    return {
        "since": _pack(state.since),
        "delay_s": state.delay_s,
        "reason": state.reason.name,
        "booted": _pack(state.booted),
        "boots": state.boots,
        "wake": state.wake.name if state.wake else None,
        "outcome": state.outcome.name if state.outcome else None,
        "failures": state.failures,
        "attempt": _pack(state.attempt) if state.attempt else None,
        "running": state.running,
        "full_runs": state.full_runs,
        "restarts": state.restarts,
        "fast_since": _pack(state.fast_since) if state.fast_since else None,
        "owed": state.owed,
    }


def from_document(document: object) -> EimSchedule | None:
    """The schedule, or None when the document is missing or not one: the agent then starts as after a first boot."""
    if not isinstance(document, Mapping):
        return None
    try:
        since, booted = _instant(document.get("since")), _instant(document.get("booted"))
        if since is None or booted is None:
            return None
        return EimSchedule(
            since=since,
            delay_s=_number(document.get("delay_s"), LONGEST_S),
            reason=_member(Reason, document.get("reason")),
            booted=booted,
            boots=_count(document.get("boots")),
            wake=_optional_member(Wake, document.get("wake")),
            outcome=_optional_member(Outcome, document.get("outcome")),
            failures=_count(document.get("failures")),
            attempt=_instant(document.get("attempt")),
            running=document.get("running") is True,
            full_runs=_count(document.get("full_runs")),
            restarts=_count(document.get("restarts", 0)),  # older releases counted none
            fast_since=_instant(document.get("fast_since")),
            owed=_optional_text(document.get("owed")),
        )
    except _UnusableError:
        return None


def _pack(instant: Instant) -> tuple[float, float, str]:
    return (instant.wall_s, instant.monotonic_s, instant.boot_id)


def _instant(value: object) -> Instant | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[2], str):
        return Instant(_number(value[0]), _number(value[1]), value[2])
    raise _UnusableError


def _number(value: object, most: float = 1e12) -> float:
    # The range also keeps out NaN and the infinities.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _UnusableError
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise _UnusableError
    return value


def _optional_text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _UnusableError
    return value


def _member(kind: type[_Member], name: object) -> _Member:
    for member in kind:
        if member.name == name:
            return member
    raise _UnusableError


def _optional_member(kind: type[_Member], name: object) -> _Member | None:
    return None if name is None else _member(kind, name)
