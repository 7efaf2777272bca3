"""What the relay remembers of each RSP session, by the server's transactionId."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from cryptography import x509

from ipad_agent.lab.eim.device_records import Device, Order
from ipad_agent.lab.eim.orders.download_target import Target

from .compact_forms import KnownSession


@dataclass(slots=True, eq=False)
class RspSession:
    """One session: who and for which order, with which server, and what has been said so far.

    ``address`` is how the server is called, ``known`` what rebuilding compact forms needs.
    """

    device: Device
    order: Order | None
    target: Target
    address: str
    known: KnownSession
    metadata: bytes | None = None

    def learn(self, **what: object) -> None:
        """Change fields of ``known``."""
        self.known = replace(self.known, **what)  # type: ignore[arg-type]  # by name


@dataclass(slots=True)
class RspSessions:
    """Sessions by transactionId; the oldest go when there are too many. Finished ones stay for their notifications."""

    limit: int = 200
    _sessions: OrderedDict[bytes, RspSession] = field(default_factory=OrderedDict)

    def add(self, transaction_id: bytes, session: RspSession) -> None:
        """Remember it under the id that the IPA is told."""
        self._sessions[transaction_id] = session
        while len(self._sessions) > self.limit:
            self._sessions.popitem(last=False)

    def get(self, transaction_id: bytes) -> RspSession | None:
        """The session, or None."""
        return self._sessions.get(transaction_id)


def registered_id(certificate_der: bytes) -> str | None:
    """The OID of a server, which is the registeredID of its certificate (SGP.22 §4.5.2.1); None without one."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        oids = names.get_values_for_type(x509.RegisteredID)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    return oids[0].dotted_string if oids else None
