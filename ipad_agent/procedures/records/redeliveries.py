"""What was tried in vain with results that only the card keeps: when each may be offered again.

Results of the journal have this in their own entry (``owed_work.WorkList.failed``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.redelivery import Redelivery, from_document, to_document
from ipad_agent.procedures.ports import Memory

DOCUMENT: Final = "redeliveries"
MAX_ITEMS: Final = 64


class Redeliveries:
    """By card, eIM and number of the result; on disk after every call that changes them, if the disk takes it."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    def now(self) -> Instant:
        """This moment, by the clock that ``Redelivery`` counts by."""
        return Instant.now(self._clock)

    def of(self, eid: str, eim_id: str) -> dict[int, Redelivery]:
        """What was tried for this eIM, by the number of the result."""
        return {seq: state for (name, seq), state in self._all(eid).items() if name == eim_id}

    def all(self, eid: str) -> list[tuple[str, int, Redelivery]]:
        """Everything that was tried in vain: eIM, number of the result, attempts."""
        return [(eim_id, seq, state) for (eim_id, seq), state in self._all(eid).items()]

    def failed(self, eid: str, eim_id: str, seq: int, state: Redelivery) -> None:
        """The eIM did not take this result."""
        items = self._all(eid)
        items.pop((eim_id, seq), None)
        items[eim_id, seq] = state
        while len(items) > MAX_ITEMS:
            del items[next(iter(items))]
        self._save(eid, items)

    def ended(self, eid: str, eim_id: str, seq: int) -> None:
        """The eIM took it."""
        items = self._all(eid)
        if items.pop((eim_id, seq), None) is not None:
            self._save(eid, items)

    def _all(self, eid: str) -> dict[tuple[str, int], Redelivery]:
        document = self._memory.load(DOCUMENT)
        found = document.get("items")
        items: dict[tuple[str, int], Redelivery] = {}
        if document.get("eid") != eid or not isinstance(found, tuple | list):
            return items  # of another card: the numbers mean other results
        for entry in found:
            match entry:
                case (str() as eim_id, int() as seq, value):
                    state = from_document(value)
                    if state is not None:
                        items[eim_id, seq] = state
        return items

    def _save(self, eid: str, items: Mapping[tuple[str, int], Redelivery]) -> None:
        kept = [(eim_id, seq, to_document(state)) for (eim_id, seq), state in items.items()]
        with contextlib.suppress(StoreError):  # then it is offered earlier than need be; the store has said why
            self._memory.save(DOCUMENT, {"eid": eid, "items": kept})
