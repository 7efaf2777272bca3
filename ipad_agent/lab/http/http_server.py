"""An HTTP/1.1 server on asyncio streams, inside a running event loop, for well-behaved and for hostile answers.

    async with HttpServer(handler, tls=TlsSettings(pki["dptls"])) as server:
        ...  # POST to server.url

``handler`` is a plain function from ``Request`` to ``Response``. It is called in the event loop, one request at a
time, and must not block. One that raises is a mistake of the lab: the connection breaks and the loop reports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from .http_message import Ending, Handler, HttpError, Request, Response
from .http_parser import Limits, RequestParser
from .server_tls import TlsSettings

LOG = logging.getLogger("ipad_agent.lab")

_READ_BYTES = 64 * 1024
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits and habits; times in seconds, sizes in bytes.

    ``keep_alive`` False: each response closes the connection. ``max_requests`` closes it after so many.
    """

    limits: Limits = field(default_factory=Limits)
    keep_alive: bool = True
    max_requests: int | None = None
    max_connections: int = 64
    handshake_s: float = 20.0
    idle_s: float = 60.0
    request_s: float = 60.0
    send_s: float = 120.0
    close_s: float = 5.0
    server_header: str | None = None


@dataclass(slots=True)
class HttpCounters:
    """What has happened since the start. ``close_notify`` and ``ragged_ends``: how clients ended TLS connections."""

    connections: int = 0
    refused: int = 0
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    bad_requests: int = 0
    timeouts: int = 0
    lost: int = 0
    close_notify: int = 0
    ragged_ends: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class HttpServer:
    """Serves ``handler`` at ``host:port`` (port 0: any free one, then in ``port``); ``tls=None`` is plain HTTP.

    ``handler``, ``settings`` and ``counters`` may be looked at and exchanged while it runs. ``on_end`` is told the
    number of each connection that is over, and whether its client said close_notify before (None: the server ended
    it, or it was no TLS). ``OSError`` when the
    address is taken, ``ssl.SSLError`` when key and certificate are no good.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        tls: TlsSettings | None = None,
        settings: HttpSettings | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.handler = handler
        self.on_end: Callable[[int, bool | None], None] | None = None
        self.settings = settings or HttpSettings()
        self.counters = HttpCounters()
        self.host = host
        self._wanted_port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> HttpServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The TCP port, once started."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """``https://127.0.0.1:12345``, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._tasks)

    async def start(self) -> None:
        """Bind and serve."""
        context = None if self._tls is None else self._tls.context()
        timeouts: dict[str, float] = {} if context is None else {"ssl_handshake_timeout": self.settings.handshake_s}
        if context is not None:
            timeouts["ssl_shutdown_timeout"] = self.settings.close_s
        self._server = await asyncio.start_server(
            self._accept, self.host, self._wanted_port, ssl=context, limit=_READ_BYTES, **timeouts
        )
        LOG.info("HTTP server listens on %s", self.url)

    async def stop(self) -> None:
        """Stop listening and end all connections. Harmless when not started."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def settled(self, deadline_s: float = 5.0) -> None:
        """Wait until the connections that are open now have ended; ``TimeoutError`` after the deadline."""
        if self._tasks:
            _, open_ones = await asyncio.wait(set(self._tasks), timeout=deadline_s)
            if open_ones:
                raise TimeoutError(f"{len(open_ones)} connections are still open")

    def drop_connections(self) -> None:
        """Abort every connection at once, as a crash would; new ones are accepted."""
        for task in list(self._tasks):
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        if len(self._tasks) >= self.settings.max_connections:
            self.counters.refused += 1
            writer.transport.abort()
            return
        connection = _Connection(self, reader, writer, self.counters.connections)
        task = asyncio.ensure_future(connection.run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": "a handler of the lab's HTTP server raised", "exception": error, "task": task}
            )


class _EndedError(Exception):
    """The connection has come to its end."""


class _Connection:
    def __init__(
        self, server: HttpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._server = server
        self._settings = server.settings
        self._counters = server.counters
        self._reader = reader
        self._writer = writer
        self._number = number
        self._parser = RequestParser(self._settings.limits)
        self._goodbye: bool | None = None
        peer = writer.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""

    async def run(self) -> None:
        graceful = False
        try:
            graceful = await self._serve()
        except TimeoutError:
            self._counters.timeouts += 1
        except (ConnectionError, ssl.SSLError, _EndedError):
            self._counters.lost += 1
        finally:
            if not graceful:
                self._abort()
            if self._server.on_end is not None:
                self._server.on_end(self._number, self._goodbye)
        await self._close()

    async def _serve(self) -> bool:
        """Serve until the end; whether it is to be a graceful one."""
        index = 0
        while True:
            try:
                request = await self._receive(index)
            except HttpError as error:
                self._counters.bad_requests += 1
                LOG.info("HTTP: %s from %s", error, self._peer)
                body = f"{error.reason}\n".encode()
                await self._send(Response(error.status, body, "text/plain", ending=Ending.CLOSE), head_only=False)
                await self._drain_input()
                return True
            if request is None:
                return True
            self._counters.requests += 1
            response = self._server.handler(request)
            if response.later is not None:
                response = await response.later()
            index += 1
            if response.delay_s > 0:
                await asyncio.sleep(response.delay_s)
            response = self._ending_for(request, response, index)
            if response.stream is not None and request.method != "HEAD":
                await self._stream(response, response.stream)
                return True
            if response.answer:
                await self._send(response, head_only=request.method == "HEAD")
            if response.ending is Ending.ABORT:
                raise _EndedError
            if response.ending is not Ending.KEEP:
                return True

    def _ending_for(self, request: Request, response: Response, served: int) -> Response:
        settings = self._server.settings
        if response.cut_bytes is not None and response.ending is Ending.KEEP:
            return replace(response, ending=Ending.SILENT)
        if response.ending is not Ending.KEEP:
            return response
        tokens = {token.strip().lower() for token in (request.header("connection") or "").split(",")}
        wanted = "keep-alive" in tokens if request.version == "1.0" else "close" not in tokens
        last = settings.max_requests is not None and served >= settings.max_requests
        if wanted and settings.keep_alive and not last:
            return response
        return replace(response, ending=Ending.CLOSE)

    # In

    async def _receive(self, index: int) -> Request | None:
        """The next request; None when the client went away between two."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._settings.request_s if self._parser.in_request else self._settings.idle_s)
        begun = self._parser.in_request
        while True:
            request = self._parser.next()
            if request is not None:
                return replace(request, connection=self._number, index=index, peer=self._peer)
            if self._parser.wants_continue:
                self._parser.wants_continue = False
                await self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            try:
                async with asyncio.timeout_at(deadline):
                    data = await self._reader.read(_READ_BYTES)
            except TimeoutError:
                if not begun:
                    return None
                self._counters.timeouts += 1
                raise HttpError(408, "the request did not come in time") from None
            if not data:
                self._note_end()
                if self._parser.in_request:
                    raise _EndedError
                return None
            self._counters.bytes_in += len(data)
            self._parser.feed(data)
            if not begun:
                begun = True
                deadline = loop.time() + self._settings.request_s

    async def _drain_input(self) -> None:
        """Read what is still coming for a moment, or the reset would take the answer with it."""
        with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
            async with asyncio.timeout(min(self._settings.close_s, 0.5)):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(_READ_BYTES):
                    pass

    def _note_end(self) -> None:
        """How the client said goodbye; only TLS can tell."""
        ssl_object = self._writer.get_extra_info("ssl_object")
        if ssl_object is None:
            return
        try:
            ssl_object.read(1)
        except ssl.SSLZeroReturnError:
            self._counters.close_notify += 1
            self._goodbye = True
        except ssl.SSLError:
            self._counters.ragged_ends += 1
            self._goodbye = False

    # Out

    async def _send(self, response: Response, *, head_only: bool) -> None:
        self._counters.statuses[response.status] += 1
        left = response.cut_bytes
        pieces = iter([response.raw]) if response.raw is not None else self._pieces(response, head_only=head_only)
        for piece in pieces:
            if left is not None:
                piece, left = piece[:left], left - len(piece[:left])
            await self._write(piece)
            if left == 0:
                return
            if response.drip_bytes:
                await asyncio.sleep(response.drip_s)

    async def _stream(self, response: Response, stream: AsyncIterator[bytes]) -> None:
        """Pieces as they come, until there are no more or the client has gone."""
        response = replace(response, chunked=True, ending=Ending.CLOSE)
        self._counters.statuses[response.status] += 1
        first = list(self._pieces(response, head_only=False))[:-1]  # what ends the body is kept back
        gone = asyncio.ensure_future(self._reader.read(1))
        pieces = aiter(stream)
        try:
            for piece in first:
                await self._write(piece)
            while True:
                coming = asyncio.ensure_future(anext(pieces))
                await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    return
                try:
                    data = coming.result()
                except StopAsyncIteration:
                    await self._write(b"0\r\n\r\n")
                    return
                await self._write(b"%X\r\n%s\r\n" % (len(data), data))
        finally:
            gone.cancel()

    def _pieces(self, response: Response, *, head_only: bool) -> Iterator[bytes]:
        bodiless = head_only or response.status < 200 or response.status in (204, 304)
        chunked = response.chunked or (response.parts is not None and response.length_bytes is None)
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        if self._settings.server_header is not None:
            lines.append(f"Server: {self._settings.server_header}")
        if response.content_type is not None:
            lines.append(f"Content-Type: {response.content_type}")
        lines += [f"{key}: {value}" for key, value in response.headers]
        if response.status != 204:
            length = len(response.body) if response.length_bytes is None else response.length_bytes
            lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}")
        if response.ending is Ending.CLOSE:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        if bodiless:
            yield head
            return
        if response.drip_bytes or chunked:
            yield head
        else:
            # In one write, as most servers do: what a client reads first is then the whole of a small answer.
            yield head + response.body
            response = replace(response, body=b"")
        for source in ([response.body], response.parts or ()):
            for data in source:
                size = response.drip_bytes or len(data) or 1
                for start in range(0, len(data), size):
                    piece = data[start : start + size]
                    yield b"%X\r\n%s\r\n" % (len(piece), piece) if chunked else piece
        if chunked:
            yield b"0\r\n\r\n"

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._settings.send_s):
            self._writer.write(data)
            await self._writer.drain()
        self._counters.bytes_out += len(data)

    def _abort(self) -> None:
        """No close_notify, and a reset instead of a FIN."""
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._writer.transport.abort()

    async def _close(self) -> None:
        self._writer.close()
        with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
            async with asyncio.timeout(self._settings.close_s):
                await self._writer.wait_closed()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
