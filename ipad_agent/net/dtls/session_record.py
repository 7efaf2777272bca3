"""What is remembered of one eIM's sessions, as plain data for a file of the runtime folder.

It holds the session's secret, so it is for a folder that no other user reads and that does not outlive a boot
(docs/decisions/32-sessions-live-in-the-runtime-folder.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from ipad_agent.records import dataclass, field

from .dtls_backend import DtlsSettings

_MOST_BYTES: Final = 16384
_MOST_CERTIFICATES: Final = 10


class SessionMemory(Protocol):
    """Where records are kept; nothing here ever raises for want of a disk."""

    def load(self) -> Mapping[str, object]:
        """By association; whatever is no record is ignored."""

    def save(self, records: Mapping[str, object]) -> None:
        """Everything that is to be remembered from now on."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """``fingerprint`` and ``groups`` say under which trust and policy it was made. ``lean``, ``tickets`` and
    ``goodbye`` (a close_notify, to keep sessions) are what this server turned out to need, ``session`` is OpenSSL's DER
    form, ``chain`` what the server showed."""

    fingerprint: str
    groups: str
    lean: bool
    tickets: bool
    goodbye: bool
    until_s: float
    session: bytes | None = field(default=None, repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)

    def fits(self, settings: DtlsSettings, wall_s: float) -> bool:
        """Whether it was made under the very same trust and policy, and is not too old."""
        same = (self.fingerprint, self.groups) == (settings.fingerprint, settings.groups)
        return same and 0 <= self.until_s - wall_s <= settings.session_lifetime_s


def to_document(record: SessionRecord) -> dict[str, object]:
    """Plain data that ``from_document`` reads back to the same value."""
    return {
        "fingerprint": record.fingerprint,
        "groups": record.groups,
        "lean": record.lean,
        "tickets": record.tickets,
        "goodbye": record.goodbye,
        "until_s": record.until_s,
        "session": record.session,
        "chain": list(record.chain),
    }


def from_document(document: object) -> SessionRecord | None:
    """The value, or None for what is none: then there is a full handshake."""
    match document:
        case {
            "fingerprint": str() as fingerprint,
            "groups": str() as groups,
            "lean": bool() as lean,
            "tickets": bool() as tickets,
            "goodbye": bool() as goodbye,
            "until_s": int() | float() as until_s,
            "session": bytes() | None as session,
            "chain": (list() | tuple()) as chain,
        }:
            parts = [part for part in chain if isinstance(part, bytes)]
            short = len(parts) == len(chain) <= _MOST_CERTIFICATES
            if short and sum(map(len, [session or b"", *parts])) <= _MOST_BYTES:
                return SessionRecord(fingerprint, groups, lean, tickets, goodbye, float(until_s), session, tuple(parts))
    return None
