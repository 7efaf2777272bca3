"""UDP below, CoAP messages above: the message interfaces that aiocoap drives, over DTLS or in the clear."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

from aiocoap import error as coap_error
from aiocoap import interfaces
from aiocoap.message import Message

from .connection_id_server import ConnectionIdServer
from .dtls_server import DtlsServer
from .dtls_sessions import Address, Closed, Opened, Output, Received, Session, Transmit

log = logging.getLogger("ipad_agent.lab")

MAX_TOKEN_BYTES = 8
_SWALLOWED_TOKENS = 32


class Remote(interfaces.EndpointAddress):  # type: ignore[misc]  # aiocoap is untyped
    """A peer as aiocoap sees it: one DTLS session (RFC 7252 §9.1.2), or one address in the clear."""

    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = 6

    def __init__(self, transport: CoapTransport, peer: Address, session: Session | None) -> None:
        self.transport = transport
        self.peer = peer
        self.session = session
        self.swallowed: deque[bytes] = deque(maxlen=_SWALLOWED_TOKENS)

    def __repr__(self) -> str:
        return f"<{self.scheme} peer {self.hostinfo}>"

    @property
    def scheme(self) -> str:
        """``coaps`` or ``coap``."""
        return self.transport.scheme

    @property
    def hostinfo(self) -> str:
        """The peer as host:port."""
        host, port = self.peer[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def hostinfo_local(self) -> str:
        """Our own end; aiocoap wants one, nothing here reads it."""
        return f"localhost:{self.transport.port}"

    @property
    def uri_base(self) -> str:
        """The peer as a URI."""
        return f"{self.scheme}://{self.hostinfo}"

    @property
    def uri_base_local(self) -> str:
        """Our own end as a URI."""
        return f"{self.scheme}://{self.hostinfo_local}"

    @property
    def blockwise_key(self) -> object:
        """Blocks of two sessions never belong together."""
        return self


class CoapTransport(interfaces.MessageInterface, asyncio.DatagramProtocol):  # type: ignore[misc]  # aiocoap is untyped
    """The clear-text form, for looking at CoAP with a packet sniffer; ``DtlsTransport`` is the real one."""

    scheme = "coap"

    def __init__(self, manager: Any, *, max_peers: int) -> None:
        self._manager = manager
        self._max_peers = max_peers
        self._udp: asyncio.DatagramTransport | None = None
        self._remotes: dict[Address, Remote] = {}

    @property
    def port(self) -> int:
        """The UDP port in use."""
        return 0 if self._udp is None else int(self._udp.get_extra_info("sockname")[1])

    @property
    def peer_count(self) -> int:
        """Peers that are known at the moment."""
        return len(self._remotes)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio hands over the socket."""
        self._udp = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of an unconnected socket does not say whom it is about; timers will notice."""
        log.debug("UDP error: %s", exc)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram in the clear."""
        peer: Address = (str(addr[0]), int(addr[1]))
        remote = self._remotes.pop(peer, None) or Remote(self, peer, None)
        self._remotes[peer] = remote
        while len(self._remotes) > self._max_peers:
            self._close_remote(next(iter(self._remotes)), "too many peers")
        self._deliver(remote, data)

    def send(self, message: Message) -> None:
        """A message of aiocoap's; nothing when the peer is gone or this answer is to be swallowed."""
        remote = message.remote
        if not isinstance(remote, Remote) or (message.code.is_response() and message.token in remote.swallowed):
            return
        self._send_bytes(remote, message.encode())

    async def determine_remote(self, message: Message) -> None:
        """This end never asks, it only answers."""

    async def recognize_remote(self, remote: object) -> bool:
        """Whether a remote is ours."""
        return isinstance(remote, Remote) and remote.transport is self

    async def shutdown(self) -> None:
        """Close the socket."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None

    def forget(self, remote: Remote) -> None:
        """Lose a peer without telling it."""
        self._close_remote(remote.peer, "forgotten")

    def forget_everything(self) -> None:
        """Lose every peer without telling them."""
        for peer in list(self._remotes):
            self._close_remote(peer, "forgotten")

    def close_peers(self) -> None:
        """End all sessions politely."""
        self.forget_everything()

    def _send_bytes(self, remote: Remote, data: bytes) -> None:
        self._transmit(remote.peer, data)

    def _transmit(self, peer: Address, datagram: bytes) -> None:
        if self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(datagram, peer)

    def _deliver(self, remote: Remote, data: bytes) -> None:
        if len(data) >= 4 and data[0] & 0x0F > MAX_TOKEN_BYTES:
            return  # a message format error (RFC 7252 §3); aiocoap would read on
        try:
            message = Message.decode(data, remote)
        except (coap_error.UnparsableMessage, ValueError, IndexError) as error:
            log.debug("no CoAP from %s: %r", remote.hostinfo, error)
            return
        self._manager.dispatch_message(message)

    def _close_remote(self, peer: Address, reason: str) -> None:
        remote = self._remotes.pop(peer, None)
        if remote is not None:
            remote.session = None
            self._manager.dispatch_error(coap_error.NetworkError(reason), remote)


class DtlsTransport(CoapTransport):
    """CoAP over DTLS: the socket, the clock and the timer that ``DtlsServer`` does without."""

    scheme = "coaps"

    def __init__(self, manager: Any, dtls: DtlsServer | ConnectionIdServer) -> None:
        super().__init__(manager, max_peers=dtls.settings.max_peers)
        self.dtls = dtls
        self._by_session: dict[Session, Remote] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram for the DTLS server."""
        self._carry_out(self.dtls.receive(data, (str(addr[0]), int(addr[1])), self._loop.time()))

    async def shutdown(self) -> None:
        """Close timer and socket."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await super().shutdown()

    @property
    def peer_count(self) -> int:
        """Complete sessions."""
        return len(self._by_session)

    def forget(self, remote: Remote) -> None:
        """Lose a session without telling the peer; it can be resumed."""
        if remote.session is not None:
            self._carry_out(self.dtls.forget(remote.session, "forgotten on purpose"))

    def forget_everything(self) -> None:
        """Lose sessions, tickets and cookies, as a restart does."""
        self._carry_out(self.dtls.forget_everything())

    def close_peers(self) -> None:
        """close_notify to everybody."""
        self._carry_out(self.dtls.close_all("the server stops"))

    def _send_bytes(self, remote: Remote, data: bytes) -> None:
        if remote.session is not None:
            self._carry_out(self.dtls.send(remote.session, data, self._loop.time()))

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Transmit(peer, datagram):
                    self._transmit(peer, datagram)
                case Opened(session):
                    log.info(
                        "DTLS session with %s:%d (%s%s)",
                        *session.peer,
                        session.cipher,
                        ", resumed" if session.resumed else "",
                    )
                    self._by_session[session] = Remote(self, session.peer, session)
                case Received(session, data):
                    remote = self._by_session.get(session)
                    if remote is not None:
                        remote.peer = session.peer
                        self._deliver(remote, data)
                case Closed(session, reason):
                    remote = self._by_session.pop(session, None)
                    if remote is not None:
                        remote.session = None
                        self._manager.dispatch_error(coap_error.NetworkError(reason), remote)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_s = self.dtls.next_wake_s(self._loop.time())
        if wake_s is not None and self._udp is not None:
            self._timer = self._loop.call_at(wake_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self.dtls.tick(self._loop.time()))
