"""The history on disk, so that it outlives a restart: one small document, written seldom.

It is for people only, so it waits: what belongs together is written together, and flash that wears out sees it once a
minute at most, also when an eIM never stops. A disk that refuses it costs the history and nothing else; the store tries
again, as with its other documents.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from ipad_agent.errors import StoreError
from ipad_agent.status.history import History
from ipad_agent.store import Memory
from ipad_agent.store.state_documents import HISTORY

SETTLE_S: Final = 15.0
"""From the first change to writing it: the end of most things comes within."""
GAP_S: Final = 60.0
"""Between two writes at least."""


class HistoryFile:
    """What was kept is known to ``history`` as soon as this is made. ``run`` keeps what follows until it is cancelled;
    ``write`` does so at once, for the end of the process."""

    def __init__(self, history: History, memory: Memory) -> None:
        self._history = history
        self._memory = memory
        self._changed = asyncio.Event()
        history.load(memory.load(HISTORY))
        history.watch(self._changed.set)

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self.write()
            await asyncio.sleep(GAP_S - SETTLE_S)

    def write(self) -> None:
        """Have it on disk, if there is anything new. Never raises: what the disk refuses is the store's to tell."""
        if not self._changed.is_set():
            return
        self._changed.clear()
        with contextlib.suppress(StoreError):
            self._memory.save(HISTORY, self._history.document())
