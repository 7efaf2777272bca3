"""How much went over the network, by carrier, purpose and profile, and how often the radio was used for it, over the
whole life of the installation.

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


class RadioCounts(NamedTuple):
    """How often the agent's traffic made the radio leave its rest, and how often the agent left its own."""

    cycles: int = 0
    wake_ups: int = 0

    def plus(self, more: RadioCounts) -> RadioCounts:
        return RadioCounts(self.cycles + more.cycles, self.wake_ups + more.wake_ups)


class TrafficLedger:
    """The counters. A day is one of UTC, by the wall clock as it is; a clock that goes back begins no new day."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        document = memory.load(DOCUMENT)
        self._shares, self._day, self._today = _read(document)
        self._radio, self._radio_today = _read_radio(document, "radio"), _read_radio(document, "radio_today")

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

    @property
    def radio(self) -> RadioCounts:
        """Since the installation."""
        return self._radio

    @property
    def radio_today(self) -> RadioCounts:
        """Since midnight."""
        self._turn()
        return self._radio_today

    def add(
        self,
        carrier: str,
        purposes: Mapping[str, int],
        profile: str | None,
        radio: RadioCounts = RadioCounts(),  # noqa: B008 - a value
    ) -> None:
        """What a poll cost, by purpose, and what the radio was used since the last one."""
        self._turn()
        self._radio, self._radio_today = self._radio.plus(radio), self._radio_today.plus(radio)
        for purpose, size_bytes in purposes.items():
            share = Share(carrier, purpose, profile or UNKNOWN_PROFILE)
            if share not in self._shares and len(self._shares) >= MAX_SHARES:
                share = Share(carrier, purpose, UNKNOWN_PROFILE)
            self._shares[share] = self._shares.get(share, 0) + size_bytes
            self._today += size_bytes
        rows = [[*share, size_bytes] for share, size_bytes in self._shares.items()]
        with contextlib.suppress(StoreError):  # the store has said why; until it works this counts in memory
            self._memory.save(
                DOCUMENT,
                {
                    "day": self._day,
                    "today": self._today,
                    "shares": rows,
                    "radio": [*self._radio],
                    "radio_today": [*self._radio_today],
                },
            )

    def _turn(self) -> None:
        day = int(self._clock.wall() // _DAY_S)
        if day > self._day:
            self._day, self._today, self._radio_today = day, 0, RadioCounts()


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


def _read_radio(document: Mapping[str, object], name: str) -> RadioCounts:
    match document.get(name):
        case [int() as cycles, int() as wake_ups] if 0 <= cycles < _MOST and 0 <= wake_ups < _MOST:
            return RadioCounts(cycles, wake_ups)
    return RadioCounts()
