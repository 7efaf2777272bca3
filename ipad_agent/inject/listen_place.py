"""Where packages may be pushed to: ``https://10.8.0.2:8443``, ``coaps://[::1]:5684``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from ipad_agent.errors import IpadError
from ipad_agent.records import dataclass

from . import events

AGAIN_S: Final = 30.0
"""A tunnel may come up later than the agent."""
_STRANGER_SAID_EVERY_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ListenPlace:
    """``why_not`` tells why this address must not be listened at now, or None."""

    scheme: str
    host: str
    port: int
    why_not: Callable[[], str | None]

    @property
    def text(self) -> str:
        """As in the configuration."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class PlaceForbidden(IpadError):
    """The address leads into a network that the configuration does not open."""


@contextlib.asynccontextmanager
async def _closing(server: Callable[[], None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        server()


async def keep_listening(place: ListenPlace, begin: Callable[[], Awaitable[Callable[[], None]]]) -> None:
    """Listen until cancelled: ``begin`` opens the port and gives the way to close it. What cannot be opened is tried
    again for ever, and said once."""
    said = ""
    while True:
        try:
            forbidden = place.why_not()
            if forbidden is not None:
                raise PlaceForbidden(forbidden)
            close = await begin()
        except (OSError, IpadError) as error:
            reason = error.message if isinstance(error, IpadError) else error.strerror or str(error)
            if reason != said:
                events.NOT_LISTENING.emit(where=place.text, reason=reason, wait_s=AGAIN_S)
                said = reason
            await asyncio.sleep(AGAIN_S)
            continue
        said = ""
        async with _closing(close):
            events.LISTENING.emit(where=place.text)
            await _until_forbidden(place)


async def _until_forbidden(place: ListenPlace) -> None:
    """An address can leave its tunnel, and turn up elsewhere."""
    while place.why_not() is None:  # noqa: ASYNC110 - the kernel wakes nobody for it
        await asyncio.sleep(AGAIN_S)


class StrangerReport:
    """Says that somebody is no eIM of the card, not more than once an hour."""

    def __init__(self) -> None:
        self._said_at: float | None = None

    def say(self, address: str, reason: str) -> None:
        """Somebody at this address was turned away."""
        now = asyncio.get_running_loop().time()
        if self._said_at is None or now - self._said_at >= _STRANGER_SAID_EVERY_S:
            self._said_at = now
            events.STRANGER.emit(address=address, reason=reason)
        else:
            events.CONNECTION_ENDED.emit(address=address, reason=reason)
