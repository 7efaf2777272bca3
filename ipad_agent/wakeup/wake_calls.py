"""Following calls, now and then: whoever can send them must not empty a battery with them."""

from __future__ import annotations

from collections.abc import Callable

from . import events


class WakeCalls:
    """``per_hour`` calls are followed in an hour, whoever sends them. ``wake`` brings the poll forward; ``spent`` tells
    why nothing more shall be spent on calls now, or None. ``now_s`` is any monotonic clock."""

    def __init__(
        self, per_hour: int, wake: Callable[[str], None], now_s: Callable[[], float], spent: Callable[[], str | None]
    ) -> None:
        self._per_hour = per_hour
        self._wake = wake
        self._now_s = now_s
        self._spent = spent
        self._tokens = float(per_hour)
        self._at_s: float | None = None
        self._said = False

    def call(self, how: str, who: str) -> bool:
        """An authenticated call, such as ``an SMS`` of ``+49…1234``; whether it is followed."""
        now_s = self._now_s()
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._tokens, self._at_s = min(self._per_hour, self._tokens + passed_s * self._per_hour / 3600), now_s
        reason = self._spent()
        if reason is None and self._tokens < 1:
            reason = f"{self._per_hour} calls were followed within the hour"
        if reason is not None:
            (events.IGNORED if self._said else events.NOT_FOLLOWED).emit(how=how, who=who, reason=reason)
            self._said = True
            return False
        self._said = False
        self._tokens -= 1
        events.WOKEN_BY.emit(how=how, who=who)
        self._wake(how)
        return True
