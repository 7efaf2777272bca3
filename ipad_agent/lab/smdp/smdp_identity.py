"""Who the SM-DP+ or SM-DS is: its OID, its signers under each CI, and the wrong certificates it can show instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.pki import Credential, Pki, sign_raw
from ipad_agent.lab.pki.certificates import Issuer, Request

from .errors import SmdpError

WRONG_OID = "2.999.404"


@dataclass(frozen=True, slots=True)
class CiSigners:
    """The server under one CI: ``auth`` is DPauth or DSauth, ``pb`` DPpb (an SM-DS has none)."""

    ci: Credential
    auth: Credential
    pb: Credential | None = None
    pki: Pki | None = None

    @property
    def ci_pkid(self) -> bytes:
        """The key identifier by which cards name this CI."""
        return self.ci.key_id

    @property
    def binder(self) -> Credential:
        """DPpb; ``SmdpError`` where there is none."""
        if self.pb is None:
            raise SmdpError("there is no DPpb")
        return self.pb

    def instead_of(self, right: Credential, kind: str) -> Credential:
        """A wrong certificate with its key: ``expired``, ``not-yet-valid``, ``foreign`` (same names, another CI of the
        same name), ``other-oid``, or the name of another entry of the PKI."""
        if self.pki is None:
            raise SmdpError("without the lab's own PKI there are no wrong certificates")
        if kind == "other-oid":
            return _with_other_oid(right, self.ci)
        if kind in ("expired", "not-yet-valid", "foreign"):
            return self.pki.variant(right.name, kind)
        return self.pki[kind]


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """``oid`` is the registeredID of the certificates; ``address`` the name of the TLS certificate; ``tls`` HTTPS."""

    oid: str
    address: str
    signers: tuple[CiSigners, ...]
    tls: Credential

    @classmethod
    def smdp(cls, *pkis: Pki) -> ServerIdentity:
        """The SM-DP+ of one PKI, or of several CIs; TLS is that of the first."""
        signers = tuple(CiSigners(pki["ci"], pki["dpauth"], pki["dppb"], pki) for pki in pkis)
        return cls._of(signers, pkis[0]["dptls"], pkis[0].smdp_oid)

    @classmethod
    def smds(cls, *pkis: Pki) -> ServerIdentity:
        """The SM-DS of one PKI, or of several CIs."""
        signers = tuple(CiSigners(pki["ci"], pki["dsauth"], None, pki) for pki in pkis)
        return cls._of(signers, pkis[0]["dstls"], pkis[0].smds_oid)

    @classmethod
    def _of(cls, signers: tuple[CiSigners, ...], tls: Credential, oid: str) -> ServerIdentity:
        return cls(registered_id(signers[0].auth.certificate) or oid, dns_name(tls.certificate), signers, tls)

    @property
    def ci_certificates(self) -> tuple[x509.Certificate, ...]:
        """The roots that card certificates may lead to."""
        return tuple(signer.ci.certificate for signer in self.signers)

    def ci(self, ci_pkid: bytes) -> CiSigners | None:
        """The signers under this CI; None when it is not one of ours."""
        return next((signer for signer in self.signers if signer.ci_pkid == ci_pkid), None)


def sign(credential: Credential, data: bytes) -> bytes:
    """The signature TLV 5F37 40 over ``data``."""
    return b"\x5f\x37\x40" + sign_raw(credential.private_key, data)


def registered_id(certificate: x509.Certificate) -> str | None:
    """The OID in the subject alternative names; None without one."""
    names = _alternative_names(certificate)
    oids = names.get_values_for_type(x509.RegisteredID) if names is not None else []
    return oids[0].dotted_string if oids else None


def dns_name(certificate: x509.Certificate) -> str:
    """The first DNS name of the subject alternative names; empty without one."""
    names = _alternative_names(certificate)
    hosts = names.get_values_for_type(x509.DNSName) if names is not None else []
    return hosts[0] if hosts else ""


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _with_other_oid(right: Credential, ci: Credential) -> Credential:
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    for extension in right.certificate.extensions:
        value = extension.value
        if isinstance(value, (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)):
            continue
        if isinstance(value, x509.SubjectAlternativeName):
            value = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier(WRONG_OID))])
        extensions.append((value, extension.critical))
    key = ec.generate_private_key(right.private_key.curve)
    now = datetime.now(UTC)
    issuer = Issuer(ci.certificate.subject, ci.private_key)
    request = Request(right.certificate.subject, tuple(extensions))
    made = issuer.issue(request, key.public_key(), now - timedelta(days=1), now + timedelta(days=400))
    return Credential(f"{right.name}-other-oid", made, key)
