"""The eIM behind the bench's server, watched: whoever waits for something to arrive there is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ipad_agent.lab.eim.esipa_application import Reply
from ipad_agent.lab.eim.virtual_eim import VirtualEim
from ipad_agent.lab.errors import NothingHappenedError

from .real_time_limits import stuck_after

__all__ = ["WatchedEim"]

Entry = dict[str, Any]
_KEPT = 4000


class WatchedEim:
    """Serves ``eim`` and collects what its history gains. ``bodies`` are the requests as they came."""

    def __init__(self, eim: VirtualEim) -> None:
        self.eim = eim
        self.entries: list[Entry] = []
        self.bodies: list[bytes] = []
        self._last: Entry | None = eim.history[-1] if eim.history else None
        self._cursor = 0
        self._news = asyncio.Event()

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """One request."""
        self.bodies = [*self.bodies, body][-_KEPT:]
        try:
            reply = self.eim.exchange(body, now_s=now_s, peer=peer)
        finally:
            self._collect()
        later = reply.later
        return reply if later is None else replace(reply, later=lambda: self._watched(later))

    def bind(self, raw: bytes, *, now_s: float = 0.0) -> tuple[int, int | None]:
        """One self-binding."""
        try:
            return self.eim.bindings.bind(raw, now_s=now_s)
        finally:
            self._collect()

    async def _watched(self, later: Callable[[], Awaitable[Reply]]) -> Reply:
        try:
            return await later()
        finally:
            self._collect()

    async def entry(self, kind: str, *, deadline_s: float, where: Callable[[Entry], bool] | None = None) -> Entry:
        """The next entry of this kind (``request``, ``handed out``, ``result``, ``acknowledged``, ``notification``, …).

        The search begins behind the last one found. Raises ``NothingHappenedError`` at the deadline.
        """
        try:
            async with stuck_after(deadline_s) as waiting:
                while True:
                    while self._cursor < len(self.entries):
                        entry = self.entries[self._cursor]
                        self._cursor += 1
                        if entry["kind"] == kind and (where is None or where(entry)):
                            return entry
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = ", ".join(str(entry["kind"]) for entry in self.entries[-15:]) or "nothing"
            raise NothingHappenedError(f"the eIM saw no {kind!r} within {waiting.sentence}, but: {seen}") from None

    def seen(self, kind: str) -> list[Entry]:
        """Everything of this kind so far."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def skip(self) -> None:
        """Let ``entry`` search from now on only."""
        self._cursor = len(self.entries)

    def looked(self) -> None:
        """Something was noted in the eIM's history otherwise than by a request."""
        self._collect()

    def _collect(self) -> None:
        new: list[Entry] = []
        for entry in reversed(self.eim.history):
            if entry is self._last:
                break
            new.append(entry)
        if new:
            self._last = new[0]
            self.entries += reversed(new)
            self._news.set()
