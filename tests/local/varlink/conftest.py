"""A socket that answers, in front of an agent of a few lines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ipad_agent.local.varlink.peer_credentials import Credentials
from ipad_agent.local.varlink.socket_server import Server

from .service import Client, FakeAuthority, FakeService


class Bench:
    """The server, and who its next clients are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.service = FakeService()
        self.authority = FakeAuthority()
        self.uid = 0
        self.max_clients = 32
        self.server = self._make()
        self.task: asyncio.Task[None] | None = None

    @property
    def told(self) -> bool:
        """Whether a status was made for somebody."""
        return self.service.looked > 0

    def _make(self) -> Server:
        return Server(
            self.service,
            self.path,
            self.authority,
            version="1.2.3",
            max_clients=self.max_clients,
            identify=self._identify,
        )

    def _identify(self, connection: socket.socket) -> Credentials:
        return Credentials(4711, self.uid, self.uid)

    async def start(self, *, max_clients: int = 32) -> None:
        self.max_clients = max_clients
        self.server = self._make()
        self.task = asyncio.create_task(self.server.run())
        await self.until(self.path.is_socket)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def client(self, uid: int = 0) -> Client:
        """A client of this user that has been let in, or turned away."""
        self.uid = uid
        seen = len(self.server.connections)
        client = await Client.connect(self.path)
        await self.until(lambda: len(self.server.connections) > seen or client.reader.at_eof())
        return client

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the loop run until this holds."""
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.001)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "io.github.ipadagent")
    await made.start()
    yield made
    await made.stop()
