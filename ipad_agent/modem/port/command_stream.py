"""What stands behind a port and takes one command after the other, instead of a line of bytes."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from ipad_agent.errors import ModemError
from ipad_agent.modem.errors import PortLost


class CommandStream(ABC):
    """A ``ByteStream`` made of commands and their answers: of what is written each line is a command, answered in its
    turn as by a modem without echo. It is never lost: what is not there any more answers with an error."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._on_data: Callable[[bytes], None] | None = None
        self._worker: asyncio.Task[None] | None = None

    @abstractmethod
    async def _answer(self, command: str) -> bytes:
        """What a modem would have sent to this, its final result included."""

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """See ``ByteStream``."""
        self._on_data = on_data
        self._worker = asyncio.create_task(self._work())

    async def write(self, data: bytes) -> None:
        """See ``ByteStream``."""
        if self._on_data is None:
            raise PortLost("the port was closed")
        for byte in data:
            if byte != 0x0D:
                self._line.append(byte)
                continue
            text = self._line.decode("ascii", "ignore").strip()
            self._line.clear()
            if text:
                self._lines.put_nowait(text)

    async def close(self) -> None:
        """See ``ByteStream``."""
        self._on_data = None
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    async def _work(self) -> None:
        while True:
            answer = await self._answer(await self._lines.get())
            if self._on_data is not None:
                self._on_data(answer)
