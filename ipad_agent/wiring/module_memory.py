"""What is known of a module over restarts of the agent, kept in the state directory."""

from __future__ import annotations

import contextlib

from ipad_agent.errors import StoreError
from ipad_agent.store import Memory
from ipad_agent.store.state_documents import MODULE_SETTINGS, WAYS


class Ways:
    """Which way to the card is tried first with which module and firmware."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, key: str) -> str | None:
        way = self._memory.load(WAYS).get(key)
        return way if isinstance(way, str) else None

    def save(self, key: str, way: str) -> None:
        with contextlib.suppress(StoreError):  # it is seen again, and the store has said what is wrong
            self._memory.save(WAYS, {**self._memory.load(WAYS), key: way})


class WrittenSettings:
    """Which settings of modules were written."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def written(self, key: str) -> bool:
        return self._memory.load(MODULE_SETTINGS).get(key) is True

    def save(self, key: str) -> None:
        with contextlib.suppress(StoreError):
            self._memory.save(MODULE_SETTINGS, {**self._memory.load(MODULE_SETTINGS), key: True})
