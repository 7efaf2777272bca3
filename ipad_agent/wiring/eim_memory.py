"""What is known of eIMs over restarts of the agent, kept in the state directory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from ipad_agent.errors import StoreError
from ipad_agent.store import Memory
from ipad_agent.store.state_documents import DIALECTS, SCHEDULE

MAX_DIALECTS: Final = 32
"""So many eIMs are remembered; a card has room for about ten."""


class Schedules:
    """The timetable's document in the store."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self) -> Mapping[str, object]:
        return self._memory.load(SCHEDULE)

    def save(self, document: Mapping[str, object]) -> None:
        self._memory.save(SCHEDULE, document)


class Dialects:
    """What is known of one eIM's dialect, or what it was told. Worth one more refusal after a
    restart, not worth failing for; the store has said what is wrong."""

    def __init__(self, memory: Memory, eim_id: str, document: str = DIALECTS) -> None:
        self._memory = memory
        self._eim_id = eim_id
        self._document = document

    def load(self) -> Mapping[str, object]:
        found = self._memory.load(self._document).get(self._eim_id)
        return found if isinstance(found, Mapping) else {}

    def save(self, document: Mapping[str, object]) -> None:
        known = self._memory.load(self._document)
        others = [(eim_id, what) for eim_id, what in known.items() if eim_id != self._eim_id]
        with contextlib.suppress(StoreError):
            self._memory.save(self._document, dict([*others[-MAX_DIALECTS:], (self._eim_id, dict(document))]))


class Sessions:
    """DTLS sessions of this boot. A full handshake after a restart is no harm; the store has said what is wrong."""

    def __init__(self, memory: Memory, name: str) -> None:
        self._memory = memory
        self._name = name

    def load(self) -> Mapping[str, object]:
        found = self._memory.load(self._name).get("dtls")
        return found if isinstance(found, Mapping) else {}

    def save(self, records: Mapping[str, object]) -> None:
        with contextlib.suppress(StoreError):
            self._memory.save(self._name, {"dtls": dict(records)})
