"""How much of this device strangers may have: connections at a time, and attempts per minute.

One address that floods is stopped by its own share; many that flood are stopped by the share of all, which keeps a
pushing eIM out for a while and never the agent from its work.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from ipad_agent.records import dataclass, field

MOST_CONNECTIONS: Final = 8
MOST_PER_ADDRESS: Final = 3
MOST_ADDRESSES: Final = 64
MOST_BODY_BYTES: Final = 64 * 1024
"""No package is that large: a card's memory for one is smaller."""
HANDSHAKE_S: Final = 15.0
IDLE_S: Final = 30.0
"""For one request to arrive, and for the next one to begin."""
CONNECTION_S: Final = 300.0
MOST_REQUESTS: Final = 32
"""On one connection."""
RETRY_AFTER_S: Final = 60


@dataclass(slots=True)
class _Share:
    """Tokens that come back with time."""

    tokens: float
    at_s: float


@dataclass(slots=True)
class Attempts:
    """``per_minute`` attempts of one address, and twice as many of all together. ``now_s`` is any monotonic clock."""

    per_minute: int
    _of: dict[str, _Share] = field(default_factory=dict)
    _all: _Share | None = None

    def allowed(self, address: str, now_s: float) -> bool:
        """Whether one more may be made now; it counts."""
        own = self._of.pop(address, None) or _Share(self.per_minute, now_s)
        self._of[address] = own
        while len(self._of) > MOST_ADDRESSES:
            del self._of[next(iter(self._of))]
        if self._all is None:
            self._all = _Share(2 * self.per_minute, now_s)
        return _take(own, self.per_minute, now_s) and _take(self._all, 2 * self.per_minute, now_s)


@dataclass(slots=True)
class Connections:
    """Who is connected now."""

    _of: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; ``leave`` gives it back."""
        if self._of.total() >= MOST_CONNECTIONS or self._of[address] >= MOST_PER_ADDRESS:
            return False
        self._of[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One of this address is gone."""
        self._of[address] -= 1
        self._of += Counter()  # drops the zeros


def _take(share: _Share, per_minute: int, now_s: float) -> bool:
    share.tokens = min(per_minute, share.tokens + max(0.0, now_s - share.at_s) * per_minute / 60)
    share.at_s = now_s
    if share.tokens < 1:
        return False
    share.tokens -= 1
    return True
