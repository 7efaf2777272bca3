"""TransferEimPackage over HTTPS: this device is the server (SGP.32 v1.3 §3.1.1.2, §6.1). ASN.1 at the configured path,
JSON at the one that ESipa gives the function."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import h11

from ipad_agent.errors import CodecError, IpadError
from ipad_agent.net.https.http_reader import next_event
from ipad_agent.net.https.https_endpoint import ASN1_TYPE
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.records import dataclass, field

from . import events, json_transfer, request_limits
from .listen_place import ListenPlace, StrangerReport, keep_listening
from .pushed_packages import PushedPackages
from .pushing_eim import KnownEims, by_certificates
from .request_limits import Attempts, Connections
from .tls_server import TlsServer, tls_context

_READ_BYTES: Final = 16384
_HEAD_BYTES: Final = 16384
_ADMIN_PROTOCOL: Final = b"x-admin-protocol"
_OF_1_3: Final = b"gsma/rsp/v1.3."
_NOT_FOUND, _METHOD, _TOO_LARGE, _TYPE, _TOO_MANY = 404, 405, 413, 415, 429


@dataclass(frozen=True, slots=True)
class HttpsListener:
    """One place. ``own`` is what this device shows; ``known`` says who may push."""

    place: ListenPlace
    own: ClientCertificate = field(repr=False)
    known: KnownEims
    packages: PushedPackages
    path: str
    admin_protocol: str
    attempts: Attempts
    connections: Connections = field(default_factory=Connections)
    strangers: StrangerReport = field(default_factory=StrangerReport)

    async def run(self) -> None:
        """Listen until cancelled."""
        await keep_listening(self.place, self._open)

    async def _open(self) -> Callable[[], None]:
        context = tls_context(self.own)
        running: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            try:
                await _Connection(self, reader, writer, TlsServer(context)).serve()
            finally:
                running.discard(task)

        server = await asyncio.start_server(serve, self.place.host, self.place.port, limit=_READ_BYTES, backlog=8)

        def close() -> None:
            server.close()
            for task in running:
                task.cancel()

        return close


class _Connection:
    def __init__(
        self, listener: HttpsListener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: TlsServer
    ) -> None:
        self._of = listener
        self._reader, self._writer, self._tls = reader, writer, tls
        self._address = str((writer.get_extra_info("peername") or ("?",))[0])
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self._first = True
        self._json = False
        """Whether the request that is answered has the JSON binding."""

    async def serve(self) -> None:
        """The whole life of the connection; raises nothing but its cancellation."""
        of, now = self._of, asyncio.get_running_loop().time()
        if not of.attempts.allowed(self._address, now) or not of.connections.enter(self._address):
            self._writer.transport.abort()
            return
        try:
            async with asyncio.timeout(request_limits.CONNECTION_S):
                await self._authenticated()
        except EOFError:
            events.CONNECTION_ENDED.emit(address=self._address, reason="the peer closed it")
        except (IpadError, OSError, h11.ProtocolError) as error:
            reason = error.message if isinstance(error, IpadError) else str(error) or type(error).__name__
            events.CONNECTION_ENDED.emit(address=self._address, reason=reason)
        finally:
            of.connections.leave(self._address)
            self._writer.transport.abort() if self._writer.transport.get_write_buffer_size() else self._writer.close()

    async def _authenticated(self) -> None:
        async with asyncio.timeout(request_limits.HANDSHAKE_S):
            while not self._tls.handshake():
                await self._send()
                self._tls.feed(await self._received())
            await self._send()
        try:
            eim_ids = by_certificates(self._tls.certificates(), self._of.known(), now_s=time.time())
        except IpadError as refused:
            self._of.strangers.say(self._address, refused.message)
            return
        for _ in range(request_limits.MOST_REQUESTS):
            if not await self._one_request(eim_ids):
                break
        self._tls.close()
        with contextlib.suppress(OSError):
            await self._send()

    async def _one_request(self, eim_ids: tuple[str, ...]) -> bool:
        """Whether another one may follow on this connection."""
        async with asyncio.timeout(request_limits.IDLE_S):
            request = await self._event()
            if not isinstance(request, h11.Request):
                return False
            refusal = self._refusal(request)
            body = bytearray()
            while refusal is None and isinstance(event := await self._event(), h11.Data):
                body += event.data
                if len(body) > request_limits.MOST_BODY_BYTES:
                    refusal = _TOO_LARGE
        if refusal is not None:
            await self._answer(refusal, b"", last=True)
            return False
        newest = dict(request.headers).get(_ADMIN_PROTOCOL, b"").startswith(_OF_1_3)
        answer = await self._answer_to(eim_ids, bytes(body), newest=newest)
        await self._answer(200 if answer else 204, answer)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _answer_to(self, eim_ids: tuple[str, ...], body: bytes, *, newest: bool) -> bytes:
        """In the binding that the path stands for."""
        packages = self._of.packages
        if not self._json:
            return await packages.answer(eim_ids, body, carrier="https", newest=newest)
        try:
            request = json_transfer.request_in_asn1(body)
        except CodecError as error:
            return json_transfer.answer_in_json(packages.unreadable(eim_ids, error.message, newest=newest))
        return json_transfer.answer_in_json(await packages.answer(eim_ids, request, carrier="https", newest=newest))

    def _refusal(self, request: h11.Request) -> int | None:
        headers = dict(request.headers)
        path = request.target.partition(b"?")[0]
        self._json = path == json_transfer.PATH.encode()
        if path != self._of.path.encode() and not self._json:
            return _NOT_FOUND
        if request.method != b"POST":
            return _METHOD
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != _media_type(json_transfer.TYPE if self._json else ASN1_TYPE):
            return _TYPE
        if int(headers.get(b"content-length", b"0") or b"0") > request_limits.MOST_BODY_BYTES:
            return _TOO_LARGE
        first, self._first = self._first, False  # that one came with the connection, which was counted
        if not first and not self._of.attempts.allowed(self._address, asyncio.get_running_loop().time()):
            return _TOO_MANY
        return None

    async def _answer(self, status: int, body: bytes, *, last: bool = False) -> None:
        headers = [("X-Admin-Protocol", self._of.admin_protocol)]
        if status != 204:
            headers.append(("Content-Length", str(len(body))))
        if body:
            headers.append(("Content-Type", json_transfer.TYPE if self._json else ASN1_TYPE))
        if status == _TOO_MANY:
            headers.append(("Retry-After", str(request_limits.RETRY_AFTER_S)))
        if last:
            headers.append(("Connection", "close"))
        data = self._http.send(h11.Response(status_code=status, headers=headers)) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._tls.write(data)
        await self._send()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        """The next of the request; raises ``EOFError`` when the peer has gone."""
        while True:
            event = next_event(self._http)
            if event is not h11.NEED_DATA:
                return event  # type: ignore[no-any-return]  # h11 leaves it open
            data = self._tls.read()
            while data is None:
                self._tls.feed(await self._received())
                data = self._tls.read()
                await self._send()
            if not data and self._http.their_state is h11.IDLE:
                raise EOFError
            self._http.receive_data(data)

    async def _received(self) -> bytes:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise EOFError
        return data

    async def _send(self) -> None:
        data = self._tls.take()
        if data:
            self._writer.write(data)
            await self._writer.drain()


def _media_type(content_type: str) -> bytes:
    return content_type.partition(";")[0].encode()
