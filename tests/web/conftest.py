"""An agent of a few lines behind the agent's real socket, and the page in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.local.status_model import Happening, HistoryEntry
from ipad_agent.local.varlink.peer_credentials import Credentials, Right
from ipad_agent.local.varlink.socket_server import Server
from situations import DOCTOR, HAPPENINGS, HISTORY, SITUATIONS

from .web_process import WebPage, page_here

HOSTILE = '<img src=x onerror="document.title=1">'


class Authority:
    """Everybody has this right."""

    def __init__(self) -> None:
        self.right = Right.EXAMINE

    def trusted(self, peer: Credentials) -> bool:
        return False

    def right_of(self, peer: Credentials) -> Right:
        return self.right

    def needed_for(self, right: Right) -> str:
        return f"the right {right.name}"


class Agent:
    """What the page may ask, and nothing else: any other call is an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = Authority()
        self.now = SITUATIONS["ready"]
        self.asked: list[str] = []
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self._watchers: list[Callable[[], None]] = []
        self._listeners: list[Callable[[Happening], None]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many subscriptions there are."""
        return len(self._watchers)

    async def start(self) -> None:
        server = Server(self, self.path, self.authority, version="0.1.0")  # type: ignore[arg-type]  # what it has not, nobody may ask
        self._task = asyncio.create_task(server.run())
        async with asyncio.timeout(60):
            while not self.path.is_socket():  # noqa: ASYNC110 - a file tells nobody that it is there
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._task = None

    def change(self, situation: str) -> None:
        self.now = SITUATIONS[situation]
        for watcher in list(self._watchers):
            watcher()

    def name_the_eim(self, name: str) -> None:
        self.now = replace(self.now, eims=(replace(self.now.eims[0], eim_id=name),))

    def happens(self, happening: Happening) -> None:
        for listener in list(self._listeners):
            listener(happening)

    # -- what the socket asks ----------------------------------------------------------------------------------------

    def status(self) -> object:
        self.asked.append("status")
        return self.now

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(on_change)
        return lambda: self._watchers.remove(on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        self._listeners.append(on_event)
        return lambda: self._listeners.remove(on_event)

    def recent(self, count: int) -> tuple[Happening, ...]:
        return HAPPENINGS[-count:] if count else ()

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        return HISTORY[-count:] if count else ()

    async def doctor(self) -> AsyncIterator[dict[str, object]]:
        self.asked.append("doctor")
        for item in DOCTOR["healthy"]:
            yield item
            await self.may_finish.wait()

    async def bundle(self) -> bytes:
        self.asked.append("bundle")
        await self.may_finish.wait()
        return b"\x1f\x8b archive"


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    made = Agent(tmp_path / "socket")
    await made.start()
    yield made
    made.may_finish.set()
    await made.stop()


@pytest.fixture
async def page(agent: Agent) -> AsyncIterator[WebPage]:
    async with page_here(agent.path) as made:
        yield made
