"""What the card checks in a certificate of an RSP server (SGP.22 §4.5.2).

Issuer, role, use, curve and OID; not the dates, for it has no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto.issued_by import verify_directly_issued_by
from ipad_agent.lab.pki import CURVES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipad_agent.lab.euicc.state.euicc_identity import CiIdentity

DP_AUTH, DP_PB, DS_AUTH = (f"2.23.146.1.2.1.{number}" for number in (4, 5, 7))
"""id-rspRole-dp-auth-v2 and its like: the certificate policies by which roles are told apart."""

_X509_ERRORS = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_UNDERSTOOD = (x509.KeyUsage, x509.CertificatePolicies, x509.BasicConstraints, x509.SubjectAlternativeName)


class CertificateError(Exception):
    """The certificate is not one of a server of this role under this CI."""


class CurveError(CertificateError):
    """Its key is not on the curve of the CI."""


class OidError(CertificateError):
    """It does not name the server by exactly one OID."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What the card keeps of one: ``oid`` is the registeredID, ``role`` the certificate policy."""

    public_key: ec.EllipticCurvePublicKey
    oid: str
    role: str


def read_server_certificate(raw: bytes, ci: CiIdentity, roles: Iterable[str]) -> ServerCertificate:
    """Check a DER certificate: issued by ``ci``, for one of ``roles``, for signing, on the CI's curve, with an OID."""
    try:
        certificate = x509.load_der_x509_certificate(raw)
        verify_directly_issued_by(certificate, x509.load_der_x509_certificate(ci.ci_cert))
        extensions = certificate.extensions
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, *_X509_ERRORS) as error:
        raise CertificateError(f"not issued by the CI: {error}") from error
    if any(e.critical and not isinstance(e.value, _UNDERSTOOD) for e in extensions):
        raise CertificateError("a critical extension is unknown")
    role = _role(extensions, roles)
    _check_use(extensions)
    return ServerCertificate(_public_key(certificate, ci), _oid(extensions), role)


def _role(extensions: x509.Extensions, roles: Iterable[str]) -> str:
    try:
        policies = extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound as error:
        raise CertificateError("no certificate policies") from error
    present = {policy.policy_identifier.dotted_string for policy in policies}
    for role in roles:
        if role in present:
            return role
    raise CertificateError("another role")


def _check_use(extensions: x509.Extensions) -> None:
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise CertificateError("no key usage") from error
    if not usage.digital_signature:
        raise CertificateError("not for signatures")
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return
    if constraints.ca:
        raise CertificateError("a CA, not a server")


def _public_key(certificate: x509.Certificate, ci: CiIdentity) -> ec.EllipticCurvePublicKey:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CurveError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, tuple(CURVES.values())):
        raise CurveError("neither P-256 nor brainpoolP256r1")
    if key.curve.name != ci.key.curve.name:
        raise CurveError("not the curve of the CI")
    return key


def _oid(extensions: x509.Extensions) -> str:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise OidError("no subject alternative name") from error
    found = [oid.dotted_string for oid in names.get_values_for_type(x509.RegisteredID)]
    if len(found) != 1:
        raise OidError(f"{len(found)} registered IDs")
    return found[0]
