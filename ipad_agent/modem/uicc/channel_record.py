"""What the modem side remembers over a restart of the agent: the one logical channel it may have left open, which
modules print an ICCID in the order of the card's file, which way to the card works with which module, and what was
written to a module's permanent memory."""

from __future__ import annotations

from typing import Protocol

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """``way`` is cgla or csim, ``handle`` the session id or the channel number, ``imei`` and ``boot_id`` say when
    and where it is valid."""

    way: str
    handle: str
    imei: str
    boot_id: str


class ChannelMemory(Protocol):
    """Keeps one record, best below /run: a reboot of the gateway makes it worthless."""

    def load(self) -> ChannelRecord | None:
        """The record, if there is one."""

    def save(self, record: ChannelRecord) -> None:
        """Replace the record."""

    def clear(self) -> None:
        """Forget it."""


class PrintingMemory(Protocol):
    """Which module answers which command with the ICCID as it stands in EF.ICCID, that is with exchanged nibbles."""

    def as_in_file(self, key: str) -> bool:
        """Whether that was ever seen; ``key`` names module, firmware and command."""

    def save(self, key: str) -> None:
        """It was seen. Never raises: it can be seen again."""


class WayMemory(Protocol):
    """Which way to the card (cgla, csim) proved to be the better one, by module and firmware."""

    def load(self, key: str) -> str | None:
        """The way to be tried first, if that was ever seen."""

    def save(self, key: str, way: str) -> None:
        """It was seen. Never raises: it can be seen again."""


class SettingMemory(Protocol):
    """Which settings in a module's permanent memory this agent has changed: none of them is written a second time."""

    def written(self, key: str) -> bool:
        """Whether it was; ``key`` names module, firmware and command."""

    def save(self, key: str) -> None:
        """To be called before it is written."""


class VolatileWayMemory:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._ways: dict[str, str] = {}

    def load(self, key: str) -> str | None:
        return self._ways.get(key)

    def save(self, key: str, way: str) -> None:
        self._ways[key] = way


class VolatileSettingMemory:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def written(self, key: str) -> bool:
        return key in self._keys

    def save(self, key: str) -> None:
        self._keys.add(key)


class VolatilePrintingMemory:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def as_in_file(self, key: str) -> bool:
        return key in self._keys

    def save(self, key: str) -> None:
        self._keys.add(key)


class VolatileChannelMemory:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._record: ChannelRecord | None = None

    def load(self) -> ChannelRecord | None:
        return self._record

    def save(self, record: ChannelRecord) -> None:
        self._record = record

    def clear(self) -> None:
        self._record = None
