"""What is known of a module over restarts of the agent, kept in the state directory."""

from __future__ import annotations

import contextlib

from ipad_agent.errors import StoreError
from ipad_agent.modem.line_speed import SpeedRecord
from ipad_agent.store import Memory, Value
from ipad_agent.store.state_documents import LINE_SPEEDS, MODULE_SETTINGS, WAYS


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


class Speeds:
    """Which speeds of its UART a module and firmware offers, and which of them failed."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, key: str) -> SpeedRecord | None:
        entry = self._memory.load(LINE_SPEEDS).get(key)
        limit = entry.get("limit") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(limit, int):
            return None
        failed, written = (_rates(entry.get(name)) or () for name in ("failed", "written"))
        return SpeedRecord(limit, _rates(entry.get("offered")), failed, written)

    def save(self, key: str, record: SpeedRecord) -> None:
        entry: dict[str, Value] = {
            "limit": record.limit,
            "offered": record.offered,
            "failed": record.failed,
            "written": record.written,
        }
        with contextlib.suppress(StoreError):  # it can be learned again
            self._memory.save(LINE_SPEEDS, {**self._memory.load(LINE_SPEEDS), key: entry})


def _rates(value: Value) -> tuple[int, ...] | None:
    return tuple(rate for rate in value if isinstance(rate, int)) if isinstance(value, tuple) else None
