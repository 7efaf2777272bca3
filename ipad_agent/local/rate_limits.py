"""How often the users of this machine may call the agent, on the socket and on D-Bus alike.

Whatever one asks costs the agent a part of its one thread, so all that is called counts: questions about the interface,
calls that are refused, connections. root and the agent's own user are not counted.

Times are seconds of one clock.
"""

from __future__ import annotations

from typing import Final

CALL_BURST: Final = 100
CALLS_PER_S: Final = 50.0
STRANGER_BURST: Final = 20
STRANGER_CALLS_PER_S: Final = 10.0
_STRANGERS: Final = -1


class Bucket:
    """Grants ``burst`` at once and ``per_s`` in the long run."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, now_s: float, burst: float, per_s: float) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        self._left = self._burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Whether one more is granted now."""
        self._fill(now_s)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def wait_s(self, now_s: float) -> float:
        """Take one that may not be there yet; returns for how long it is not."""
        self._fill(now_s)
        self._left -= 1
        return max(0.0, -self._left / self._per_s)

    def full(self, now_s: float) -> bool:
        """Whether it may be forgotten."""
        return self._left + (now_s - self._at_s) * self._per_s >= self._burst

    def _fill(self, now_s: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now_s - self._at_s) * self._per_s)
        self._at_s = now_s


class CallRates:
    """One bucket for each user who may look, and one for all who may not, together: they can be very many."""

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}

    def take(self, uid: int, now_s: float, *, stranger: bool) -> bool:
        """Whether one more call of this user is granted now."""
        return self._bucket(uid, now_s, stranger=stranger).take(now_s)

    def wait_s(self, uid: int, now_s: float, *, stranger: bool) -> float:
        """Count a call that will be answered in any case; returns after how long that is its turn."""
        return self._bucket(uid, now_s, stranger=stranger).wait_s(now_s)

    def _bucket(self, uid: int, now_s: float, *, stranger: bool) -> Bucket:
        key = _STRANGERS if stranger else uid
        found = self._buckets.get(key)
        if found is None:
            self._buckets = {known: bucket for known, bucket in self._buckets.items() if not bucket.full(now_s)}
            rate = (STRANGER_BURST, STRANGER_CALLS_PER_S) if stranger else (CALL_BURST, CALLS_PER_S)
            found = self._buckets[key] = Bucket(now_s, *rate)
        return found
