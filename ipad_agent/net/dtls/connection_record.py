"""What is remembered of one eIM's connection with Mbed TLS, as plain data for a file of the runtime folder.

As secret as a session, and kept in the same place (docs/decisions/32). The connection itself is not in it: that may be
used only once, and a document has a backup. ``ConnectionShelf`` gives it away and keeps no copy. After a crash while it
was in use it is gone, and the session is resumed; two records under one nonce would be worse.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from ipad_agent.records import dataclass, field

from .dtls_backend import DtlsSettings

_MOST_BYTES: Final = 32768
_MOST_CERTIFICATES: Final = 10
_DIGEST_BYTES: Final = 32


class ConnectionShelf(Protocol):
    """Where connections are kept while nobody uses them; nothing here ever raises for want of a disk."""

    def put(self, name: str, content: bytes) -> None:
        """Keep it, in place of what was kept under this name."""

    def take(self, name: str) -> bytes | None:
        """What was kept, and now nowhere any more: not on a disk either, or it is not given."""


class ShelfInMemory:
    """Implements ``ConnectionShelf`` for one process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, name: str, content: bytes) -> None:
        self._kept[name] = content

    def take(self, name: str) -> bytes | None:
        return self._kept.pop(name, None)


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """``fingerprint`` and ``groups`` say under which trust and policy it was made, ``lean`` what is offered to this
    server, ``wanted`` whether it wants a Connection ID (None: not known yet), ``release`` of which library the rest is.
    ``set_aside`` tells that a connection is on the shelf, ``doubtful`` that its server did not answer when it was last
    used. ``session`` can be resumed by a handshake; ``chain`` is what the server showed."""

    fingerprint: str
    groups: str
    lean: bool
    wanted: bool | None
    until_s: float
    release: str = ""
    session: bytes | None = field(default=None, repr=False)
    set_aside: bool = False
    doubtful: bool = False
    cipher: str = ""
    chain: tuple[bytes, ...] = field(default=(), repr=False)

    def fits(self, settings: DtlsSettings, wall_s: float) -> bool:
        """Whether it was made under the very same trust and policy, and is not too old."""
        same = (self.fingerprint, self.groups) == (settings.fingerprint, settings.groups)
        return same and 0 <= self.until_s - wall_s <= settings.session_lifetime_s

    @property
    def goes_on(self) -> bool:
        """Whether the next client needs no handshake."""
        return self.set_aside and not self.doubtful

    def seal(self, connection: bytes) -> bytes:
        """As it lies on the shelf: with what shows that it is whole, and of this record and no other."""
        return self._digest(connection) + connection

    def unseal(self, content: bytes) -> bytes | None:
        """The connection; None when it is damaged, or belongs to another record."""
        connection = content[_DIGEST_BYTES:]
        return connection if self._digest(connection) == content[:_DIGEST_BYTES] else None

    def _digest(self, connection: bytes) -> bytes:
        parts = [self.fingerprint, self.groups, self.release, self.cipher, *(der.hex() for der in self.chain)]
        return hashlib.sha256("\n".join([*parts, connection.hex()]).encode()).digest()


def to_document(record: ConnectionRecord) -> dict[str, object]:
    """Plain data that ``from_document`` reads back to the same value."""
    return {
        "fingerprint": record.fingerprint,
        "groups": record.groups,
        "lean": record.lean,
        "wanted": record.wanted,
        "until_s": record.until_s,
        "release": record.release,
        "session": record.session,
        "set_aside": record.set_aside,
        "doubtful": record.doubtful,
        "cipher": record.cipher,
        "chain": list(record.chain),
    }


def from_document(document: object) -> ConnectionRecord | None:
    """The value, or None for what is none: then there is a full handshake."""
    match document:
        case {
            "fingerprint": str() as fingerprint,
            "groups": str() as groups,
            "lean": bool() as lean,
            "wanted": bool() | None as wanted,
            "until_s": int() | float() as until_s,
            "release": str() as release,
            "session": bytes() | None as session,
            "set_aside": bool() as set_aside,
            "doubtful": bool() as doubtful,
            "cipher": str() as cipher,
            "chain": (list() | tuple()) as chain,
        }:
            parts = [part for part in chain if isinstance(part, bytes)]
            short = len(parts) == len(chain) <= _MOST_CERTIFICATES
            if short and sum(map(len, [session or b"", *parts])) <= _MOST_BYTES:
                return ConnectionRecord(
                    fingerprint,
                    groups,
                    lean,
                    wanted,
                    float(until_s),
                    release,
                    session,
                    set_aside,
                    doubtful,
                    cipher,
                    tuple(parts),
                )
    return None
