"""What this device is about to order itself, on disk from before the card is touched (``local_switch``)."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Final

from ipad_agent.errors import StoreError
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.procedures.ports import Memory

DOCUMENT: Final = "local-switch"


class What(StrEnum):
    """The four orders; the value is a piece of a sentence."""

    FALLBACK = "the change to the fallback profile"
    RETURN = "the return from the fallback profile"
    EMERGENCY_ON = "the change to the emergency profile"
    EMERGENCY_OFF = "the return from the emergency profile"


class LocalSwitchRecord:
    """The local switch that is under way, on disk from before the card is touched until every eIM's news are noted."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def begin(self, eid: str, what: What, previous: str | None, by: FallbackCause = FallbackCause.GUARDIAN) -> None:
        # A full disk must not keep a device off its last way to the network; the store has said so. After a crash the
        # eIMs then get no better reason than "undefined".
        with contextlib.suppress(StoreError):
            self._memory.save(DOCUMENT, {"eid": eid, "what": what.name, "previous": previous, "by": by.value})

    def under_way(self, eid: str) -> tuple[What, str | None, FallbackCause] | None:
        """The order, the profile that was enabled before it and who wanted it; None without one, or when it was of
        another card."""
        document = self._memory.load(DOCUMENT)
        what = next((what for what in What if what.name == document.get("what")), None)
        previous = document.get("previous", False)  # None stands for "no profile was enabled"
        if what is None or document.get("eid") != eid or not isinstance(previous, str | None):
            return None
        by = next((cause for cause in FallbackCause if cause == document.get("by")), FallbackCause.GUARDIAN)
        return what, previous, by

    def end(self) -> None:
        if self._memory.load(DOCUMENT):
            with contextlib.suppress(StoreError):
                self._memory.save(DOCUMENT, {})
