"""A DTLS 1.2 server with Connection IDs (RFC 9146): a client is found again from whatever address it sends.

The same face as ``DtlsServer``, on Mbed TLS instead of OpenSSL. A ClientHello without its cookie keeps nothing here;
the address of a session changes only when a newer record than all before proved itself under the Connection ID (§6).
Clients that want no Connection ID are served by their address. It asks for no client certificates, issues no tickets.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

from ipad_agent.lab.eim.errors import ServerError

from . import record_sorting
from .dtls_context import PSK_SUITES, DtlsSettings
from .dtls_sessions import Address, DtlsSessions, Opened, Output, Received, Session, Transmit
from .mbedtls_binding import CLOSED_BY_PEER, WOULD_BLOCK, ServerChannel, ServerConfiguration

log = logging.getLogger("ipad_agent.lab")

_WITH_CONNECTION_ID = 25  # the content type tls12_cid (RFC 9146 §4)


class IdentifiedSession(Session):
    """A session that may be known by a Connection ID as well as by its address."""

    __slots__ = ("addresses", "channel", "connection_id", "newest")

    def __init__(self, channel: ServerChannel, peer: Address, client_random: bytes, now_s: float) -> None:
        super().__init__(peer, client_random, now_s)
        self.channel: ServerChannel | None = channel
        self.connection_id = b""
        self.newest = -1
        """Epoch and number of the newest record that proved itself."""
        self.addresses = 1
        """How many addresses it has spoken from, one after the other."""


class ConnectionIdServer(DtlsSessions[IdentifiedSession]):
    """``receive`` what came, ``send`` what shall go, ``tick`` when ``next_wake_s`` has passed; each returns outputs."""

    def __init__(self, settings: DtlsSettings) -> None:
        if settings.client_certificate != "no":
            raise ServerError("a server with Connection IDs asks for no client certificate")
        super().__init__(settings)
        self._now_s = 0.0
        self._configuration = self._configure()
        self._by_connection_id: dict[bytes, IdentifiedSession] = {}

    def sessions(self) -> tuple[IdentifiedSession, ...]:
        """The complete sessions."""
        known = [*self._sessions.values(), *self._by_connection_id.values()]
        return tuple({id(one): one for one in known if one.established}.values())

    def receive(self, datagram: bytes, peer: Address, now_s: float) -> list[Output]:
        """A datagram from ``peer``. Garbage gives nothing; no input raises."""
        self._now_s = now_s
        outputs: list[Output] = []
        at = 0
        while at + record_sorting.HEADER_BYTES <= len(datagram):
            extra = self.settings.connection_id_bytes if datagram[at] == _WITH_CONNECTION_ID else 0
            header = record_sorting.HEADER_BYTES + extra
            end = at + header + int.from_bytes(datagram[at + header - 2 : at + header], "big")
            if end > len(datagram):
                break
            raw, at = datagram[at:end], end
            if extra:
                outputs += self._receive_identified(raw, raw[11 : 11 + extra], peer)
            else:
                for record in record_sorting.split(raw):
                    outputs += self._receive_record(record, peer)
        return outputs

    def send(self, session: Session, data: bytes, now_s: float) -> list[Output]:
        """``data`` as one record; nothing when the session is gone."""
        self._now_s = now_s
        if not isinstance(session, IdentifiedSession) or session.channel is None or not session.established:
            return []
        session.last_seen_s = now_s
        if session.channel.write(data) != len(data):
            return [*self._drain(session), *self._drop(session, "cannot send")]
        return list(self._drain(session))

    def tick(self, now_s: float) -> list[Output]:
        """Retransmit flights that are due, end handshakes that take too long and sessions that sleep."""
        self._now_s = now_s
        outputs: list[Output] = []
        for session in list(self._handshakes.values()):
            if now_s - session.last_seen_s >= self.settings.handshake_deadline_s:
                outputs += self._drop(session, "handshake took too long")
            else:
                outputs += self._advance(session)
        for session in self.sessions():
            if now_s >= self._expires_at_s(session):
                outputs += self.close(session, "idle")
        return outputs

    def next_wake_s(self, now_s: float) -> float | None:
        """When ``tick`` is due, None while there is nobody."""
        due = []
        for session in self._handshakes.values():
            due.append(session.last_seen_s + self.settings.handshake_deadline_s)
            if session.channel is not None and session.channel.due_at_s is not None:
                due.append(session.channel.due_at_s)
        due += [self._expires_at_s(session) for session in self.sessions()]
        return min(due, default=None)

    def close(self, session: Session, reason: str) -> list[Output]:
        """End a session politely, with close_notify."""
        outputs: list[Output] = []
        if isinstance(session, IdentifiedSession) and session.channel is not None and session.established:
            session.channel.say_goodbye()
            outputs += self._drain(session)
        return [*outputs, *self._drop(session, reason)]

    # -- inside ------------------------------------------------------------------------------------------------------

    def _configure(self) -> ServerConfiguration:
        settings = self.settings
        return ServerConfiguration(
            settings.identity,
            settings.psk,
            [*(settings.suites if settings.identity else ()), *(PSK_SUITES if settings.psk else ())],
            settings.groups,
            resumes=settings.resumption != "none",
            connection_id_bytes=settings.connection_id_bytes,
        )

    def _expires_at_s(self, session: IdentifiedSession) -> float:
        known_by_id = bool(session.connection_id)
        expiry_s = self.settings.connection_id_expiry_s if known_by_id else self.settings.idle_expiry_s
        return session.last_seen_s + expiry_s

    def _receive_identified(self, raw: bytes, connection_id: bytes, peer: Address) -> list[Output]:
        session = self._by_connection_id.get(connection_id)
        if session is None or session.channel is None:
            return []  # RFC 9146 §6: silently
        session.channel.incoming.append(raw)
        outputs = self._advance(session)
        number = int.from_bytes(raw[3:11], "big")
        proved = any(isinstance(output, Received) for output in outputs)
        if proved and number > session.newest:
            session.newest = number
            if peer != session.peer:
                self._move(session, peer)
        return outputs

    def _move(self, session: IdentifiedSession, peer: Address) -> None:
        log.info("DTLS session %s goes on from %s:%d", session.connection_id.hex(), *peer[:2])
        if self._sessions.get(session.peer) is session:
            del self._sessions[session.peer]
        session.peer = peer
        session.addresses += 1
        self._sessions[peer] = session

    def _receive_record(self, record: record_sorting.Record, peer: Address) -> list[Output]:
        current = self._handshakes.get(peer) or self._sessions.get(peer)
        hello = record.hello
        if hello is not None and hello.random and (current is None or hello.random != current.client_random):
            return self._welcome(record, hello.random, peer)
        outputs: list[Output] = []
        handshake, session = self._handshakes.get(peer), self._sessions.get(peer)
        if handshake is not None:
            outputs += self._feed(handshake, record)
        elif session is not None:
            outputs += self._feed(session, record)
        return outputs

    def _welcome(self, record: record_sorting.Record, client_random: bytes, peer: Address) -> list[Output]:
        connection_id = secrets.token_bytes(self.settings.connection_id_bytes)
        channel = ServerChannel(
            self._configuration, repr(peer), connection_id, self.settings.mtu_bytes, lambda: self._now_s
        )
        session = IdentifiedSession(channel, peer, client_random, self._now_s)
        session.connection_id = connection_id
        channel.incoming.append(record.raw)
        code = channel.handshake()
        outputs: list[Output] = list(self._drain(session))
        if code not in WOULD_BLOCK:  # mostly HelloVerifyRequest, which was said; the client comes again with its cookie
            channel.free()
            return outputs
        outputs += self._admit(session)
        self._by_connection_id[connection_id] = session  # the client's Finished already bears it
        return outputs

    def _feed(self, session: IdentifiedSession, record: record_sorting.Record) -> list[Output]:
        if session.channel is None:
            return []
        session.channel.incoming.append(record.raw)
        return self._advance(session)

    def _advance(self, session: IdentifiedSession) -> list[Output]:
        outputs: list[Output] = []
        channel = session.channel
        if channel is None:
            return outputs
        if not session.established:
            code = channel.handshake()
            outputs += self._drain(session)
            if code in WOULD_BLOCK:
                return outputs
            if code != 0:
                return [*outputs, *self._drop(session, f"handshake failed: {code:#x}")]
            outputs += self._establish(session, channel)
        while True:
            data = channel.read()
            if isinstance(data, bytes):
                session.last_seen_s = self._now_s
                outputs.append(Received(session, data))
            elif data in WOULD_BLOCK:
                return [*outputs, *self._drain(session)]
            elif data in (0, CLOSED_BY_PEER):
                return [*outputs, *self.close(session, "the client closed")]
            else:
                return [*outputs, *self._drain(session), *self._drop(session, f"session failed: {data:#x}")]

    def _establish(self, session: IdentifiedSession, channel: ServerChannel) -> list[Output]:
        outputs = self._complete(session, self._now_s)
        session.cipher = channel.cipher
        if not channel.uses_connection_id:
            del self._by_connection_id[session.connection_id]
            session.connection_id = b""
        return [*outputs, Opened(session)]

    @staticmethod
    def _drain(session: IdentifiedSession) -> Iterator[Transmit]:
        channel = session.channel
        if channel is not None:
            datagrams, channel.outgoing = channel.outgoing, []
            for datagram in datagrams:
                yield Transmit(session.peer, datagram)

    def _drop(self, session: Session, reason: str) -> list[Output]:
        if not isinstance(session, IdentifiedSession) or session.channel is None:
            return []
        session.channel.free()
        session.channel = None
        if self._by_connection_id.get(session.connection_id) is session:
            del self._by_connection_id[session.connection_id]
        return self._removed(session, reason)

    def _renew(self) -> None:
        self._configuration.free()
        self._configuration = self._configure()
