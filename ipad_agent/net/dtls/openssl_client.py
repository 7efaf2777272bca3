"""One DTLS session of the OpenSSL backend, without sockets or clocks of its own."""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL, crypto

from ipad_agent.errors import IpadError
from ipad_agent.net.errors import (
    BackendLacks,
    HandshakeFailed,
    ProtocolViolation,
    TrustRefused,
)
from ipad_agent.net.older_pyopenssl import flight_timeout_s, send_flight_again
from ipad_agent.net.openssl_context import Heard, session_reused, to_send, words
from ipad_agent.records import dataclass

from . import dtls_records, handshake_outcomes
from .dtls_backend import DtlsEvent, DtlsSettings, Ended, Established, Judge, Received
from .handshake_outcomes import SessionStage

_BUFFER_BYTES = 65536  # above the largest record, so that a datagram is read in one piece
_OPENSSL_FIRST_TIMER_S = 1.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A session that may be resumed, and the certificates that the server showed in it."""

    session: SSL.Session
    chain: tuple[bytes, ...]
    resumed: bool


class OpenSslClient:
    """Implements ``DtlsClient``. ``keep`` stores the session for later, or None to forget it."""

    def __init__(
        self,
        connection: SSL.Connection,
        settings: DtlsSettings,
        judge: Judge,
        *,
        session: SSL.Session | None,
        keep: Callable[[Kept | None], None],
        chain: tuple[bytes, ...] = (),
        says_goodbye: Callable[[], bool] = lambda: True,
    ) -> None:
        """``chain`` is what the server showed when ``session`` was made, for one that came from another process;
        ``says_goodbye`` tells whether a session that stands ends with a close_notify."""
        self._connection = connection
        self._settings = settings
        self._judge = judge
        self._keep = keep
        self._chain = chain
        self._says_goodbye = says_goodbye
        self._state = SessionStage.NEW
        self._out: list[bytes] = []
        self._give_up_at = 0.0
        self._flight_at: float | None = None
        self._heard = False
        self._told = Heard()
        self.retransmissions = 0
        connection.set_ciphertext_mtu(settings.mtu_bytes)
        if settings.server_name is not None:
            connection.set_tlsext_host_name(settings.server_name.encode("ascii"))
        if session is not None:
            connection.set_session(session)
        connection.set_app_data(self._told)
        connection.set_connect_state()

    def start(self, now_s: float) -> list[DtlsEvent]:
        self._state = SessionStage.HANDSHAKING
        self._give_up_at = now_s + self._settings.handshake_timeout_s
        return self._advance(now_s)

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        if not datagram or self._state in (SessionStage.NEW, SessionStage.OVER):
            return []
        self._heard = True
        self._connection.bio_write(datagram)
        return self._advance(now_s)

    def take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def send(self, data: bytes) -> None:
        if self._state is not SessionStage.ESTABLISHED:
            raise HandshakeFailed("there is no established session to send on")
        try:
            self._connection.send(data)
        except SSL.Error as error:
            raise HandshakeFailed(f"the session can send no more: {words(error)}") from None
        self._drain()

    def timeout_at(self) -> float | None:
        if self._state is SessionStage.HANDSHAKING:
            return self._give_up_at if self._flight_at is None else min(self._give_up_at, self._flight_at)
        return self._flight_at if self._state is SessionStage.ESTABLISHED else None

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        if self._state is SessionStage.HANDSHAKING and now_s >= self._give_up_at:
            return self._over(handshake_outcomes.too_late(self._settings, heard=self._heard, asked=self._told.asked))
        if self._flight_at is None or now_s < self._flight_at or self._state is SessionStage.OVER:
            return []
        try:
            send_flight_again(self._connection)
        except SSL.Error as error:
            return self._over(self._failure(error))
        if self._drain():
            self.retransmissions += 1
        self._set_timer(now_s)
        return []

    def close(self) -> None:
        if self._state is SessionStage.ESTABLISHED:
            if self._says_goodbye():
                self._say_goodbye()
            else:  # without this OpenSSL takes the session for broken off, and it could not be resumed
                self._connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        self._finish()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _advance(self, now_s: float) -> list[DtlsEvent]:
        events: list[DtlsEvent] = []
        try:
            if self._state is SessionStage.HANDSHAKING:
                self._connection.do_handshake()
                events.append(self._establish())
            while True:
                events.append(Received(self._connection.recv(_BUFFER_BYTES)))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            return events + self._over(None)
        except SSL.Error as error:
            return events + self._over(self._failure(error))
        except (TrustRefused, BackendLacks) as error:
            self._keep(None)
            self._say_goodbye()
            return [*events, *self._over(error)]
        if self._drain():
            self._flight_at = None
        self._set_timer(now_s)
        return events

    def _establish(self) -> Established:
        """The handshake is complete: only a trusting verdict makes the session usable."""
        resumed = session_reused(self._connection)
        cipher = self._connection.get_cipher_name() or "?"
        chain = self._shown(resumed=resumed)
        verdict = handshake_outcomes.verdict(self._settings, self._judge, cipher, chain)
        self._state = SessionStage.ESTABLISHED
        session = self._connection.get_session()
        self._keep(None if session is None else Kept(session, tuple(chain), resumed))
        return Established(resumed, cipher, verdict)

    def _shown(self, *, resumed: bool) -> list[bytes]:
        """The server's certificates, its own first. As bytes: only chain.py parses what it sent, and catches what that
        can raise."""
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return []
        first, chain = _der(leaf), [_der(shown) for shown in self._connection.get_peer_cert_chain() or ()]
        if not chain and resumed and self._chain[:1] == (first,):
            return list(self._chain)  # a session keeps its leaf only, when it is written down
        return chain if chain[:1] == [first] else [first, *chain]

    def _failure(self, error: SSL.Error) -> IpadError:
        if self._told.alert is not None:
            established = self._state is SessionStage.ESTABLISHED
            return handshake_outcomes.ended_by_alert(
                self._settings, self._told.alert, asked=self._told.asked, established=established
            )
        return HandshakeFailed(f"the DTLS session failed: {words(error)}")

    def _over(self, error: IpadError | None) -> list[DtlsEvent]:
        self._drain()
        self._finish()
        return [Ended(error)]

    def _say_goodbye(self) -> None:
        try:
            self._connection.shutdown()
        except SSL.Error:
            return  # OpenSSL refuses close_notify in the middle of a handshake; silence is then the only way
        self._drain()

    def _finish(self) -> None:
        self._state = SessionStage.OVER
        self._flight_at = None
        self._connection.set_app_data(None)

    def _drain(self) -> bool:
        stream = to_send(self._connection)
        try:
            self._out += dtls_records.pack(dtls_records.split(stream), self._settings.mtu_bytes)
        except ProtocolViolation as error:  # cannot come from outside: OpenSSL wrote these bytes
            raise BackendLacks(f"the TLS library made no DTLS records: {error}") from None
        return bool(stream)

    def _set_timer(self, now_s: float) -> None:
        """OpenSSL runs 1, 2, 4 ... 60 s; ours is that times the configured first wait, never earlier."""
        left_s = flight_timeout_s(self._connection)
        if left_s is None:
            self._flight_at = None
        elif self._flight_at is None or self._flight_at <= now_s:
            factor = max(1.0, self._settings.flight_timeout_s / _OPENSSL_FIRST_TIMER_S)
            self._flight_at = now_s + max(left_s, 0.001) * factor


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
