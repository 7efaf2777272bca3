"""CoAP on one DTLS session on one connected UDP socket.

aiocoap gives message encoding, message IDs, tokens and retransmission (RFC 7252 §4). What it leaves open is done
here: a separate response stands for a lost acknowledgement (§4.2), a repeated separate response is acknowledged
again, a Reset fails the request at once, requests from the server are rejected, and messages that cannot be read
never reach it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

# aiocoap comes without types; all of it that is used stays in this module.
import aiocoap
from aiocoap import error as coap_error
from aiocoap import interfaces
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import POST
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type
from aiocoap.options import Options
from aiocoap.tokenmanager import TokenManager

from ipad_agent.errors import IpadError
from ipad_agent.net import events
from ipad_agent.net.carrier import Traffic
from ipad_agent.net.dtls.dtls_backend import DtlsClient, DtlsEvent, Ended, Established, Received
from ipad_agent.net.errors import HandshakeFailed, ProtocolViolation, TransferTimeout, Unreachable

from . import coap_options
from .blockwise_transfer import Block, BlockRequest, BlockResponse
from .coap_options import ResponseOptions

_ECHO = OptionNumber(252)
_REQUEST_TAG = OptionNumber(292)
_REMEMBERED_ANSWERS = 16

# What aiocoap raises on messages that are none.
_UNPARSABLE = (coap_error.Error, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError)


class PeerSilent(TransferTimeout):
    """A confirmable message was repeated to the end and never acknowledged."""


class SessionLost(Unreachable):
    """The session ended under a running exchange."""


class Tuning(TransportTuning):  # type: ignore[misc]  # aiocoap carries no types
    """Timing of one request (RFC 7252 §4.8)."""

    def __init__(self, ack_timeout_s: float, max_retransmit: int) -> None:
        self.ACK_TIMEOUT = ack_timeout_s
        self.MAX_RETRANSMIT = max_retransmit


class _Remote(interfaces.EndpointAddress):  # type: ignore[misc]
    """The one peer of an association; never equal to that of another session (RFC 7252 §9.1.2)."""

    scheme = "coaps"
    is_multicast = False
    is_multicast_locally = False
    hostinfo = ""
    hostinfo_local = ""
    uri_base = ""
    uri_base_local = ""

    def __init__(self, hostinfo: str) -> None:
        self.hostinfo = hostinfo
        self.uri_base = f"coaps://{hostinfo}"

    @property
    def blockwise_key(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<coaps {self.hostinfo}>"


class _Interface(interfaces.MessageInterface):  # type: ignore[misc]
    """What aiocoap sends through."""

    def __init__(self, send: Callable[[Any], None], remote: _Remote) -> None:
        self._send = send
        self._remote = remote

    def send(self, message: Any) -> None:
        self._send(message)

    async def determine_remote(self, message: Any) -> _Remote:
        return self._remote

    async def recognize_remote(self, remote: object) -> bool:
        return remote is self._remote

    async def shutdown(self) -> None:
        return None


class _ToEvents(logging.Handler):
    """Carries the library's remarks into our own log, where they are of debugging interest."""

    def emit(self, record: logging.LogRecord) -> None:
        events.LIBRARY.emit(text=record.getMessage())


def _library_logger() -> str:
    name = "ipad_agent_coap_library"
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(_ToEvents(logging.WARNING))
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    return name


class Association(asyncio.DatagramProtocol):
    """One session with one server. Create with ``open``; one request at a time (NSTART 1)."""

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
        self._flights_sent_again = 0
        self.heard = 0
        """How many CoAP messages of the server arrived, whatever they were."""

        self._failed: asyncio.Future[IpadError] | None = None
        self._request_mid: int | None = None  # of our request, as long as it is not acknowledged
        self._request_token: bytes | None = None
        self._options = ResponseOptions()  # of the response to our request
        self._last_sent_mid: int | None = None
        self._answered: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED_ANSWERS)

        self._context = aiocoap.Context(loop=self._loop, loggername=_library_logger())
        tokens = TokenManager(self._context)
        self._messages = MessageManager(tokens)
        self._remote = _Remote(f"{self._host}:{self._port}")
        self._messages.message_interface = _Interface(self._send_message, self._remote)
        tokens.token_interface = self._messages
        self._context.request_interfaces.append(tokens)

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
        try:
            await loop.create_datagram_endpoint(lambda: association, remote_addr=address[:2], family=family)
        except OSError as error:
            raise Unreachable(f"no socket to {address[0]}: {error.strerror or error}") from None
        try:
            association._process(client.start(loop.time()))
            established = await association._ready
        except BaseException:
            traffic.handshakes_failed += 1
            association.close()
            raise
        if established.resumed:
            traffic.handshakes_resumed += 1
        else:
            traffic.handshakes_full += 1
        return association, established

    @property
    def alive(self) -> bool:
        """Whether requests may be sent: established, and neither side has ended the session."""
        return not self._closed and self._over is None and self._ready.done()

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
        message = aiocoap.Message(code=POST, payload=part.payload, transport_tuning=tuning)
        message.remote = self._remote
        if uri_host is not None:
            message.opt.uri_host = uri_host
        message.opt.uri_path = path
        message.opt.content_format = content_format
        _put_blocks(message.opt, part)

        self._failed = self._loop.create_future()
        pending = self._context.request(message, handle_blockwise=False).response
        try:
            await asyncio.wait({pending, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise self._failed.result()
            return _read_response(pending.result(), self._options)
        except coap_error.ConRetransmitsExceeded:
            raise PeerSilent("the server does not acknowledge the request") from None
        except coap_error.Error as error:
            raise ProtocolViolation(f"the CoAP exchange failed: {type(error).__name__} {error}") from None
        finally:
            if not pending.cancel() and not pending.cancelled():
                pending.exception()  # both ended at once: say that this one was seen
            self._failed.cancel()
            self._failed = None
            self._stop_retransmission()
            self._request_token = None

    def close(self) -> None:
        """Send close_notify if a session stands, free the socket and all timers. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._client.close()
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.close()
        if not self._ready.done():
            self._ready.cancel()
        self._fail(SessionLost("the session was closed"))

    # -- asyncio.DatagramProtocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)  # which asyncio's own class does not subclass

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._closed:
            return
        self._traffic.datagrams_received += 1
        self._traffic.bytes_received += len(data)
        self._process(self._client.feed(data, self._loop.time()))

    def error_received(self, exc: Exception) -> None:
        """ICMP said no, or the kernel has no route; seen only because the socket is connected.

        During the handshake that is the end, for another address may do better. A session outlives a radio that is
        away for a moment: only a closed port ends it, anything else is a lost datagram that CoAP sends again.
        """
        text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        if not self._ready.done():
            self._ready.set_exception(Unreachable(f"{self._host}:{self._port} is not reachable: {text}"))
        elif isinstance(exc, ConnectionRefusedError):
            self._end(SessionLost(f"{self._host}:{self._port} is not reachable any more: {text}"))
        else:
            self._note_noise(f"a datagram was not sent ({text})")

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket = None

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
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(error)

    def _flush(self) -> None:
        for datagram in self._client.take():
            if self._socket is None:
                return
            self._traffic.datagrams_sent += 1
            self._traffic.bytes_sent += len(datagram)
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

    def _send_message(self, message: Any) -> None:
        if not self.alive:
            return
        if message.code.is_request():
            if message.mid == self._last_sent_mid:
                self._traffic.retransmissions += 1
            self._last_sent_mid = self._request_mid = message.mid
            self._request_token = bytes(message.token)
        self._send_bytes(message.encode())

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._client.send(data)
        except HandshakeFailed as error:
            self._end(error)
        self._flush()

    def _send_empty(self, kind: Type, mid: int) -> None:
        self._send_bytes(bytes([0x40 | int(kind) << 4, 0, mid >> 8, mid & 0xFF]))

    def _take_message(self, data: bytes) -> None:
        if len(data) < 4 or data[0] >> 6 != 1:
            self._note_noise("no CoAP message")
            return
        kind, code, mid = Type(data[0] >> 4 & 3), data[1], int.from_bytes(data[2:4], "big")
        self.heard += 1
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
            # The library sees no option: it has no use for any, and must not stumble over one.
            bare = data[: 4 + (data[0] & 0x0F)] + (b"\xff" + payload if payload else b"")
            message = aiocoap.Message.decode(bare, remote=self._remote)
        except _UNPARSABLE as error:
            self._note_noise(f"a CoAP message that cannot be read ({type(error).__name__})")
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            return
        self._take_response(message, coap_options.understood(options), kind, mid)

    def _take_empty(self, kind: Type, mid: int) -> None:
        if kind is Type.CON:
            self._send_empty(Type.RST, mid)  # a ping (RFC 7252 §4.3)
        elif kind is Type.ACK and mid == self._request_mid:
            self._stop_retransmission()
        elif kind is Type.RST and mid == self._request_mid:
            self._stop_retransmission()
            self._fail(ProtocolViolation("the server rejected the request with a Reset"))

    def _take_response(self, message: Any, options: ResponseOptions, kind: Type, mid: int) -> None:
        if bytes(message.token) != self._request_token or (kind is Type.ACK and mid != self._last_sent_mid):
            self._note_noise("an answer to nothing that was asked")
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            return
        if options.refused is not None:
            # RFC 7252 §5.4.1: rejected, as if it were no answer. Asking again would bring the same one.
            if kind is Type.CON:
                self._send_empty(Type.RST, mid)
            self._request_token = None
            self._stop_retransmission()
            self._fail(ProtocolViolation(f"the server's answer has {options.refused}"))
            return
        if kind is Type.CON:
            self._send_empty(Type.ACK, mid)
            self._answered.append((mid, bytes(message.token)))
        self._request_token = None
        self._options = options
        message.mtype = Type.NON  # whatever had to be acknowledged is; aiocoap is only to deliver it
        self._messages.dispatch_message(message)

    def _stop_retransmission(self) -> None:
        """Tell aiocoap that the request was acknowledged, by whatever proved it."""
        mid, self._request_mid = self._request_mid, None
        if mid is None:
            return
        acknowledgement = bytes([0x60, 0, mid >> 8, mid & 0xFF])
        self._messages.dispatch_message(aiocoap.Message.decode(acknowledgement, remote=self._remote))

    def _note_noise(self, problem: str) -> None:
        events.NOISE.emit(host=self._host, port=self._port, problem=problem)


def _put_blocks(options: Options, part: BlockRequest) -> None:
    options.block1 = _option_value(part.block1)
    options.block2 = _option_value(part.block2)
    options.size1 = part.size1
    for number, value in ((_ECHO, part.echo), (_REQUEST_TAG, part.request_tag)):
        if value is not None:
            options.add_option(number.create_option(value=value))


def _option_value(block: Block | None) -> tuple[int, bool, int] | None:
    return None if block is None else (block.number, block.more, block.size_exp)


def _read_response(message: Any, options: ResponseOptions) -> BlockResponse:
    return BlockResponse(
        code=int(message.code),
        payload=bytes(message.payload),
        block1=options.block1,
        block2=options.block2,
        max_age_s=options.max_age_s,
        echo=options.echo,
        etag=options.etag,
        size2=options.size2,
    )
