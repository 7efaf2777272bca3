"""The web page's server, as a process of its own or within the test, and HTTP to it by raw sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ipad_agent.web.agent_connection import AgentConnection
from ipad_agent.web.page_requests import PageRequests
from ipad_agent.web.page_server import PageServer
from ipad_agent.web.web_access import WebAccess

LIMIT_S: Final = 60.0
TOKEN: Final = "0123456789abcdefghijABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` with names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """A body of one JSON value on each line."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass(slots=True)
class WebPage:
    """A running page server, in ``process`` or in the test's own; ``said`` is its log."""

    port: int
    process: asyncio.subprocess.Process | None = None
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(
        self, path: str, *, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request with the token, on a connection of its own; ``headers`` are laid over, empty ones left out."""
        return parsed(await self.raw(self.request(path, method=method, body=body, headers=headers)))

    def request(
        self, path: str, *, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of that request."""
        content = b"" if body is None else json.dumps(body).encode()
        wanted = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        if method == "POST":
            wanted |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        wanted |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items() if value)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    async def raw(self, data: bytes) -> bytes:
        """Send these bytes; everything that comes until the server ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(LIMIT_S):
                return await reader.read()
        finally:
            writer.close()

    @asynccontextmanager
    async def live(self) -> AsyncIterator[Live]:
        """What the page is told as it happens."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(self.request("/api/live"))
            yield Live(reader)
        finally:
            writer.close()


class Live:
    """The updates of one live connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def next(self, *names: str) -> dict[str, Any]:
        """The next update that has one of these members."""
        async with asyncio.timeout(LIMIT_S):
            while line := await self._reader.readline():
                if line.startswith(b"data: "):
                    update: dict[str, Any] = json.loads(line[6:])
                    if any(name in update for name in names):
                        return update
        raise AssertionError("the connection ended")


def parsed(data: bytes) -> Answer:
    """One answer that is complete."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return Answer(int(first.split()[1]), headers, body)


def _chunks(body: bytes) -> list[bytes]:
    found = []
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        found.append(body[:count])
        body = body[count + 2 :]
    return found


@asynccontextmanager
async def page_here(agent: Path, access: WebAccess | None = None) -> AsyncIterator[WebPage]:
    """A page server within the test's own process."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    stop = asyncio.Event()
    requests = PageRequests(access or WebAccess(TOKEN), AgentConnection(str(agent)))
    server = asyncio.create_task(PageServer(requests, [listener], idle_exit_s=None).run(stop))
    try:
        yield WebPage(listener.getsockname()[1])
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await server
        listener.close()


def command(agent: Path, folder: Path, *words: str) -> list[str]:
    """The command line of a server with a token."""
    (folder / "web-token").write_text(f"{TOKEN}\n")
    token = ("--token-file", str(folder / "web-token"))
    return [sys.executable, "-m", "ipad_agent.web", "--socket", str(agent), *token, *words]


@asynccontextmanager
async def web(agent: Path, folder: Path, *words: str) -> AsyncIterator[WebPage]:
    """A page server in a process of its own for the agent at this socket, on a free port; ends with the context."""
    line = command(agent, folder, "--listen", "127.0.0.1:0", *words)
    process = await asyncio.create_subprocess_exec(*line, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said: list[str] = []
    async with asyncio.timeout(LIMIT_S):
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", said[-1] if said else "")):
            told = await process.stderr.readline()
            assert told, f"it ended at once: {said}"
            said.append(told.decode())
    reading = asyncio.create_task(_read(process.stderr, said))
    try:
        yield WebPage(int(found[1]), process, said)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(LIMIT_S):
            await process.wait()
            await reading


async def _read(stream: asyncio.StreamReader, said: list[str]) -> None:
    while line := await stream.readline():
        said.append(line.decode())


async def until(is_so: Callable[[], object]) -> None:
    """As soon as it is so."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)
