"""How much went over the network, by carrier, purpose and profile, over the whole life of the installation.

Bytes of both directions with the headers of IP, UDP and TCP, as an operator charges them. It is written after each
poll; what a power cut takes with it is the cost of one poll.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.procedures.ports import Memory

DOCUMENT: Final = "traffic"
UNKNOWN_PROFILE: Final = "unknown"
MAX_SHARES: Final = 64
_DAY_S: Final = 86_400
_MOST: Final = 1 << 60


class Share(NamedTuple):
    """What ``size_bytes`` went to. ``profile`` is the ICCID of the one that was enabled."""

    carrier: str
    purpose: str
    profile: str


class TrafficLedger:
    """The counters. A day is one of UTC, by the wall clock as it is; a clock that goes back begins no new day."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._shares, self._day, self._today = _read(memory.load(DOCUMENT))

    @property
    def total_bytes(self) -> int:
        """Since the installation."""
        return sum(self._shares.values())

    @property
    def today_bytes(self) -> int:
        """Since midnight."""
        self._turn()
        return self._today

    @property
    def shares(self) -> Mapping[Share, int]:
        """By carrier, purpose and profile."""
        return dict(self._shares)

    def add(self, carrier: str, purposes: Mapping[str, int], profile: str | None) -> None:
        """What a poll cost, by purpose."""
        self._turn()
        for purpose, size_bytes in purposes.items():
            share = Share(carrier, purpose, profile or UNKNOWN_PROFILE)
            if share not in self._shares and len(self._shares) >= MAX_SHARES:
                share = Share(carrier, purpose, UNKNOWN_PROFILE)
            self._shares[share] = self._shares.get(share, 0) + size_bytes
            self._today += size_bytes
        rows = [[*share, size_bytes] for share, size_bytes in self._shares.items()]
        with contextlib.suppress(StoreError):  # the store has said why; until it works this counts in memory
            self._memory.save(DOCUMENT, {"day": self._day, "today": self._today, "shares": rows})

    def _turn(self) -> None:
        day = int(self._clock.wall() // _DAY_S)
        if day > self._day:
            self._day, self._today = day, 0


def _read(document: Mapping[str, object]) -> tuple[dict[Share, int], int, int]:
    shares: dict[Share, int] = {}
    rows = document.get("shares")
    for row in rows if isinstance(rows, list | tuple) else ():
        match row:
            case [str() as carrier, str() as purpose, str() as profile, int() as size_bytes] if 0 <= size_bytes < _MOST:
                shares[Share(carrier, purpose, profile)] = size_bytes
    day, today = document.get("day"), document.get("today")
    if isinstance(day, int) and isinstance(today, int) and 0 <= today < _MOST:
        return shares, day, today
    return shares, 0, 0
