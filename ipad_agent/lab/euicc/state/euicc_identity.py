"""What makes a card this card: its EID, and for each CI its key and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipad_agent.lab.pki import sign_raw

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from ipad_agent.lab.pki import Pki


@dataclass(frozen=True, slots=True)
class CiIdentity:
    """The card under one CI. Certificates are DER; ``ci_cert`` is the root that server certificates lead to."""

    ci_pkid: bytes
    key: ec.EllipticCurvePrivateKey
    euicc_cert: bytes
    eum_cert: bytes
    ci_cert: bytes

    def sign(self, data: bytes) -> bytes:
        """64 bytes with SK.EUICC.ECDSA."""
        return sign_raw(self.key, data)


@dataclass(frozen=True, slots=True)
class EuiccIdentity:
    """EID (32 hexadecimal digits, decimal ones on a proper card) and at least one CI; the first is used where nothing
    else is said."""

    eid: str
    cis: tuple[CiIdentity, ...]

    @classmethod
    def from_pki(cls, *pkis: Pki) -> EuiccIdentity:
        """A card of one PKI, or of several that carry the same EID (a P-256 and a brainpool CI, say)."""
        if len({pki.eid for pki in pkis}) != 1:
            raise ValueError("an eUICC needs at least one PKI, and all of them with its EID")
        return cls(
            pkis[0].eid,
            tuple(
                CiIdentity(
                    pki.ci_pkid,
                    pki["euicc"].private_key,
                    pki["euicc"].cert_der,
                    pki["eum"].cert_der,
                    pki["ci"].cert_der,
                )
                for pki in pkis
            ),
        )

    @property
    def eid_bytes(self) -> bytes:
        """16 bytes, two digits each, in reading order."""
        return bytes.fromhex(self.eid)

    def ci(self, ci_pkid: bytes | None) -> CiIdentity | None:
        """The CI with this id; without an id the first; None when it is not one of ours."""
        if ci_pkid is None:
            return self.cis[0]
        return next((ci for ci in self.cis if ci.ci_pkid == ci_pkid), None)
