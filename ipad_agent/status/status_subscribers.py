"""Who is told of changes and events: always when the one who told the board is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ipad_agent.local.status_model import Happening

RECENT: Final = 200
"""Events that are kept for those who come later."""


class Subscribers:
    """Those who want to know of every change, and those who want every event."""

    def __init__(self) -> None:
        self._recent: deque[Happening] = deque(maxlen=RECENT)
        self._watchers: list[Callable[[], None]] = []
        self._listeners: list[Callable[[Happening], None]] = []
        self._telling = False

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Tell of changes from now on; what comes back ends it."""
        return _subscribe(self._watchers, on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        """Tell of events from now on; what comes back ends it."""
        return _subscribe(self._listeners, on_event)

    def recent(self, count: int) -> tuple[Happening, ...]:
        """The last events, oldest first; ``RECENT`` at most."""
        return tuple(self._recent)[-count:] if count > 0 else ()

    def happened(self, happening: Happening) -> None:
        """Keep this event and pass it on."""
        self._recent.append(happening)
        for listener in tuple(self._listeners):
            _soon(_hand, self._listeners, listener, happening)

    def changed(self) -> None:
        """The picture is another one; changes of one moment are told once."""
        if not self._telling:
            self._telling = True
            _soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for watcher in tuple(self._watchers):
            _soon(_hand, self._watchers, watcher)


def _soon(call: Callable[..., None], *arguments: object) -> None:
    """Call it when the caller is done: a face with a defect must not make a procedure fail that only told something.
    Without a running loop there is no later."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        call(*arguments)
    else:
        loop.call_soon(call, *arguments)


def _hand(listeners: list[Callable[..., None]], listener: Callable[..., None], *told: object) -> None:
    if listener in listeners:
        listener(*told)


def _subscribe(listeners: list[Callable[..., None]], listener: Callable[..., None]) -> Callable[[], None]:
    def leave() -> None:
        if listener in listeners:
            listeners.remove(listener)

    listeners.append(listener)
    return leave
