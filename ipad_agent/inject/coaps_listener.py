"""TransferEimPackage over CoAP and DTLS: this device is the server (SGP.32 v1.3 §3.1.1.2, §6.1)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from ipad_agent.errors import IpadError
from ipad_agent.net.dtls.dtls_backend import Psk
from ipad_agent.net.errors import Refusal, TrustRefused
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.records import dataclass, field

from . import coap_requests, events, request_limits
from .coap_requests import ACK, CON, NON, RST, CoapMessage, RequestBlocks
from .dtls_peer import DtlsContext, DtlsPeer
from .listen_place import ListenPlace, StrangerReport, keep_listening
from .pushed_packages import PushedPackages
from .pushing_eim import KnownEims, by_certificates, by_identity
from .request_limits import Attempts, Connections

PIGGYBACK_S: Final = 1.0
"""So long an answer may take to go with the acknowledgement (RFC 7252 §5.2.1)."""
ACK_TIMEOUT_S: Final = 2.0
MOST_RETRANSMISSIONS: Final = 4
MOST_HELLOS_PER_S: Final = 20
"""So many first datagrams are looked at per second in the long run, whoever sends them: each costs a hash or two."""
_REMEMBERED_ANSWERS: Final = 8
_HANDSHAKE_BYTE: Final = 22


@dataclass(frozen=True, slots=True)
class CoapsListener:
    """One place. ``own`` is what this device shows, None where all eIMs have pre-shared keys."""

    place: ListenPlace
    own: ClientCertificate | None = field(repr=False)
    known: KnownEims
    packages: PushedPackages
    path: str
    attempts: Attempts
    connections: Connections = field(default_factory=Connections)
    strangers: StrangerReport = field(default_factory=StrangerReport)

    async def run(self) -> None:
        """Listen until cancelled."""
        await keep_listening(self.place, self._open)

    def key_of(self, identity: bytes) -> Psk | None:
        """The pre-shared key of an identity."""
        eim = by_identity(identity, self.known())
        return None if eim is None else eim.psk

    async def _open(self) -> Callable[[], None]:
        context = DtlsContext(self.own, self.key_of)
        loop = asyncio.get_running_loop()
        where = (self.place.host, self.place.port)
        _, port = await loop.create_datagram_endpoint(lambda: _Port(self, context), local_addr=where)
        return port.close


class _Port(asyncio.DatagramProtocol):
    """The socket, and a session per address that proved itself to be one."""

    def __init__(self, listener: CoapsListener, context: DtlsContext) -> None:
        self._of = listener
        self._context = context
        self._transport: asyncio.DatagramTransport | None = None
        self._sessions: dict[Any, _Session] = {}
        self._hellos = Attempts(60 * MOST_HELLOS_PER_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        known = self._sessions.get(addr)
        if known is not None:
            known.received(data)
            return
        now = asyncio.get_running_loop().time()
        if data[:1] != bytes([_HANDSHAKE_BYTE]) or not self._hellos.allowed("", now):
            return
        try:
            peer, answers = self._context.hello(data, repr(addr).encode())
        except IpadError as error:
            events.CONNECTION_ENDED.emit(address=str(addr[0]), reason=error.message)
            return
        self._send(addr, answers)
        address = str(addr[0])
        if peer is None or not self._of.attempts.allowed(address, now) or not self._of.connections.enter(address):
            return
        self._sessions[addr] = _Session(self._of, peer, address, partial(self._send, addr), partial(self._gone, addr))
        self._sessions[addr].received(None)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of one peer is nothing for the others."""

    def close(self) -> None:
        """Say goodbye to everybody."""
        for session in list(self._sessions.values()):
            session.end("the agent stops listening")
        if self._transport is not None:
            self._transport.close()

    def _send(self, addr: Any, datagrams: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            for datagram in datagrams:
                self._transport.sendto(datagram, addr)

    def _gone(self, addr: Any) -> None:
        if self._sessions.pop(addr, None) is not None:
            self._of.connections.leave(str(addr[0]))


class _Session:
    """One DTLS session and the one request in it."""

    def __init__(
        self,
        listener: CoapsListener,
        peer: DtlsPeer,
        address: str,
        send: Callable[[list[bytes]], None],
        gone: Callable[[], None],
    ) -> None:
        self._of, self._peer, self._address, self._send, self._gone = listener, peer, address, send, gone
        self._loop = asyncio.get_running_loop()
        self._eim_ids: tuple[str, ...] = ()
        self._blocks = RequestBlocks(request_limits.MOST_BODY_BYTES)
        self._answers: dict[int, bytes] = {}
        self._working: asyncio.Task[None] | None = None
        self._working_on = -1
        self._acknowledged: dict[int, asyncio.Event] = {}
        self._next_id = secrets.randbelow(1 << 16)
        self._first = True
        self._flight: asyncio.TimerHandle | None = None
        self._limit = self._loop.call_later(request_limits.HANDSHAKE_S, self.end, "no handshake in time")
        self._last = self._loop.call_later(request_limits.CONNECTION_S, self.end, "it lasted long enough")

    def received(self, datagram: bytes | None) -> None:
        """A datagram of this peer; None begins."""
        was_established = self._peer.established
        try:
            messages = self._peer.feed(datagram)
            if self._peer.established and not was_established:
                self._eim_ids = self._who()
            self._flush()
        except EOFError:
            self.end("the eIM closed it")
            return
        except IpadError as error:
            self._flush()
            if self._peer.established and not self._eim_ids:
                self._of.strangers.say(self._address, error.message)
            self.end(error.message)
            return
        if self._eim_ids:
            self._limit.cancel()
            self._limit = self._loop.call_later(request_limits.IDLE_S, self._idle)
        try:
            for message in messages:
                self._message(message)
        except IpadError as error:
            self.end(error.message)

    def end(self, reason: str) -> None:
        """Close and forget."""
        for timer in (self._limit, self._last, self._flight):
            if timer is not None:
                timer.cancel()
        if self._working is not None:
            self._working.cancel()
        self._peer.close()
        with contextlib.suppress(IpadError):
            self._send(self._peer.take())
        events.CONNECTION_ENDED.emit(address=self._address, reason=reason)
        self._gone()

    def _idle(self) -> None:
        if self._working is None:
            self.end("nothing came")
        else:
            self._limit = self._loop.call_later(request_limits.IDLE_S, self._idle)

    def _who(self) -> tuple[str, ...]:
        identity = self._peer.identity
        if identity is not None:
            eim = by_identity(identity, self._of.known())
            if eim is None:  # it has just left the card
                raise TrustRefused("no eIM on the card has this pre-shared key", reason=Refusal.NO_PSK)
            return (eim.eim_id,)
        return by_certificates(self._peer.certificates(), self._of.known(), now_s=time.time())

    def _flush(self) -> None:
        self._send(self._peer.take())
        if self._flight is not None:
            self._flight.cancel()
            self._flight = None
        again_s = self._peer.flight_again_in_s()
        if again_s is not None:
            self._flight = self._loop.call_later(max(again_s, 0.01), self._send_again)

    def _send_again(self) -> None:
        self._flight = None
        try:
            self._peer.flight_again()
            self._flush()
        except IpadError as error:
            self.end(error.message)

    # -- CoAP ----------------------------------------------------------------------------------------------------------

    def _message(self, datagram: bytes) -> None:
        message = coap_requests.read(datagram)
        if message is None:
            return
        if message.kind in (ACK, RST):
            waiting = self._acknowledged.get(message.message_id)
            if waiting is not None:
                waiting.set()
        elif message.code == coap_requests.EMPTY or message.code >> 5:
            if message.kind == CON:  # a ping (RFC 7252 §4.3), or an answer to what nobody asked
                self._say(coap_requests.write(RST, coap_requests.EMPTY, message.message_id))
        elif message.message_id in self._answers:
            self._say(self._answers[message.message_id])
        elif self._working is not None and message.message_id == self._working_on:
            self._say(coap_requests.write(ACK, coap_requests.EMPTY, message.message_id))
        else:
            self._request(message)

    def _request(self, message: CoapMessage) -> None:
        if message.refused:
            self._answer(message, coap_requests.BAD_OPTION)
        elif message.path != self._of.path:
            self._answer(message, coap_requests.NOT_FOUND)
        elif message.code != coap_requests.POST:
            self._answer(message, coap_requests.NOT_ALLOWED)
        elif self._working is not None:
            self._answer(message, coap_requests.UNAVAILABLE, max_age_s=request_limits.RETRY_AFTER_S)
        else:
            body = self._blocks.take(message)
            if isinstance(body, int):
                self._answer(message, body)
            elif not self._first and not self._of.attempts.allowed(self._address, self._loop.time()):
                self._answer(message, coap_requests.TOO_MANY, max_age_s=request_limits.RETRY_AFTER_S)
            else:
                self._first = False  # that one came with the session, which was counted
                self._working_on = message.message_id
                self._working = asyncio.create_task(self._work(message, body))
                self._working.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error.message if isinstance(error, IpadError) else repr(error))

    async def _work(self, message: CoapMessage, body: bytes) -> None:
        packages = self._of.packages
        answering = asyncio.ensure_future(packages.answer(self._eim_ids, body, carrier="coaps"))
        try:
            await asyncio.wait({answering}, timeout=PIGGYBACK_S)
            separate = not answering.done() and message.kind == CON
            if separate:
                self._say(coap_requests.write(ACK, coap_requests.EMPTY, message.message_id))
            answer = await answering
        finally:
            answering.cancel()
        if not separate:
            self._answer(message, coap_requests.CHANGED, payload=answer)
            return
        await self._send_separately(message, answer)

    async def _send_separately(self, message: CoapMessage, answer: bytes) -> None:
        """RFC 7252 §5.2.2: a confirmable message of our own, repeated until it is acknowledged."""
        self._next_id = (self._next_id + 1) & 0xFFFF
        acknowledged = self._acknowledged[self._next_id] = asyncio.Event()
        datagram = coap_requests.write(
            CON, coap_requests.CHANGED, self._next_id, message.token, payload=answer, block1=message.block1
        )
        try:
            for attempt in range(MOST_RETRANSMISSIONS + 1):
                self._say(datagram)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ACK_TIMEOUT_S * 2**attempt):
                        await acknowledged.wait()
                        return
        finally:
            self._acknowledged.clear()

    def _answer(self, message: CoapMessage, code: int, *, payload: bytes = b"", max_age_s: int | None = None) -> None:
        kind = ACK if message.kind == CON else NON
        datagram = coap_requests.write(
            kind, code, message.message_id, message.token, payload=payload, block1=message.block1, max_age_s=max_age_s
        )
        self._answers[message.message_id] = datagram
        while len(self._answers) > _REMEMBERED_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._say(datagram)

    def _say(self, datagram: bytes) -> None:
        self._peer.send(datagram)
        self._flush()
