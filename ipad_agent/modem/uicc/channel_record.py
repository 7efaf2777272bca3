"""What the modem side remembers over a restart of the agent: the one logical channel it may have left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
