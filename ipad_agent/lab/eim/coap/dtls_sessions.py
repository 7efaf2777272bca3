"""What a DTLS server knows of its clients, whatever library it has: who is there, who goes to make room, what is told.

A handshake gets a place once its cookie came back, so that a flood of hellos costs nothing.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .dtls_context import DtlsSettings

log = logging.getLogger("ipad_agent.lab")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this datagram to that address."""

    peer: Address
    datagram: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake is complete."""

    session: Session


@dataclass(frozen=True, slots=True)
class Received:
    """Plaintext of one record."""

    session: Session
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is gone; nothing can be sent on it any more."""

    session: Session
    reason: str


Output = Transmit | Opened | Received | Closed


class Session:
    """One handshake and what follows from it. Compared by identity: a resumed session is another object."""

    __slots__ = ("cipher", "client_random", "established", "group", "last_seen_s", "peer", "resumed")

    def __init__(self, peer: Address, client_random: bytes, now_s: float) -> None:
        self.peer = peer
        self.client_random = client_random
        self.last_seen_s = now_s
        self.established = False
        self.resumed = False
        self.cipher = ""
        self.group = ""

    def client_certificate(self) -> x509.Certificate | None:
        """The certificate the client showed; None where the server asked for none."""
        return None

    def client_certificate_der(self) -> bytes | None:
        """The same as DER."""
        certificate = self.client_certificate()
        return None if certificate is None else certificate.public_bytes(serialization.Encoding.DER)


AnySession = TypeVar("AnySession", bound=Session)


class DtlsSessions(ABC, Generic[AnySession]):
    """The sessions of one server. Everything that ends some returns what is to be sent and told."""

    def __init__(self, settings: DtlsSettings) -> None:
        self.settings = settings
        self._sessions: dict[Address, AnySession] = {}  # established
        self._handshakes: dict[Address, AnySession] = {}  # cookie returned, not complete

    @property
    def established_count(self) -> int:
        """Complete sessions."""
        return len(self.sessions())

    @property
    def half_open_count(self) -> int:
        """Handshakes that hold a place."""
        return len(self._handshakes)

    def sessions(self) -> tuple[AnySession, ...]:
        """The complete sessions."""
        return tuple(self._sessions.values())

    @abstractmethod
    def close(self, session: Session, reason: str) -> list[Output]:
        """End a session politely, with close_notify."""

    def close_all(self, reason: str) -> list[Output]:
        """End every session politely."""
        outputs: list[Output] = []
        for session in [*self._handshakes.values(), *self.sessions()]:
            outputs += self.close(session, reason)
        return outputs

    def forget(self, session: Session, reason: str) -> list[Output]:
        """Drop a session without a word, as a crash or a lost NAT entry would. It stays resumable."""
        return self._drop(session, reason)

    def forget_everything(self) -> list[Output]:
        """What a restart does: no session, no cookie, no ticket of before is known any more; nobody is told."""
        outputs: list[Output] = []
        for session in [*self._handshakes.values(), *self.sessions()]:
            outputs += self._drop(session, "the server restarted")
        self._renew()
        return outputs

    @abstractmethod
    def _drop(self, session: Session, reason: str) -> list[Output]:
        """Without a word; nothing when it is gone already."""

    @abstractmethod
    def _renew(self) -> None:
        """New secrets for cookies and tickets."""

    def _admit(self, session: AnySession) -> list[Output]:
        """Its handshake gets a place, at the cost of one before it from the same address, or of the oldest."""
        outputs: list[Output] = []
        before = self._handshakes.get(session.peer)
        if before is not None:
            outputs += self._drop(before, "a new handshake began")
        while len(self._handshakes) >= self.settings.max_half_open:
            oldest = min(self._handshakes.values(), key=lambda other: other.last_seen_s)
            outputs += self._drop(oldest, "too many half-open handshakes")
        self._handshakes[session.peer] = session
        return outputs

    def _complete(self, session: AnySession, now_s: float) -> list[Output]:
        """Its handshake is over: it takes the place of the session of that address, or of the sleepiest."""
        outputs: list[Output] = []
        self._handshakes.pop(session.peer, None)
        before = self._sessions.get(session.peer)
        if before is not None:
            outputs += self._drop(before, "the client began a new session")
        while self.established_count >= self.settings.max_peers:
            sleepiest = min(self.sessions(), key=lambda other: other.last_seen_s)
            outputs += self.close(sleepiest, "too many peers")
        session.established = True
        session.last_seen_s = now_s
        self._sessions[session.peer] = session
        return outputs

    def _removed(self, session: Session, reason: str) -> list[Output]:
        for table in (self._handshakes, self._sessions):
            if table.get(session.peer) is session:
                del table[session.peer]
        log.debug("DTLS peer %s:%d: %s", *session.peer[:2], reason)
        return [Closed(session, reason)]
