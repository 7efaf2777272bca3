"""What is known of a module, and of the card behind it, over restarts of the agent."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import cast

from ipad_agent.errors import StoreError
from ipad_agent.modem.line_speed import SpeedRecord
from ipad_agent.modem.uicc.channel_record import ChannelRecord
from ipad_agent.store import Memory, Value
from ipad_agent.store.state_documents import BLOCK_SIZES, CHANNELS, ICCID_ORDER, LINE_SPEEDS, MODULE_SETTINGS, WAYS


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


class ChannelFile:
    """The one logical channel this agent may leave open, below the runtime folder."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self) -> ChannelRecord | None:
        found = self._memory.load(CHANNELS)
        texts = [found.get(name) for name in ("way", "handle", "imei", "boot_id")]
        if not all(isinstance(text, str) for text in texts):
            return None
        return ChannelRecord(*cast("list[str]", texts))

    def save(self, record: ChannelRecord) -> None:
        self._put({"way": record.way, "handle": record.handle, "imei": record.imei, "boot_id": record.boot_id})

    def clear(self) -> None:
        if self._memory.load(CHANNELS):
            self._put({})

    def _put(self, document: Mapping[str, object]) -> None:
        # Worth a clean-up after a crash, not worth losing the card for; the store has said what is wrong.
        with contextlib.suppress(StoreError):
            self._memory.save(CHANNELS, document)


class BlockSizes:
    """Which STORE DATA size worked with which module."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load(self, key: str) -> int | None:
        size = self._memory.load(BLOCK_SIZES).get(key)
        return size if isinstance(size, int) else None

    def save(self, key: str, size_bytes: int) -> None:
        self._memory.save(BLOCK_SIZES, {**self._memory.load(BLOCK_SIZES), key: size_bytes})


class IccidOrder:
    """Which module prints the ICCID as it stands in the card's file."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def as_in_file(self, key: str) -> bool:
        return self._memory.load(ICCID_ORDER).get(key) is True

    def save(self, key: str) -> None:
        with contextlib.suppress(StoreError):  # it is seen again, and the store has said what is wrong
            self._memory.save(ICCID_ORDER, {**self._memory.load(ICCID_ORDER), key: True})


def _rates(value: Value) -> tuple[int, ...] | None:
    return tuple(rate for rate in value if isinstance(rate, int)) if isinstance(value, tuple) else None
