"""Hears knocks on a UDP port and answers nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from ipad_agent.records import dataclass

from . import events
from .knock import KnockCheck
from .wake_calls import WakeCalls

AGAIN_S: Final = 30.0
MOST_PER_S: Final = 20
"""So many datagrams are looked at per second; the rest is dropped unseen."""
_HOW: Final = "a knock"


@dataclass(frozen=True, slots=True)
class KnockListener:
    """One place. ``why_not`` tells why this address must not be listened at now, or None."""

    host: str
    port: int
    check: KnockCheck
    calls: WakeCalls
    why_not: Callable[[], str | None]
    clock_plausible: Callable[[float], bool]

    @property
    def where(self) -> str:
        """For messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def run(self) -> None:
        """Listen until cancelled; what cannot be opened is tried again for ever, and said once."""
        said: str | None = None
        while True:
            reason = self.why_not()
            if reason is None:
                try:
                    await self._hear()
                    continue
                except OSError as error:
                    reason = error.strerror or str(error)
            if reason != said:
                events.NOT_LISTENING.emit(where=self.where, reason=reason, wait_s=AGAIN_S)
                said = reason
            await asyncio.sleep(AGAIN_S)

    async def _hear(self) -> None:
        """Until the address is one that must not be listened at any more."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Port(self), local_addr=(self.host, self.port))
        events.LISTENING.emit(where=self.where)
        try:
            while self.why_not() is None:  # noqa: ASYNC110 - the kernel wakes nobody for it
                await asyncio.sleep(AGAIN_S)
        finally:
            transport.close()


class _Port(asyncio.DatagramProtocol):
    def __init__(self, listener: KnockListener) -> None:
        self._of = listener
        self._second = 0
        self._count = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        second = int(asyncio.get_running_loop().time())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count > MOST_PER_S:
            return
        now_s, who = time.time(), str(addr[0])
        problem = self._of.check.problem(data, now_s, clock_plausible=self._of.clock_plausible(now_s))
        if problem is None:
            self._of.calls.call(_HOW, who)
        else:
            events.IGNORED.emit(how=_HOW, who=who, reason=problem)

    def error_received(self, exc: Exception) -> None:
        """Nobody is answered, so nothing of ours can come back."""
