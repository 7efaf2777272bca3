"""HTTP/1.1 for few browsers: connections, their limits, and an end when nobody is there."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import h11

from ipad_agent.events import trace

from . import events
from .page_requests import PageRequests, Request
from .page_response import Response, failure
from .web_access import Peer

MAX_CONNECTIONS: Final = 32
MAX_PER_ADDRESS: Final = 12
"""Of one address that is not this machine's own."""
MAX_HEAD_BYTES: Final = 16_384
MAX_BODY_BYTES: Final = 4096
REQUEST_S: Final = 10.0
"""A request that has begun must be complete within this."""
IDLE_S: Final = 30.0
"""A connection on which nothing is asked is closed after this."""
WRITE_S: Final = 20.0
"""A browser that takes nothing for so long is dropped."""
CLOSING_S: Final = 2.0
CHUNK_BYTES: Final = 65_536


class PageServer:
    """Serves ``requests`` on the sockets; ``idle_exit_s``: ends when there was no connection for so long."""

    def __init__(self, requests: PageRequests, sockets: Sequence[socket.socket], *, idle_exit_s: float | None) -> None:
        self._requests = requests
        self._sockets = sockets
        self._idle_exit_s = idle_exit_s
        self._connections: set[asyncio.Task[None]] = set()
        self._by_address: Counter[str] = Counter()
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, or until nobody is there any more."""
        servers = [await asyncio.start_server(self._connected, sock=one, limit=CHUNK_BYTES) for one in self._sockets]
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stopping.done():
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                wait_s = None if self._connections else self._idle_exit_s
                done, _ = await asyncio.wait([stopping, changed], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if not done:
                    return
        finally:
            stopping.cancel()
            for server in servers:
                server.close()
            for connection in self._connections:
                connection.cancel()
            if self._connections:
                await asyncio.wait(self._connections, timeout=CLOSING_S)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = _peer(writer)
        counted = "" if peer.local else peer.address
        self._connections.add(task)
        self._by_address[counted] += 1
        self._changed.set()
        full = len(self._connections) > MAX_CONNECTIONS or (counted and self._by_address[counted] > MAX_PER_ADDRESS)
        try:
            connection = _Connection(self._requests, reader, writer, peer)
            await (connection.refuse() if full else connection.serve())
        except (OSError, TimeoutError):
            pass  # the browser went away
        except Exception as defect:  # noqa: BLE001 - one browser's request must not end the page for the others
            events.DEFECT.emit(reason=repr(defect))
            trace(defect)
        finally:
            writer.close()
            self._connections.discard(task)
            self._by_address[counted] -= 1
            if not self._by_address[counted]:
                del self._by_address[counted]
            self._changed.set()


class _Connection:
    """One browser's connection: requests one after the other."""

    def __init__(
        self, requests: PageRequests, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        self._requests = requests
        self._reader = reader
        self._writer = writer
        self._peer = peer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def refuse(self) -> None:
        """Without looking at what is asked."""
        await self._answer(
            failure(
                503, "Too many connections.", "Close another window of this page.", name="Busy", Connection="close"
            ),
            head=False,
        )

    async def serve(self) -> None:
        """Until the browser goes, is silent for long, or says what is no HTTP."""
        while True:
            try:
                request = await self._request()
            except h11.RemoteProtocolError as error:
                await self._answer(failure(error.error_status_hint, "This is no request."), head=False)
                return
            except _TooLarge:
                await self._answer(failure(413, "This request is too large."), head=False)
                return
            if request is None:
                return
            await self._answer(await self._requests.answer(request), head=request.method == "HEAD")
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> Request | None:
        """The next one; None when there is none in time. Raises ``h11.RemoteProtocolError``, ``_TooLarge``."""
        try:
            async with asyncio.timeout(IDLE_S) as limit:
                head = await self._next(limit)
                body = b""
                while isinstance(head, h11.Request):
                    if _declared_size(head) > MAX_BODY_BYTES or len(body) > MAX_BODY_BYTES:
                        raise _TooLarge
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    event = await self._next(limit)
                    if not isinstance(event, h11.Data):
                        return self._complete(head, body) if isinstance(event, h11.EndOfMessage) else None
                    body += event.data
        except TimeoutError:
            pass
        return None

    async def _next(self, limit: asyncio.Timeout) -> object:
        """The next event of h11. From the first byte on the whole request has ``REQUEST_S``."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            begun = bool(self._http.trailing_data[0])
            data = await self._reader.read(CHUNK_BYTES)
            self._http.receive_data(data)
            if data and not begun and self._http.their_state is h11.IDLE:
                limit.reschedule(asyncio.get_running_loop().time() + REQUEST_S)
        return event

    def _complete(self, head: h11.Request, body: bytes) -> Request:
        headers: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Request(head.method.decode("ascii"), head.target.decode("latin-1"), headers, body, self._peer)

    async def _answer(self, response: Response, *, head: bool) -> None:
        if self._http.our_state not in (h11.SEND_RESPONSE, h11.IDLE):
            return
        await self._send(h11.Response(status_code=response.status, headers=response.all_headers()))
        if response.stream is None:
            if response.body and not head:
                await self._send(h11.Data(data=response.body))
        else:
            await self._stream(response, head=head)
        await self._send(h11.EndOfMessage())

    async def _stream(self, response: Response, *, head: bool) -> None:
        """Piece by piece until the last, or until the browser goes."""
        assert response.stream is not None
        gone: asyncio.Future[bytes] = asyncio.ensure_future(self._reader.read(1))
        async with aclosing(response.stream) as pieces:
            coming: asyncio.Future[bytes] | None = None
            try:
                while not head:
                    coming = asyncio.ensure_future(anext(pieces))
                    await asyncio.wait([coming, gone], return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        raise ConnectionResetError  # who waits for a stream has nothing more to ask here
                    try:
                        piece = coming.result()
                    except StopAsyncIteration:
                        break
                    if piece:
                        await self._send(h11.Data(data=piece))
            finally:
                ending = [gone] if coming is None or coming.done() else [gone, coming]
                for one in ending:
                    one.cancel()
                await asyncio.wait(ending)
                if not gone.cancelled():
                    gone.exception()  # a connection that was reset is gone, however

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()


class _TooLarge(Exception):
    """A request with more than it may have."""


def _declared_size(request: h11.Request) -> int:
    for name, value in request.headers:
        if name == b"content-length":
            return int(value) if len(value) < 10 else MAX_BODY_BYTES + 1
    return 0


def _peer(writer: asyncio.StreamWriter) -> Peer:
    ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return Peer(_plain(str(theirs[0])), _plain(str(ours[0])))
    return Peer()


def _plain(address: str) -> str:
    """Without zone, and an IPv4 address as such that came to an IPv6 socket."""
    return address.partition("%")[0].removeprefix("::ffff:")
