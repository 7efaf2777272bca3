"""A scripted HTTPS server on asyncio: it hears everything and answers what the test says, byte by byte."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from .certs import Identity


@dataclass
class Heard:
    """What came over one connection: ``requests`` are whole (head with body), ``end`` is how it ended."""

    requests: list[bytes] = field(default_factory=list)
    stray: bytes = b""
    end: str = ""


class Client:
    """One connection as the script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard) -> None:
        self.reader = reader
        self.writer = writer
        self.heard = heard

    async def request(self) -> bytes | None:
        """The next whole request; None when the client is gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            body = await self.reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            self.heard.stray += error.partial
            self.heard.end = "close_notify"
            return None
        except (OSError, ssl.SSLError) as error:
            self.heard.end = type(error).__name__
            return None
        self.heard.requests.append(head + body)
        return head + body

    async def answer(self, body: bytes = b"", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> None:
        """A whole answer as SGP.32 wants it."""
        lines = [
            f"HTTP/1.1 {status}",
            *headers,
            "X-Admin-Protocol: gsma/rsp/v2.5.0",
            "Content-Type: application/x-gsma-rsp-asn1",
            f"Content-Length: {len(body)}",
        ]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def send(self, data: bytes) -> None:
        """Any bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        """End the TCP connection without close_notify."""
        self.writer.transport.abort()


Script = Callable[[Client], Awaitable[None]]


async def echo(client: Client) -> None:
    """Answer every request with its body."""
    while (request := await client.request()) is not None:
        await client.answer(request.partition(b"\r\n\r\n")[2])


class Server:
    """Runs one script per connection, in order; the last one serves all that follow."""

    def __init__(
        self,
        identity: Identity,
        *scripts: Script,
        curve: str | None = None,
        tls12: bool = False,
        client_ca: Identity | None = None,
        asks: ssl.VerifyMode = ssl.CERT_REQUIRED,
    ) -> None:
        self._context = context_for(identity)
        if client_ca is not None:
            self._context.verify_mode = asks
            self._context.load_verify_locations(cadata=client_ca.pem.decode())
        if tls12:
            self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        if curve is not None:
            self._context.set_ecdh_curve(curve)
        self._scripts = list(scripts) or [echo]
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Heard] = []
        self._news = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ended(self, count: int = 1) -> None:
        """Wait until so many connections have come and every one is over."""
        async with asyncio.timeout(60):
            while len(self.connections) < count:
                self._news.clear()
                await self._news.wait()
            await asyncio.gather(*self._tasks)

    @property
    def requests(self) -> list[bytes]:
        """All requests, over whatever connection."""
        return [request for heard in self.connections for request in heard.requests]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = Heard()
        self.connections.append(heard)
        self._news.set()
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        task = asyncio.get_running_loop().create_task(self._serve(script, Client(reader, writer, heard)))
        self._tasks.add(task)

    @staticmethod
    async def _serve(script: Script, client: Client) -> None:
        try:
            await script(client)
        except (OSError, ssl.SSLError):
            client.heard.end = "broken"
        finally:
            client.writer.transport.abort()


def context_for(identity: Identity) -> ssl.SSLContext:
    """A server context with the identity's key and what it shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        shown = b"".join(ssl.DER_cert_to_PEM_cert(der).encode() for der in identity.shown)
        path.write_bytes(identity.key_pem + shown)
        context.load_cert_chain(path)
    return context
