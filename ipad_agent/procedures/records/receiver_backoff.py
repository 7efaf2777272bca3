"""Receivers of notifications that did not take one: when each may be tried again (SGP.32 v1.2 §3.7).

The pause doubles from ten minutes to a day and outlives a restart. It covers the notifications that were there when
it began; a newer one may be tried at once, because something has changed. The pause is kept by wall clock, which may be
wrong: a time further away than the longest pause is of another clock and counts as over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.procedures.ports import Memory
from ipad_agent.records import dataclass

from .notification_backoff import LONGEST_PAUSE_S, NotificationBackoff, left_s, pause_s

DOCUMENT: Final = "notifications"
MAX_RECEIVERS: Final = 64
MAX_REASON_CHARACTERS: Final = 160


@dataclass(frozen=True, slots=True)
class _Pause:
    failures: int
    until_s: float
    newest: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """What a paused receiver did: ``failures`` in a row, ``reason`` of the last, to be left alone for ``wait_s``."""

    failures: int
    reason: str | None
    wait_s: float


class Receivers:
    """The receivers that are paused, by name; on disk after every call that changes them. ``notifications`` are those
    that an eIM refused one by one."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self.notifications = NotificationBackoff(memory, clock)
        self._memory = memory
        self._clock = clock

    def wait_s(self, receiver: str, newest: int) -> float:
        """How long this receiver is to be left alone; 0 when it may be tried now. ``newest`` is the highest number
        that waits for it."""
        pause = self._all().get(receiver)
        if pause is None or newest > pause.newest:
            return 0.0
        return left_s(pause.until_s, self._clock.wall())

    def tried(self, address: str, newest: int) -> Tried | None:
        """The longest pause of this receiver, on the direct way or through an eIM; None when it may be tried now."""
        found = None
        for name, pause in self._all().items():
            wait_s = self.wait_s(name, newest) if name == address or name.endswith(f" for {address}") else 0.0
            if wait_s > (0.0 if found is None else found.wait_s):
                found = Tried(pause.failures, pause.reason, wait_s)
        return found

    def failed(self, receiver: str, newest: int, *, reason: str = "", retry_after_s: float | None = None) -> float:
        """It took none; returns the pause, which is longer if the receiver itself asked for more."""
        pauses = self._all()
        before = pauses.pop(receiver, None)
        failures = (before.failures if before is not None else 0) + 1
        chosen_s = min(max(pause_s(failures), retry_after_s or 0.0), LONGEST_PAUSE_S)
        pauses[receiver] = _Pause(
            failures, self._clock.wall() + chosen_s, newest, reason[:MAX_REASON_CHARACTERS] or None
        )
        while len(pauses) > MAX_RECEIVERS:
            del pauses[next(iter(pauses))]
        self._save(pauses)
        return chosen_s

    def took(self, receiver: str) -> None:
        """It took one: the next failure begins anew."""
        pauses = self._all()
        if pauses.pop(receiver, None) is not None:
            self._save(pauses)

    def _all(self) -> dict[str, _Pause]:
        found = self._memory.load(DOCUMENT).get("receivers")
        pauses: dict[str, _Pause] = {}
        for receiver, entry in found.items() if isinstance(found, Mapping) else ():
            match entry:
                case (int() as failures, float() | int() as until_s, int() as newest, *rest):
                    reason = rest[0] if rest and isinstance(rest[0], str) else None
                    pauses[receiver] = _Pause(failures, until_s, newest, reason)
        return pauses

    def _save(self, pauses: Mapping[str, _Pause]) -> None:
        kept = {
            receiver: (pause.failures, pause.until_s, pause.newest, pause.reason) for receiver, pause in pauses.items()
        }
        self._memory.save(DOCUMENT, {"receivers": kept})
