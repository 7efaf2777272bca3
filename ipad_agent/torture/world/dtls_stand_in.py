"""What stands in for DTLS: sessions, tickets and the server's certificate, without cryptography and without a clock.

OpenSSL retransmits by the wall clock, so real DTLS cannot live in virtual time. This keeps what matters to those above
and below: a handshake that can be lost and is repeated, a certificate that the carrier judges after every handshake,
a session that is bound to the address it came from, resumption, and a server that has forgotten everything and says
nothing.

Wire: a kind byte, then ``HELLO`` nonce(8) ticket(8), ``WELCOME`` nonce(8) session(8) ticket(8) resumed(1) certificate,
``DATA`` session(8) payload, ``BYE`` session(8).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from ipad_agent.errors import IpadError
from ipad_agent.net.dtls.dtls_backend import DtlsEvent, DtlsSettings, Ended, Established, Judge, Received
from ipad_agent.net.errors import HandshakeFailed, Unreachable
from ipad_agent.records import dataclass, field

_HELLO, _WELCOME, _DATA, _BYE = b"\x16", b"\x17", b"\x18", b"\x19"
_NO_TICKET: Final = bytes(8)

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Remembered:
    fingerprint: str
    ticket: bytes
    certificate: bytes


class StandInBackend:
    """Implements ``DtlsBackend``."""

    def __init__(self) -> None:
        self._remembered: dict[str, _Remembered] = {}
        self._nonces = itertools.count(1)

    def client(self, settings: DtlsSettings, judge: Judge) -> StandInClient:
        nonce = next(self._nonces).to_bytes(8, "big")
        return StandInClient(settings, judge, nonce, self._session(settings), self._keep)

    def has_session(self, settings: DtlsSettings) -> bool:
        return self._session(settings) is not None

    def widen(self, settings: DtlsSettings) -> bool:
        return False

    def forget(self, association: str) -> None:
        self._remembered.pop(association, None)

    def _session(self, settings: DtlsSettings) -> _Remembered | None:
        found = self._remembered.get(settings.association)
        return found if found is not None and found.fingerprint == settings.fingerprint else None

    def _keep(self, association: str, session: _Remembered | None) -> None:
        if session is None:
            self._remembered.pop(association, None)
        else:
            self._remembered[association] = session


class StandInClient:
    """Implements ``DtlsClient``."""

    def __init__(
        self,
        settings: DtlsSettings,
        judge: Judge,
        nonce: bytes,
        session: _Remembered | None,
        keep: Callable[[str, _Remembered | None], None],
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._nonce = nonce
        self._resumable = session
        self._keep = keep
        self._out: list[bytes] = []
        self._session: bytes | None = None
        self._over = False
        self._give_up_at = 0.0
        self._again_at = 0.0
        self._wait_s = settings.flight_timeout_s
        self.retransmissions = 0

    def start(self, now_s: float) -> list[DtlsEvent]:
        self._give_up_at = now_s + self._settings.handshake_timeout_s
        self._again_at = now_s + self._wait_s
        self._hello()
        return []

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        kind, body = datagram[:1], datagram[1:]
        if self._over:
            return []
        if kind == _WELCOME and self._session is None and body[:8] == self._nonce:
            return self._welcome(body[8:16], body[16:24], body[24:25] == b"\x01", body[25:])
        if self._session is None or body[:8] != self._session:
            return []
        if kind == _DATA:
            return [Received(body[8:])]
        if kind == _BYE:
            self._over = True
            return [Ended(None)]
        return []

    def take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def send(self, data: bytes) -> None:
        if self._session is None or self._over:
            raise HandshakeFailed("there is no established session to send on")
        self._out.append(_DATA + self._session + data)

    def timeout_at(self) -> float | None:
        if self._session is not None or self._over:
            return None
        return min(self._give_up_at, self._again_at)

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        if self._session is not None or self._over:
            return []
        if now_s >= self._give_up_at:
            return self._end(Unreachable("the server did not answer the handshake"))
        if now_s >= self._again_at:
            self.retransmissions += 1
            self._wait_s *= 2
            self._again_at = now_s + self._wait_s
            self._hello()
        return []

    def close(self) -> None:
        if self._session is not None and not self._over:
            self._out.append(_BYE + self._session)
        self._over = True

    def _hello(self) -> None:
        ticket = _NO_TICKET if self._resumable is None else self._resumable.ticket
        self._out.append(_HELLO + self._nonce + ticket)

    def _welcome(self, session: bytes, ticket: bytes, resumed: bool, certificate: bytes) -> list[DtlsEvent]:
        settings = self._settings
        if resumed:
            if self._resumable is None:
                return self._end(HandshakeFailed("the server resumes what was never begun"))
            certificate = self._resumable.certificate
        try:
            verdict = self._judge([certificate])
        except IpadError as error:
            self._keep(settings.association, None)
            return self._end(error)
        self._session = session
        self._keep(settings.association, _Remembered(settings.fingerprint, ticket, certificate))
        return [Established(resumed, "no cipher at all", verdict)]

    def _end(self, error: IpadError) -> list[DtlsEvent]:
        self._over = True
        return [Ended(error)]


@dataclass(slots=True)
class StandInServer:
    """The server's side, in front of one CoAP server. ``impostor`` says that whoever answers is not the eIM."""

    certificate: bytes
    foreign_certificate: bytes = b""
    impostor: bool = False
    on_betrayal: Callable[[], None] = lambda: None
    """Data arrived at an impostor."""
    on_forget: Callable[[], None] = lambda: None
    """Sessions are gone, and with them whatever else hangs on the server's life."""
    _sessions: dict[Peer, tuple[bytes, bytes]] = field(default_factory=dict)
    _tickets: set[bytes] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def receive(self, datagram: bytes, peer: Peer) -> tuple[bytes | None, bytes | None]:
        """What to answer at once, and what to hand to the CoAP server."""
        kind, body = datagram[:1], datagram[1:]
        if kind == _HELLO:
            return self._hello(body[:8], body[8:16], peer), None
        known = self._sessions.get(peer)
        if known is None or known[1] != body[:8]:
            return None, None
        if kind == _BYE:
            del self._sessions[peer]
            return None, None
        if self.impostor:
            self.on_betrayal()
            return None, None
        return None, body[8:]

    def send(self, data: bytes, peer: Peer) -> bytes | None:
        """What goes out for a message to this peer; None when there is no session with it."""
        known = self._sessions.get(peer)
        return None if known is None or self.impostor else _DATA + known[1] + data

    def forget(self) -> None:
        """Sessions and tickets are gone, as after a restart; nobody is told."""
        self._sessions.clear()
        self._tickets.clear()
        self.on_forget()

    def _hello(self, nonce: bytes, ticket: bytes, peer: Peer) -> bytes:
        resumed = ticket in self._tickets and not self.impostor
        known = self._sessions.get(peer)
        if known is None or known[0] != nonce:
            known = self._sessions[peer] = nonce, next(self._numbers).to_bytes(8, "big")
        new = known[1] if not resumed else ticket
        self._tickets.add(new)
        certificate = b"" if resumed else self.foreign_certificate if self.impostor else self.certificate
        return _WELCOME + nonce + known[1] + new + (b"\x01" if resumed else b"\x00") + certificate
