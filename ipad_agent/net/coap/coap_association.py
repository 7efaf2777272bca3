"""CoAP on one DTLS session on one connected UDP socket: message IDs, tokens, retransmission (RFC 7252 §4).

A separate response stands for a lost acknowledgement (§4.2), a repeated separate response is acknowledged again, a
Reset fails the request at once, requests from the server are rejected, and messages that cannot be read change nothing.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import OrderedDict, deque
from typing import Any, Final, cast

from ipad_agent.errors import IpadError
from ipad_agent.net import events
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.dialler import still_has_address
from ipad_agent.net.dtls.dtls_backend import DtlsClient, DtlsEvent, Ended, Established, Received
from ipad_agent.net.errors import HandshakeFailed, ProtocolViolation, TransferTimeout, Unreachable
from ipad_agent.records import dataclass

from . import coap_message, coap_options
from .blockwise_transfer import BlockRequest, BlockResponse
from .coap_message import Type
from .coap_options import ResponseOptions
from .round_trips import RoundTrips

_REMEMBERED_ANSWERS: Final = 16
_ACK_RANDOM_FACTOR: Final = 1.5
_FAREWELL_S: Final = 5.0
"""How long the socket waits for the server's close_notify. To one that is gone the system answers by ICMP, which costs
95 bytes of radio, and more than the datagram that nobody wanted."""
_UDP_BYTES, _IPV4_BYTES, _IPV6_BYTES = 8, 20, 40


class PeerSilent(TransferTimeout):
    """A confirmable message was repeated to the end and never acknowledged."""


class SessionLost(Unreachable):
    """The session ended under a running exchange."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Timing of requests (RFC 7252 §4.8)."""

    ack_timeout_s: float
    max_retransmit: int

    @property
    def patience_s(self) -> float:
        """How long a request is repeated: as long as ``max_retransmit`` repetitions take on a path nobody has measured.

        On a fast path that makes more of them: a lossy link is not to be given up sooner than a slow one.
        """
        return self.ack_timeout_s * float(2 ** (self.max_retransmit + 1) - 1)


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request that waits for its response. ``acknowledged``: it is not sent again any more."""

    mid: int
    token: bytes
    message: bytes
    give_up_at_s: float
    wait_s: float
    response: asyncio.Future[BlockResponse]
    sent_at_s: float
    repetitions: int = 0
    acknowledged: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A request that was sent more than once and is answered: a second answer shows that it need not have been."""

    round_trip_s: float


class Association(asyncio.DatagramProtocol):
    """One session with one server. Create with ``open``. How many requests are under way at a time (NSTART) is the
    caller's choice."""

    def __init__(self, client: DtlsClient, hostinfo: tuple[str, int], traffic: Traffic) -> None:
        self._client = client
        self._host, self._port = hostinfo
        self._traffic = traffic
        self._loop = asyncio.get_running_loop()
        self._socket: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ready: asyncio.Future[Established] = self._loop.create_future()
        self._over: IpadError | None = None
        self._closed = False
        self._farewell: asyncio.TimerHandle | None = None
        self._flights_sent_again = 0
        self._header_bytes = _UDP_BYTES + _IPV4_BYTES
        self.heard = 0
        """How many CoAP messages of the server arrived, whatever they were."""

        self._exchanges: dict[bytes, _Exchange] = {}  # by token
        self._repeated: OrderedDict[int, _Repeated] = OrderedDict()  # by message ID
        self._answered: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED_ANSWERS)
        self._mid = random.getrandbits(16)
        self._requests = 0
        self.round_trips: RoundTrips | None = None
        """What was measured on this session; made with the first request."""
        self.outlives_socket = False
        """Whether it goes on after ``close``, by a Connection ID (RFC 9146)."""
        self.unproved = False
        """Whether it goes on without a handshake and nothing was heard of the server yet."""

    @classmethod
    async def open(
        cls, address: tuple[Any, ...], family: int, client: DtlsClient, *, host: str, traffic: Traffic
    ) -> tuple[Association, Established]:
        """Shake hands with ``address`` on a fresh socket, within the client's own deadline.

        A fresh socket because a server ignores a new ClientHello from a port it has a live session with. Raises
        ``Unreachable``, ``HandshakeFailed`` or ``TrustRefused``.
        """
        loop = asyncio.get_running_loop()
        association = cls(client, (host, address[1]), traffic)
        association._header_bytes = _UDP_BYTES + (_IPV6_BYTES if family == socket.AF_INET6 else _IPV4_BYTES)
        try:
            await loop.create_datagram_endpoint(lambda: association, remote_addr=address[:2], family=family)
        except OSError as error:
            client.close()
            raise Unreachable(f"no socket to {address[0]}: {error.strerror or error}") from None
        try:
            association._process(client.start(loop.time()))
            established = await association._ready
        except BaseException:
            traffic.handshakes_failed += 1
            association.close()
            raise
        association.outlives_socket, association.unproved = established.connection_id, established.continued
        if not established.continued:  # else there was no handshake
            traffic.handshakes_resumed += established.resumed
            traffic.handshakes_full += not established.resumed
        return association, established

    @property
    def alive(self) -> bool:
        """Whether requests may be sent: established, and neither side has ended the session."""
        return not self._closed and self._over is None and self._ready.done()

    @property
    def address_is_ours(self) -> bool:
        """False after a change of network took away the address that this session speaks from."""
        own = None if self._socket is None else self._socket.get_extra_info("socket")
        if own is None:
            return self._socket is not None  # no socket of this machine
        return still_has_address(own)

    async def request(
        self,
        part: BlockRequest,
        *,
        path: tuple[str, ...],
        uri_host: str | None,
        content_format: int | None,
        tuning: Tuning,
    ) -> BlockResponse:
        """POST one part and return its answer, whether piggybacked or separate. The caller sets the deadline.

        Raises ``PeerSilent``, ``SessionLost``, ``HandshakeFailed`` or ``ProtocolViolation``.
        """
        if self._over is not None or self._closed:
            raise self._over or SessionLost("the session is closed")
        self._requests += 1
        # DTLS says whose answer it is; the token only has to tell the requests of this session apart (§5.3.1).
        token = (self._requests & 0xFFFF).to_bytes(1 if self._requests < 0x100 else 2, "big")
        options = coap_message.options_of(part, path=path, uri_host=uri_host, content_format=content_format)
        mid = self._next_mid()
        return await self._exchange(mid, token, coap_message.request(mid, token, options, part.payload), tuning)

    async def ping(self, tuning: Tuning) -> bool:
        """Whether the server still knows this session: a server rejects an empty message at once (§4.3)."""
        if not self.alive:
            return False
        mid = self._next_mid()
        try:
            await self._exchange(mid, b"", coap_message.empty(Type.CON, mid), tuning)
        except ProtocolViolation:
            return True
        except (PeerSilent, Unreachable, HandshakeFailed):
            return False
        return True

    def _next_mid(self) -> int:
        self._mid = (self._mid + 1) & 0xFFFF
        return self._mid

    async def _exchange(self, mid: int, token: bytes, message: bytes, tuning: Tuning) -> BlockResponse:
        if self.round_trips is None:
            self.round_trips = RoundTrips(tuning.ack_timeout_s)
        now_s = self._loop.time()
        exchange = _Exchange(
            mid,
            token,
            message,
            now_s + tuning.patience_s,
            min(self.round_trips.wait_s, tuning.ack_timeout_s) * random.uniform(1, _ACK_RANDOM_FACTOR),
            self._loop.create_future(),
            now_s,
        )
        self._exchanges[token] = exchange
        try:
            self._send_bytes(message)
            self._arm(exchange)
            return await exchange.response
        finally:
            self._forget(exchange)

    def close(self) -> None:
        """Send close_notify if a session stands, free all timers, and the socket: as soon as the server has answered
        that, or a little later. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._client.close()
        sent_bytes = self._traffic.bytes_sent
        self._flush()
        stood = self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None
        goodbye_bytes = self._traffic.bytes_sent - sent_bytes if stood else 0
        if goodbye_bytes:
            # The server answers with its own (RFC 5246 §7.2.1), which nobody waits for and the network carries.
            self._traffic.bytes_received += goodbye_bytes
            self._traffic.header_bytes += self._header_bytes
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None and goodbye_bytes:
            self._farewell = self._loop.call_later(_FAREWELL_S, self._socket.close)
        elif self._socket is not None:
            self._socket.close()
        if not self._ready.done():
            self._ready.cancel()
        self._fail(SessionLost("the session was closed"))

    # -- asyncio.DatagramProtocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)  # which asyncio's own class does not subclass

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._closed:
            self._part()  # the server's goodbye, which was counted when ours was sent
            return
        self._traffic.packet()
        self._traffic.datagrams_received += 1
        self._traffic.bytes_received += len(data)
        self._traffic.header_bytes += self._header_bytes
        self._process(self._client.feed(data, self._loop.time()))

    def error_received(self, exc: Exception) -> None:
        """ICMP said no, or the kernel has no route; seen only because the socket is connected.

        During the handshake that is the end, for another address may do better. A session outlives a radio that is
        away for a moment: only a closed port ends it, anything else is a lost datagram that CoAP sends again.
        """
        if self._closed:
            self._part()
            return
        text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        if not self._ready.done():
            self._ready.set_exception(Unreachable(f"{self._host}:{self._port} is not reachable: {text}"))
        elif isinstance(exc, ConnectionRefusedError):
            self._end(SessionLost(f"{self._host}:{self._port} is not reachable any more: {text}"))
        else:
            self._note_noise(f"a datagram was not sent ({text})")

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket = None

    def _part(self) -> None:
        """The server has answered the close_notify, or is gone."""
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
            if self._socket is not None:
                self._socket.close()

    # -- the session ---------------------------------------------------------------------------------------------

    def _process(self, happened: list[DtlsEvent]) -> None:
        self._flush()
        for event in happened:
            match event:
                case Established():
                    if not self._ready.done():
                        self._ready.set_result(event)
                case Received(data):
                    self._take_message(data)
                case Ended(error):
                    self._end(error or SessionLost("the server closed the session"))
        self._flush()
        self._schedule()

    def _end(self, error: IpadError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
        self._over = self._over or error
        self._fail(error)

    def _fail(self, error: IpadError) -> None:
        for exchange in list(self._exchanges.values()):
            self._refuse(exchange, error)

    def _flush(self) -> None:
        for datagram in self._client.take():
            if self._socket is None:
                return
            self._traffic.packet()
            self._traffic.datagrams_sent += 1
            self._traffic.bytes_sent += len(datagram)
            self._traffic.header_bytes += self._header_bytes
            self._socket.sendto(datagram)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = None if self._closed else self._client.timeout_at()
        if at is not None:
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._process(self._client.handle_timeout(self._loop.time()))
        again = self._client.retransmissions - self._flights_sent_again
        self._flights_sent_again += again
        self._traffic.retransmissions += again

    # -- CoAP messages -------------------------------------------------------------------------------------------

    def _arm(self, exchange: _Exchange) -> None:
        exchange.timer = self._loop.call_later(exchange.wait_s, self._repeat, exchange)

    def _repeat(self, exchange: _Exchange) -> None:
        """§4.2: the same message again, after twice the time each."""
        exchange.timer = None
        if exchange.response.done() or not self.alive:
            return
        if self._loop.time() >= exchange.give_up_at_s:
            self._refuse(exchange, PeerSilent("the server does not acknowledge the request"))
            return
        exchange.repetitions += 1
        if self.round_trips is not None:
            exchange.wait_s = self.round_trips.next_wait_s(exchange.wait_s, self._loop.time() - exchange.sent_at_s)
        self._traffic.retransmissions += 1
        self._send_bytes(exchange.message)
        self._arm(exchange)

    def _acknowledge(self, exchange: _Exchange) -> None:
        """The server has the request, by whatever proved it."""
        if exchange.acknowledged:
            return
        exchange.acknowledged = True
        if exchange.timer is not None:
            exchange.timer.cancel()
            exchange.timer = None
        round_trip_s = self._loop.time() - exchange.sent_at_s
        if not exchange.repetitions:
            self._measured(round_trip_s)
            return
        self._repeated[exchange.mid] = _Repeated(round_trip_s)
        while len(self._repeated) > _REMEMBERED_ANSWERS:
            self._repeated.popitem(last=False)

    def _measured(self, round_trip_s: float) -> None:
        if self.round_trips is not None:
            self.round_trips.measured(round_trip_s)

    def _heard_again(self, mid: int) -> None:
        """A second acknowledgement of one request: the first answered its first sending, which only took longer than
        was waited. So the time it took is known after all."""
        repeated = self._repeated.pop(mid, None)
        if repeated is not None:
            self._measured(repeated.round_trip_s)

    def _forget(self, exchange: _Exchange) -> None:
        if exchange.timer is not None:
            exchange.timer.cancel()
            exchange.timer = None
        if self._exchanges.get(exchange.token) is exchange:
            del self._exchanges[exchange.token]

    def _refuse(self, exchange: _Exchange, error: IpadError) -> None:
        self._forget(exchange)
        if not exchange.response.done():
            exchange.response.set_exception(error)

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._client.send(data)
        except HandshakeFailed as error:
            self._end(error)
        self._flush()

    def _send_empty(self, kind: Type, mid: int) -> None:
        self._send_bytes(coap_message.empty(kind, mid))

    def _take_message(self, data: bytes) -> None:
        if len(data) < 4 or data[0] >> 6 != 1:
            self._note_noise("no CoAP message")
            return
        kind, code, mid = Type(data[0] >> 4 & 3), data[1], int.from_bytes(data[2:4], "big")
        self.heard += 1
        self.unproved = False
        if code == 0:
            self._take_empty(kind, mid)
            return
        if kind is Type.CON and (mid, data[4 : 4 + (data[0] & 0x0F)]) in self._answered:
            self._send_empty(Type.ACK, mid)  # our acknowledgement was lost
            return
        if code >> 5 not in (2, 4, 5) or kind is Type.RST:
            self._note_noise(f"a message of code {code >> 5}.{code & 0x1F:02d} from a server")
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            return
        try:
            options, payload = coap_options.split(data)
        except ValueError as error:
            self._note_noise(f"a CoAP message that cannot be read ({error})")
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            return
        token = data[4 : 4 + (data[0] & 0x0F)]
        self._take_response(code, token, coap_options.understood(options), payload, kind, mid)

    def _waiting(self, mid: int) -> _Exchange | None:
        return next((exchange for exchange in self._exchanges.values() if exchange.mid == mid), None)

    def _take_empty(self, kind: Type, mid: int) -> None:
        exchange = self._waiting(mid)
        if kind is Type.CON:
            self._send_empty(Type.RST, mid)  # a ping (RFC 7252 §4.3)
        elif kind is Type.ACK and exchange is not None:
            self._acknowledge(exchange)
        elif kind is Type.RST and exchange is not None:
            self._refuse(exchange, ProtocolViolation("the server rejected the request with a Reset"))

    def _take_response(
        self, code: int, token: bytes, options: ResponseOptions, payload: bytes, kind: Type, mid: int
    ) -> None:
        exchange = self._exchanges.get(token)
        if exchange is None or exchange.response.done() or (kind is Type.ACK and mid != exchange.mid):
            if kind is Type.ACK:
                self._heard_again(mid)
            self._note_noise("an answer to nothing that was asked")
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            return
        if options.refused is not None:
            # RFC 7252 §5.4.1: rejected, as if it were no answer. Asking again would bring the same one.
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            self._refuse(exchange, ProtocolViolation(f"the server's answer has {options.refused}"))
            return
        if kind is Type.CON:
            self._send_empty(Type.ACK, mid)
            self._answered.append((mid, token))
        self._acknowledge(exchange)
        exchange.response.set_result(
            BlockResponse(
                code=code,
                payload=payload,
                block1=options.block1,
                block2=options.block2,
                max_age_s=options.max_age_s,
                echo=options.echo,
                etag=options.etag,
                size2=options.size2,
            )
        )

    def _note_noise(self, problem: str) -> None:
        events.NOISE.emit(host=self._host, port=self._port, problem=problem)
