"""One subscription at the agent for all browsers that look: statuses and events, as they come.

While nobody looks there is no subscription. A browser that reads slowly loses events, which are counted, and sees the
newest status only; nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Any, Final

from .agent_connection import AgentConnection, AgentError

RETRY_S: Final = 3.0
EVENTS_KEPT: Final = 50
EVENTS_WAITING: Final = 100

Update = dict[str, Any]
"""What a browser is told: one of ``status`` with ``later_s`` (how long ago it was taken), ``event``, ``lost`` (so many
events were left out), or ``error`` with ``sentence`` and ``hint`` while the agent cannot be reached."""


class LiveUpdates:
    """What the agent says, to as many as want to hear it."""

    def __init__(self, agent: AgentConnection) -> None:
        self._agent = agent
        self._listeners: set[_Listener] = set()
        self._upstream: asyncio.Task[None] | None = None
        self._state: Update | None = None
        self._state_at_s = 0.0
        self._events: deque[Update] = deque(maxlen=EVENTS_KEPT)

    async def follow(self) -> AsyncGenerator[Update, None]:
        """Everything from now on, beginning with what is known already; never ends by itself."""
        listener = _Listener(self._events)
        if self._state is not None:
            listener.state = self._aged()
            listener.woken.set()
        self._listeners.add(listener)
        if self._upstream is None:
            self._upstream = asyncio.create_task(self._listen(), name="subscription")
        try:
            while True:
                await listener.woken.wait()
                for update in listener.take():
                    yield update
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._upstream is not None:
                self._upstream.cancel()
                self._upstream = self._state = None
                self._events.clear()

    async def _listen(self) -> None:
        while True:
            try:
                self._events.clear()
                wanted = {"status": True, "events": True, "recent": EVENTS_KEPT}
                async for reply in self._agent.stream("Subscribe", wanted, timeout_s=None):
                    self._heard(reply)
                trouble = AgentError("NotRunning", "The agent ended the conversation.")
            except AgentError as error:
                trouble = error
            self._tell_state({"error": {"name": trouble.name, "sentence": trouble.sentence, "hint": trouble.hint}})
            await asyncio.sleep(RETRY_S)

    def _heard(self, reply: Update) -> None:
        status, event, lost = reply.get("status"), reply.get("event"), reply.get("lost")
        if isinstance(lost, int) and lost > 0:
            self._tell_event({"lost": lost})
        if isinstance(event, dict):
            update = {"event": event}
            self._events.append(update)
            self._tell_event(update)
        if isinstance(status, dict):
            self._tell_state({"status": status})

    def _tell_state(self, state: Update) -> None:
        self._state, self._state_at_s = state, monotonic()
        for listener in self._listeners:
            listener.state = self._aged()
            listener.woken.set()

    def _tell_event(self, update: Update) -> None:
        for listener in self._listeners:
            listener.add(update)

    def _aged(self) -> Update:
        return {**(self._state or {}), "later_s": round(monotonic() - self._state_at_s, 1)}


class _Listener:
    """What one browser has not been told yet."""

    def __init__(self, events: deque[Update]) -> None:
        self.state: Update | None = None
        self.woken = asyncio.Event()
        self._events: deque[Update] = deque(events)
        self._lost = 0
        if self._events:
            self.woken.set()

    def add(self, update: Update) -> None:
        if len(self._events) >= EVENTS_WAITING:
            self._events.popleft()
            self._lost += 1
        self._events.append(update)
        self.woken.set()

    def take(self) -> list[Update]:
        """All of it; what was left out is told first."""
        self.woken.clear()
        lost, self._lost = self._lost, 0
        found: list[Update] = [{"lost": lost}] if lost else []
        found += self._events
        self._events.clear()
        if self.state is not None:
            found.append(self.state)
            self.state = None
        return found
