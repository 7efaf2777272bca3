"""A port that stays open over several sessions, is listened to first, and only lets questions through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.modem.at.at_session import LinkTiming
from ipad_agent.modem.errors import PortLost
from ipad_agent.modem.port.byte_stream import ByteStream, PortOpener

from .read_only_guard import ReadOnlyGuard

_READ_S: Final = 0.05
"""What came while the program did something else has to be read."""


class ExaminedPort:
    """``ByteStream`` and ``PortOpener`` in one: opening gives the open port, closing leaves it open, until
    ``give_back``. A port that vanished is opened again."""

    def __init__(self, opener: PortOpener, guard: ReadOnlyGuard) -> None:
        self.guard = guard
        self.received = bytearray()
        self.sent = bytearray()
        self.openings = 0
        self.timing = LinkTiming()
        """How long the line is waited for; what answers slowly gets more."""
        self._opener = opener
        self._opened_s = 0.0
        self._stream: ByteStream | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[ModemError], None] | None = None

    @property
    def description(self) -> str:
        return "the port" if self._stream is None else self._stream.description

    async def open(self) -> ExaminedPort:
        """Open it unless it is; raises ``PortUnavailable``."""
        if self._stream is None:
            self._stream = await self._opener.open()
            self._stream.start(self._data, self._lost)
            self._opened_s = asyncio.get_running_loop().time()
            self.openings += 1
        return self

    def note_silence(self) -> None:
        """See ``PortOpener``: the speed stays as it was asked for."""

    async def listen(self, seconds: float) -> bytes:
        """What comes by itself within this time from the opening of the port on; it may be open for a while already."""
        await self.open()
        left_s = self._opened_s + seconds - asyncio.get_running_loop().time()
        await asyncio.sleep(max(left_s, _READ_S))
        return bytes(self.received)

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """See ``ByteStream``."""
        self._on_data, self._on_lost = on_data, on_lost

    async def write(self, data: bytes) -> None:
        """See ``ByteStream``; raises ``WouldChange`` for what is no question."""
        self.guard.check(data)
        await self.write_raw(data)

    async def write_raw(self, data: bytes) -> None:
        """What is no AT command; for a port that speaks none."""
        if self._stream is None:
            raise PortLost("the port was closed")
        self.sent += data
        await self._stream.write(data)

    async def close(self) -> None:
        """A session ends; the port stays."""
        self._on_data = self._on_lost = None

    async def give_back(self) -> None:
        """Close the port."""
        await self.close()
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(ModemError):
                await stream.close()

    def _data(self, data: bytes) -> None:
        self.received += data
        del self.received[:-65536]
        if self._on_data is not None:
            self._on_data(data)

    def _lost(self, error: ModemError) -> None:
        self._stream = None
        if self._on_lost is not None:
            self._on_lost(error)
