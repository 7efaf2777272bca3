"""The seam to whatever speaks DTLS: datagrams and the time go in, datagrams, events and the next deadline come out.

Nothing behind it is visible to the rest of the room, so that another backend (one with Connection IDs, RFC 9146)
can take its place.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

from ipad_agent.errors import IpadError
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.records import dataclass, field

DEFAULT_GROUPS = "P-256:brainpoolP256r1:P-384:brainpoolP384r1:X25519"

Judge = Callable[[Sequence[bytes]], Verdict]
"""Called with the server's certificates (DER, its own first) after every handshake; raises ``TrustRefused``."""


@dataclass(frozen=True, slots=True)
class Psk:
    """A pre-shared key (RFC 4279); never shown."""

    identity: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Psk):
            return NotImplemented
        return hmac.compare_digest(self.identity, other.identity) and hmac.compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        return hash((self.identity, self.key))


@dataclass(frozen=True, slots=True)
class DtlsSettings:
    """How to shake hands.

    ``association`` and ``fingerprint`` name whose session this is (eIM, trust): a session is only ever resumed
    for the same pair. ``flight_timeout_s`` is the first wait for an answer to a flight, doubled each time
    (RFC 6347 §4.2.4.1; RFC 7925 §11 advises 9 s for NB-IoT); the OpenSSL backend takes 1 s or more.
    ``client_certificate`` is shown to a server that asks for one. With ``lean`` no more is offered than a server with a
    key on ``pinned_curve`` (or with the pre-shared key) needs, until ``widen`` is called. Without ``close_notify``
    sessions end without a word, as long as the server keeps them all the same.
    """

    association: str
    fingerprint: str
    server_name: str | None = None
    psk: Psk | None = None
    groups: str = DEFAULT_GROUPS
    mtu_bytes: int = 1200
    handshake_timeout_s: float = 60.0
    flight_timeout_s: float = 1.0
    session_lifetime_s: float = 30 * 86400.0
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    lean: bool = False
    pinned_curve: str | None = None
    close_notify: bool = True


@dataclass(frozen=True, slots=True)
class Established:
    """The handshake is complete and the server is trusted; application data may flow from now on.

    With a ``connection_id`` (RFC 9146) the session outlives its address and this process: ``close`` says nothing to the
    server, and the next client goes on with it. ``continued``: this one does, without any handshake, so that nobody
    knows yet whether the server is there."""

    resumed: bool
    cipher: str
    verdict: Verdict
    connection_id: bool = False
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One datagram's application data."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over. ``error`` says why; None after a close_notify of the server."""

    error: IpadError | None


DtlsEvent = Established | Received | Ended


class DtlsClient(Protocol):
    """One DTLS session, client side. ``now_s`` is any monotonic clock; every call may make datagrams to ``take``."""

    def start(self, now_s: float) -> list[DtlsEvent]:
        """Send the first flight."""

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        """Process one datagram from the server; garbage is dropped silently (RFC 6347 §4.1.2.7)."""

    def take(self) -> list[bytes]:
        """The datagrams to send now."""

    def send(self, data: bytes) -> None:
        """Protect one datagram of application data. Raises ``HandshakeFailed`` unless the session is established."""

    def timeout_at(self) -> float | None:
        """When ``handle_timeout`` wants to be called, in the caller's clock; None means not at all."""

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        """Retransmit what is due, or give up at the handshake's deadline."""

    def close(self) -> None:
        """Say close_notify if a session stands; take what ``take`` gives and forget the client."""

    @property
    def retransmissions(self) -> int:
        """Handshake flights sent again so far."""


class DtlsBackend(Protocol):
    """Makes clients and remembers sessions between them."""

    def client(self, settings: DtlsSettings, judge: Judge) -> DtlsClient:
        """A client for one session. Raises ``BackendLacks`` when the settings ask for what the library cannot do."""

    def has_session(self, settings: DtlsSettings) -> bool:
        """Whether a new client would try to resume."""

    def widen(self, settings: DtlsSettings) -> bool:
        """The server refused what was offered. Whether there is more to offer, which the next client then does; when
        that is refused too, it had another reason, and the next one begins anew."""

    def forget(self, association: str) -> None:
        """Drop what is remembered for one association, e.g. because its pin changed."""
