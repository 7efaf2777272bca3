"""When a card that does not answer is reset: not at the first silence, and not again and again.

Each reset takes the modem off the network, and networks bar a SIM that comes and goes too often. The pauses hold over
restarts of the process and of the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.instant import Instant, elapsed_s
from ipad_agent.procedures.ports import Memory

DOCUMENT: Final = "card-resets"
FIRST_AFTER: Final = 3
"""So many attempts in a row fail before the first reset: after a reset or a re-enumeration a card needs its time."""
GAPS_S: Final = (300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0)
"""From one reset to the next; the last goes on."""


class CardResets:
    """The resets of a card that stays away."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._failures = 0
        self._document: Mapping[str, object] = memory.load(DOCUMENT)

    def due(self) -> bool:
        """The card did not answer once more; whether to reset it now, which is then written down."""
        self._failures += 1
        count, last = _read(self._document)
        if self._failures < FIRST_AFTER and not count:
            return False
        now = Instant.now(self._clock)
        passed_s = None if last is None else elapsed_s(last, now)
        if passed_s is not None and passed_s < GAPS_S[min(count, len(GAPS_S)) - 1]:
            return False
        self._note({"count": count + 1, "last": asdict(now)})
        return True

    def over(self) -> None:
        """The card answers."""
        self._failures = 0
        if self._document:
            self._note({})

    def _note(self, document: Mapping[str, object]) -> None:
        self._document = document
        with contextlib.suppress(StoreError):  # a full disk must not keep a card from its reset
            self._memory.save(DOCUMENT, document)


def _read(document: Mapping[str, object]) -> tuple[int, Instant | None]:
    match document:
        case {
            "count": int() as count,
            "last": {"wall_s": float() as wall, "monotonic_s": float() as monotonic, "boot_id": str() as boot},
        } if count > 0:
            return count, Instant(wall, monotonic, boot)
        case _:
            return 0, None
