"""One TLS connection with HTTP/1.1 over it: requests one after the other, kept alive for a whole procedure."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

import h11
from OpenSSL import SSL

from ipad_agent.net.carrier import ProgressCallback, Traffic
from ipad_agent.net.dialler import still_has_address
from ipad_agent.net.dns_lookup import Address
from ipad_agent.net.errors import (
    AddressForbidden,
    CertificateWanted,
    ConnectionLost,
    HandshakeFailed,
    ProtocolViolation,
    ResponseTooLarge,
    TransferTimeout,
    Unreachable,
)
from ipad_agent.net.public_networks import not_public
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.records import dataclass, field

from . import http_reader, tcp_headers
from .tls_client import CutOff, TlsClient

_CHUNK_BYTES: Final = 65536
_MAX_HEADER_BYTES: Final = 32768
_MAX_ERROR_BYTES: Final = 16384
_MAX_INTERIM: Final = 10
_SHOWN_CHARACTERS: Final = 200
_CLOSE_S: Final = 2.0
_BEGINS: Final = b"HTTP/1."
"""What is no beginning of an answer is no answer that was cut off either."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """``headers`` in the order and spelling in which they are sent. ``whole`` tells of the body of an answer without a
    length whether it is there to its end, where the connection was cut off instead of closed."""

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    progress: ProgressCallback | None = field(default=None, repr=False)
    whole: Callable[[bytes], bool] = field(default=lambda _: False, repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Header names in lower case. Of a long error page only the beginning is in ``body``. ``cut_off``: the connection
    ended behind it without close_notify, and only the body itself shows that it is whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    cut_off: bool = False

    def header(self, name: str) -> str | None:
        """The first header of this name (lower case)."""
        return next((value for known, value in self.headers if known == name), None)


class Progress:
    """Whether an answer that has begun keeps coming: ``least_bytes`` in every ``window_s``. Times are any clock's."""

    def __init__(self, window_s: float, least_bytes: int) -> None:
        self._window_s = window_s
        self._least_bytes = least_bytes
        self.reset()

    def reset(self, begins_by_s: float | None = None) -> None:
        """An answer is awaited, which may take its time, or has to begin by then."""
        self._since: float | None = None
        self._count = 0
        self._begins_by_s = begins_by_s

    def arrived(self, size_bytes: int, now_s: float) -> None:
        """Bytes of the answer came."""
        self._count += size_bytes
        if self._since is None or self._count >= self._least_bytes:
            self._since, self._count = now_s, 0

    @property
    def due_at_s(self) -> float | None:
        """When too little will have come; None before an answer that may take its time has begun."""
        return self._begins_by_s if self._since is None else self._since + self._window_s


class HttpsConnection:
    """Made by ``open``. Any error leaves it unusable; then ``abort`` it.

    ``answering`` tells whether anything of the answer to the last request was heard: without that the request may
    never have been seen.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: TlsClient,
        *,
        traffic: Traffic,
        progress: Progress,
        max_response_bytes: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._tls = tls
        http_reader.report_once()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADER_BYTES)
        self._traffic = traffic
        self._progress = progress
        self._limit = max_response_bytes
        self._established = False
        self._header_bytes = 0
        self.answering = False
        self._served = False  # whether anything was ever answered here

    @classmethod
    async def open(
        cls,
        address: Address,
        tls: TlsClient,
        judge: Callable[[Sequence[bytes]], Verdict],
        *,
        traffic: Traffic,
        progress: Progress,
        max_response_bytes: int,
        silence_s: float,
        public_only: bool = False,
    ) -> tuple[HttpsConnection, Verdict]:
        """Connect, shake hands and have the server's certificates judged, before any request.

        ``silence_s`` is how long the system may wait for the acknowledgement of sent bytes. With ``public_only`` the
        other end must be on the public Internet, whatever was looked up before. Raises ``Unreachable``,
        ``AddressForbidden``, ``HandshakeFailed`` and what ``judge`` raises. The caller sets the deadline.
        """
        reader, writer = await _connect(address, silence_s, public_only=public_only)
        connection = cls(reader, writer, tls, traffic=traffic, progress=progress, max_response_bytes=max_response_bytes)
        try:
            verdict = await connection._shake_hands(judge)
        except BaseException:
            connection.abort()
            raise
        return connection, verdict

    async def _shake_hands(self, judge: Callable[[Sequence[bytes]], Verdict]) -> Verdict:
        try:
            while True:
                try:
                    complete = self._tls.handshake()
                finally:
                    self._pour()  # an alert that says why, too
                if complete:
                    break
                await self._receive()
                if self._reader.at_eof():
                    raise self._tls.broken_off("it closed the connection during the handshake")
            self._established = True
            verdict = judge(self._tls.certificates())
        except OSError as error:
            raise self._tls.broken_off(error.strerror or str(error)) from None
        except BaseException:
            self._traffic.handshakes_failed += 1
            raise
        if self._tls.resumed:
            self._traffic.handshakes_resumed += 1
        else:
            self._traffic.handshakes_full += 1
        return verdict

    @property
    def session(self) -> SSL.Session | None:
        """What the next connection to this server may resume from; None before this one has been of use."""
        return self._tls.session if self._served else None

    # -- a request and its answer ------------------------------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        """Whether HTTP allows another request: the last answer is complete and nobody said ``Connection: close``."""
        return self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE

    async def still_open(self) -> bool:
        """Whether the connection outlived the pause since the last request, as far as can be seen from here."""
        if not self._address_is_ours():
            return False
        for _ in range(2):  # one turn of the loop to look at the socket, one to hear what it found
            await asyncio.sleep(0)
        try:
            # Tickets may come in a pause; an answer to nothing may not, nor may the end.
            while self._tls.read() is None:
                watch = asyncio.timeout(0)
                try:
                    async with watch:
                        await self._receive()
                except TimeoutError:
                    return watch.expired()  # else it is the system's own, about the connection
        except (OSError, CutOff, HandshakeFailed):
            return False
        return False

    async def request(self, request: HttpRequest, *, begins_within_s: float | None = None) -> HttpResponse:
        """Raises ``ConnectionLost``, ``TransferTimeout``, ``ProtocolViolation`` and ``ResponseTooLarge``, and
        ``CertificateWanted`` where the server went for the lack of our certificate. An answer of which nothing has come
        ``begins_within_s`` counts as a lost connection."""
        self.answering = False
        begins_by_s = None if begins_within_s is None else asyncio.get_running_loop().time() + begins_within_s
        self._progress.reset(begins_by_s)
        try:
            await self._send(request)
            answer = await self._answer(request)
            self.count_headers()
            return answer
        except OSError as error:
            raise self._lost(f"the connection broke: {error.strerror or error}") from None
        except CutOff as error:
            raise self._lost(f"the connection was cut off: {error}") from None
        except h11.RemoteProtocolError as error:
            raise ProtocolViolation(f"no HTTP: {str(error)[:_SHOWN_CHARACTERS]}") from None  # it quotes whole lines

    def _lost(self, sentence: str) -> ConnectionLost | CertificateWanted:
        """In TLS 1.3 a server judges our certificate after the handshake, and some say nothing when they go."""
        if self._tls.certificate_owed and not self._served:
            return CertificateWanted(sentence, shown=False)
        return ConnectionLost(sentence)

    async def _send(self, request: HttpRequest) -> None:
        events = [
            h11.Request(method="POST", target=request.target, headers=list(request.headers)),
            h11.Data(data=request.body),
            h11.EndOfMessage(),
        ]
        self._tls.write(b"".join(self._http.send(event) or b"" for event in events))
        self._pour()
        await self._writer.drain()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        progress = request.progress
        for _ in range(_MAX_INTERIM + 1):
            head = await self._next_event()
            if not isinstance(head, h11.InformationalResponse):
                break
            self._progress.reset()
        if isinstance(head, h11.ConnectionClosed):
            raise self._lost("the server closed the connection instead of answering")
        if not isinstance(head, h11.Response):
            raise ProtocolViolation("no HTTP: the server does not get to its answer")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
        good = head.status_code < 300
        limit = self._limit if good else min(self._limit, _MAX_ERROR_BYTES)
        length = next((int(value) for name, value in headers if name == "content-length"), None)
        if good and length is not None and length > limit:
            raise ResponseTooLarge(f"the answer has {length} bytes, the limit is {limit}")
        ends_with_connection = not {name for name, _ in headers} & {"content-length", "transfer-encoding"}
        body = bytearray()
        while True:
            try:
                event = await self._next_event()
            except (CutOff, ConnectionError, ConnectionLost):
                # Of an error the status is here, and the beginning of its page says what there is to say.
                if not good or (ends_with_connection and request.whole(bytes(body))):
                    return HttpResponse(head.status_code, headers, bytes(body), cut_off=good)
                raise
            if not isinstance(event, h11.Data):
                break
            body += event.data
            if len(body) > limit:
                if not good:  # the beginning of an error page says what there is to say
                    return HttpResponse(head.status_code, headers, bytes(body[:limit]))
                raise ResponseTooLarge(f"the answer has over {limit} bytes, which is the limit")
            if good and progress is not None:
                progress(len(body), length)
        if self._http.their_state is h11.DONE and self._http.our_state is h11.DONE and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        return HttpResponse(head.status_code, headers, bytes(body))

    async def _next_event(self) -> h11.Event:
        ended = False
        while True:
            in_body = self._http.their_state is h11.SEND_BODY
            try:
                event = http_reader.next_event(self._http)
            except h11.RemoteProtocolError:
                if ended and (in_body or self._http.trailing_data[0].startswith(_BEGINS)):
                    # A proxy says goodbye politely also when the server behind it died in the middle.
                    raise self._lost("the server closed the connection in the middle of its answer") from None
                raise
            if event is h11.PAUSED:
                raise ProtocolViolation("no HTTP: data after the end of the answer")
            if event is not h11.NEED_DATA:
                break
            data = await self._plain()
            ended = not data
            self._http.receive_data(data)
        assert isinstance(event, h11.Event)
        return event

    async def _plain(self) -> bytes:
        """The next bytes of application data; empty after the server's close_notify."""
        while (data := self._tls.read()) is None:
            due_at_s = self._progress.due_at_s
            watch = asyncio.timeout_at(due_at_s)
            try:
                async with watch:
                    await self._receive()
            except TimeoutError:
                if not watch.expired():
                    raise  # the system's own, about the connection
                if not self.answering:
                    raise ConnectionLost("the server says nothing more on a connection that it left open") from None
                raise TransferTimeout("the server's answer comes too slowly; it was not waited for") from None
        if data:
            self.answering = self._served = True
            self._progress.arrived(len(data), asyncio.get_running_loop().time())
        return data

    # -- bytes ---------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        data = await self._reader.read(_CHUNK_BYTES)
        self._traffic.packet()
        self._traffic.bytes_received += len(data)
        self._tls.feed(data)

    def _pour(self) -> None:
        data = self._tls.take()
        if data:
            self._traffic.packet()
            self._traffic.bytes_sent += len(data)
            self._writer.write(data)

    def count_headers(self, *, farewell: bool = False) -> None:
        """Add what packets since the last look cost beside their payload; with ``farewell`` also those of the end."""
        own = self._writer.get_extra_info("socket")
        if own is None or own.fileno() < 0:
            return
        cost = max(tcp_headers.header_bytes(own), self._header_bytes)
        self._traffic.header_bytes += cost - self._header_bytes + (tcp_headers.farewell_bytes(own) if farewell else 0)
        self._header_bytes = cost

    def _address_is_ours(self) -> bool:
        """False after a change of network took away the address this connection stands on: it can only be silent."""
        own = self._writer.get_extra_info("socket")
        if own is None:
            return False
        return still_has_address(own)

    async def close(self) -> None:
        """Say close_notify, once, and give the socket back."""
        self._tls.close()
        self._hold_back()
        try:
            async with asyncio.timeout(_CLOSE_S):
                said_bytes = self._traffic.bytes_sent
                self._pour()
                if not self._reader.at_eof():
                    # The server answers with its own (RFC 5246 §7.2.1), which nobody reads and the network carries.
                    self._traffic.bytes_received += self._traffic.bytes_sent - said_bytes
                self.count_headers(farewell=True)
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def _hold_back(self) -> None:
        """What is still to be said goes out with the end of the connection, in one packet. Not before the server has
        answered: what it sent and nobody read makes the system throw away what it holds back."""
        own = self._writer.get_extra_info("socket")
        if self._served and own is not None and hasattr(socket, "TCP_CORK"):
            with contextlib.suppress(OSError):
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def abort(self) -> None:
        """Give the socket back at once; an established session is still ended by a close_notify, if it gets out."""
        if self._established:
            self._tls.close()
        with contextlib.suppress(OSError):
            self._pour()
            self.count_headers(farewell=True)
        self._writer.close()


async def _connect(
    address: Address, silence_s: float, *, public_only: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    try:
        client = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(f"no socket: {error.strerror or error}") from None
    try:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Without it the system goes on sending into a dead connection for a quarter of an hour.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(silence_s * 1000)))
        await loop.sock_connect(client, address.sockaddr)
        if public_only:
            _check_other_end(client)
        return await asyncio.open_connection(sock=client, limit=_CHUNK_BYTES)
    except OSError as error:
        client.close()
        raise Unreachable(f"no connection to {address}: {error.strerror or error}") from None
    except BaseException:
        client.close()
        raise


def _check_other_end(client: socket.socket) -> None:
    """Raises ``AddressForbidden`` when the connection does not lead out of the device, before a byte is sent.

    Whoever connects to an address of this device, a public one too, does so from that very address.
    """
    other, own = client.getpeername()[0], client.getsockname()[0]
    leads_to = not_public(other) or ("the device itself" if other == own else None)
    if leads_to is not None:
        raise AddressForbidden(f"not connected to {other}: it leads to {leads_to}")
