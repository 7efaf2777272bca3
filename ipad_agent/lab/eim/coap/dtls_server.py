"""A DTLS 1.2 server for many peers without sockets or clock: datagrams in, datagrams and plaintext out.

The first ClientHello of an address is answered without keeping anything (cookie, RFC 6347 §4.2.1), so a flood of
half-open handshakes costs nothing; only an address that returned its cookie gets a place. A client that comes back
from the same address with a new handshake (§4.2.8) does not lose its old session before the new one is complete.

OpenSSL's retransmission timer reads the machine's clock; the deadlines of this module use the caller's ``now_s``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

from cryptography import x509
from OpenSSL import SSL
from OpenSSL._util import lib as _lib

from . import record_sorting
from .dtls_context import DtlsSettings, make_context
from .dtls_sessions import Address, DtlsSessions, Opened, Output, Received, Session, Transmit
from .openssl_binding import flight_due_s, repeat_flight
from .record_sorting import Hello, Record

log = logging.getLogger("ipad_agent.lab")

_READ_BYTES = 1 << 16


class OpensslSession(Session):
    """``connection`` is None once it is gone."""

    __slots__ = ("connection",)

    def __init__(self, connection: SSL.Connection, peer: Address, client_random: bytes, now_s: float) -> None:
        super().__init__(peer, client_random, now_s)
        self.connection: SSL.Connection | None = connection

    def client_certificate(self) -> x509.Certificate | None:
        """The certificate the client showed in this or, if resumed, in the first handshake."""
        if self.connection is None:
            return None
        shown = self.connection.get_peer_certificate()
        return None if shown is None else shown.to_cryptography()


class DtlsServer(DtlsSessions[OpensslSession]):
    """``receive`` what came, ``send`` what shall go, ``tick`` when ``next_wake_s`` has passed; each returns outputs."""

    def __init__(self, settings: DtlsSettings) -> None:
        super().__init__(settings)
        self._context = make_context(settings, secrets.token_bytes(32))

    def receive(self, datagram: bytes, peer: Address, now_s: float) -> list[Output]:
        """A datagram from ``peer``. Garbage gives nothing; no input raises."""
        outputs: list[Output] = []
        for record in record_sorting.split(datagram):
            outputs += self._receive_record(record, peer, now_s)
        return outputs

    def send(self, session: Session, data: bytes, now_s: float) -> list[Output]:
        """``data`` as one record; nothing when the session is gone."""
        if not isinstance(session, OpensslSession) or session.connection is None or not session.established:
            return []
        session.last_seen_s = now_s
        try:
            session.connection.send(data)
        except SSL.Error as error:
            return [*self._drain(session), *self._drop(session, f"cannot send: {error}")]
        return list(self._drain(session))

    def tick(self, now_s: float) -> list[Output]:
        """Retransmit flights that are due, end handshakes that take too long and sessions that sleep."""
        outputs: list[Output] = []
        for session in list(self._handshakes.values()):
            if now_s - session.last_seen_s >= self.settings.handshake_deadline_s:
                outputs += self._drop(session, "handshake took too long")
                continue
            connection = session.connection
            if connection is None:
                continue
            try:
                repeat_flight(connection)
            except SSL.Error as error:
                outputs += self._drop(session, f"handshake retransmissions exhausted: {error}")
                continue
            outputs += self._drain(session)
        for session in list(self._sessions.values()):
            if now_s - session.last_seen_s >= self.settings.idle_expiry_s:
                outputs += self.close(session, "idle")
        return outputs

    def next_wake_s(self, now_s: float) -> float | None:
        """When ``tick`` is due, None while there is nobody."""
        due = []
        for session in self._handshakes.values():
            due.append(session.last_seen_s + self.settings.handshake_deadline_s)
            timeout = None if session.connection is None else flight_due_s(session.connection)
            if timeout is not None:
                due.append(now_s + timeout)
        due += [session.last_seen_s + self.settings.idle_expiry_s for session in self._sessions.values()]
        return min(due, default=None)

    def close(self, session: Session, reason: str) -> list[Output]:
        """End a session politely, with close_notify."""
        outputs: list[Output] = []
        if isinstance(session, OpensslSession) and session.connection is not None and session.established:
            try:
                session.connection.shutdown()
            except SSL.Error as error:
                log.debug("close_notify to %s failed: %s", session.peer, error)
            outputs += self._drain(session)
        return [*outputs, *self._drop(session, reason)]

    def _receive_record(self, record: Record, peer: Address, now_s: float) -> list[Output]:
        current = self._handshakes.get(peer) or self._sessions.get(peer)
        hello = record.hello
        if hello is not None and (current is None or self._is_newcomer(hello, current)):
            return self._welcome(record, hello, peer, now_s)
        outputs: list[Output] = []
        handshake = self._handshakes.get(peer)
        if handshake is not None:
            outputs += self._feed(handshake, record, now_s)
        session = self._sessions.get(peer)
        # While a new handshake runs, protected records may still belong to the old session.
        if session is not None and session is not handshake and (record.epoch > 0 or handshake is None):
            outputs += self._feed(session, record, now_s)
        return outputs

    @staticmethod
    def _is_newcomer(hello: Hello, current: Session) -> bool:
        return bool(hello.random) and hello.random != current.client_random

    def _welcome(self, record: Record, hello: Hello, peer: Address, now_s: float) -> list[Output]:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(peer)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(self.settings.mtu_bytes)
        session = OpensslSession(connection, peer, hello.random, now_s)
        if not hello.whole:
            # A hello in fragments cannot be answered statelessly; it pays with a place and still needs its cookie.
            return [*self._admit(session), *self._feed(session, record, now_s)] if hello.random else []
        connection.bio_write(record.raw)
        try:
            connection.DTLSv1_listen()
        except SSL.WantReadError:
            return list(self._drain(session))  # HelloVerifyRequest; the connection is thrown away
        except SSL.Error as error:
            log.debug("a ClientHello of %s was no use: %s", peer, error)
            return []
        outputs = [*self._admit(session), *self._advance(session, now_s)]
        if session.connection is not None and not any(isinstance(output, Transmit) for output in outputs):
            # Some OpenSSL releases take the hello out of a memory BIO while listening and want it again.
            outputs += self._feed(session, record, now_s)
        return outputs

    def _feed(self, session: OpensslSession, record: Record, now_s: float) -> list[Output]:
        if session.connection is None:
            return []
        session.connection.bio_write(record.raw)
        return self._advance(session, now_s)

    def _advance(self, session: OpensslSession, now_s: float) -> list[Output]:
        outputs: list[Output] = []
        connection = session.connection
        if connection is None:
            return outputs
        try:
            if not session.established:
                connection.do_handshake()
                outputs += self._drain(session)
                outputs += self._establish(session, now_s)
            while True:
                data = connection.recv(_READ_BYTES)
                session.last_seen_s = now_s
                outputs.append(Received(session, data))
        except SSL.WantReadError:
            outputs += self._drain(session)
        except SSL.ZeroReturnError:
            outputs += self.close(session, "the client closed")
        except SSL.Error as error:
            outputs += self._drain(session)
            outputs += self._drop(session, f"{'session' if session.established else 'handshake'} failed: {error}")
        return outputs

    def _establish(self, session: OpensslSession, now_s: float) -> list[Output]:
        outputs = self._complete(session, now_s)
        connection = session.connection
        if connection is not None:
            session.cipher = connection.get_cipher_name() or ""
            session.resumed = _was_resumed(connection)
            session.group = _group_name(connection)
        return [*outputs, Opened(session)]

    def _drain(self, session: OpensslSession) -> Iterator[Transmit]:
        stream = b""
        while session.connection is not None:
            try:
                stream += session.connection.bio_read(_READ_BYTES)
            except SSL.WantReadError:
                break
        for datagram in record_sorting.pack(stream, self.settings.mtu_bytes):
            yield Transmit(session.peer, datagram)

    def _drop(self, session: Session, reason: str) -> list[Output]:
        if not isinstance(session, OpensslSession) or session.connection is None:
            return []
        if session.established:
            # Without this OpenSSL takes a session that ended without close_notify out of its cache.
            session.connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        session.connection = None
        return self._removed(session, reason)

    def _renew(self) -> None:
        self._context = make_context(self.settings, secrets.token_bytes(32))


def _was_resumed(connection: SSL.Connection) -> bool:
    query = getattr(_lib, "SSL_session_reused", None)
    return bool(query(connection._ssl)) if query is not None else False


def _group_name(connection: SSL.Connection) -> str:
    try:
        return connection.get_group_name() or ""
    except (AttributeError, NotImplementedError):  # not in releases before 25
        return ""
