"""What is remembered of one eIM's connection with Mbed TLS, as plain data for a file of the runtime folder.

As secret as a session, and kept in the same place (docs/decisions/32). A ``connection`` in it may be used once: it is
taken out of the file before the first record is sent with it, and written anew when it is set aside. After a crash in
between it is gone, and the session is resumed; two records under one nonce would be worse.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.records import dataclass, field

from .dtls_backend import DtlsSettings

_MOST_BYTES: Final = 32768
_MOST_CERTIFICATES: Final = 10


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """``fingerprint`` and ``groups`` say under which trust and policy it was made, ``lean`` what is offered to this
    server, ``wanted`` whether it wants a Connection ID (None: not known yet), ``release`` of which library
    ``session`` and ``connection`` are. The rest is as in ``KeptConnection``."""

    fingerprint: str
    groups: str
    lean: bool
    wanted: bool | None
    until_s: float
    release: str = ""
    session: bytes | None = field(default=None, repr=False)
    connection: bytes | None = field(default=None, repr=False)
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
        return self.connection is not None and not self.doubtful


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
        "connection": record.connection,
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
            "connection": bytes() | None as connection,
            "doubtful": bool() as doubtful,
            "cipher": str() as cipher,
            "chain": (list() | tuple()) as chain,
        }:
            parts = [part for part in chain if isinstance(part, bytes)]
            short = len(parts) == len(chain) <= _MOST_CERTIFICATES
            if short and sum(map(len, [session or b"", connection or b"", *parts])) <= _MOST_BYTES:
                return ConnectionRecord(
                    fingerprint,
                    groups,
                    lean,
                    wanted,
                    float(until_s),
                    release,
                    session,
                    connection,
                    doubtful,
                    cipher,
                    tuple(parts),
                )
    return None
