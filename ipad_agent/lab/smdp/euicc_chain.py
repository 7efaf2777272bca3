"""Does an eUICC certificate lead over its EUM to a CI that we know? (SGP.22 §4.5.2.1, §5.6.3)"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipad_agent.lab.crypto.issued_by import verify_directly_issued_by

from . import status_words
from .errors import RefusalError
from .status_words import Status

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_ROLE_EUICC = x509.ObjectIdentifier("2.23.146.1.2.1.1")
_ROLE_EUM = x509.ObjectIdentifier("2.23.146.1.2.1.2")
UNREADABLE = (
    ValueError,
    TypeError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
"""What the X.509 library raises for certificates that it cannot read."""


@dataclass(frozen=True, slots=True)
class EuiccCredentials:
    """A card whose chain was verified: EID (32 digits), public key, and the certificates as received."""

    eid: str
    key: ec.EllipticCurvePublicKey
    certificate: bytes
    eum_certificate: bytes

    @property
    def eid_bytes(self) -> bytes:
        """16 bytes, two digits each."""
        return bytes.fromhex(self.eid)


@dataclass(frozen=True, slots=True)
class ChainRules:
    """How strict the check is. EUM certificates of newer releases may carry no name constraints."""

    check_dates: bool = True
    require_policies: bool = True
    require_name_constraints: bool = False


def verify_euicc(
    euicc_der: bytes, eum_der: bytes, cis: Sequence[x509.Certificate], now: datetime, rules: ChainRules | None = None
) -> EuiccCredentials:
    """The credentials of the card; ``RefusalError`` 8.1.2, 8.1.3 or 8.11.1 with the reason otherwise."""
    rules = rules or ChainRules()
    try:
        eum = x509.load_der_x509_certificate(eum_der)
        ci = _issuer(eum, cis)
        if ci is None:
            raise RefusalError(status_words.CI_UNKNOWN)
        _check_eum(eum, ci, now, rules)
    except UNREADABLE as error:
        raise RefusalError(status_words.EUM_INVALID, f"the EUM certificate cannot be read: {error}") from error
    try:
        euicc = x509.load_der_x509_certificate(euicc_der)
        eid = _check_euicc(euicc, eum, now, rules)
        key = euicc.public_key()
    except UNREADABLE as error:
        raise RefusalError(status_words.EUICC_INVALID, f"the eUICC certificate cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise RefusalError(status_words.EUICC_INVALID, "the eUICC's key is not elliptic curve")
    return EuiccCredentials(eid, key, euicc_der, eum_der)


def _issuer(certificate: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """By key identifier where there is one, else by name."""
    wanted = _extension(certificate, x509.AuthorityKeyIdentifier)
    for candidate in candidates:
        if wanted is not None and wanted.key_identifier is not None:
            offered = _extension(candidate, x509.SubjectKeyIdentifier)
            if offered is not None and offered.digest == wanted.key_identifier:
                return candidate
        elif candidate.subject == certificate.issuer:
            return candidate
    return None


def _check_eum(eum: x509.Certificate, ci: x509.Certificate, now: datetime, rules: ChainRules) -> None:
    invalid = status_words.EUM_INVALID
    _check_signature(eum, ci, invalid)
    basic = _extension(eum, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise RefusalError(invalid, "the EUM certificate is not that of a CA")
    usage = _extension(eum, x509.KeyUsage)
    if usage is None or not usage.key_cert_sign:
        raise RefusalError(invalid, "the EUM key is not meant to sign certificates")
    _check_policy(eum, _ROLE_EUM, invalid, rules)
    _check_dates(eum, now, rules, status_words.EUM_EXPIRED, invalid)
    if rules.require_name_constraints and _extension(eum, x509.NameConstraints) is None:
        raise RefusalError(invalid, "the EUM certificate has no name constraints")


def _check_euicc(euicc: x509.Certificate, eum: x509.Certificate, now: datetime, rules: ChainRules) -> str:
    invalid = status_words.EUICC_INVALID
    _check_signature(euicc, eum, invalid)
    usage = _extension(euicc, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise RefusalError(invalid, "the eUICC key is not meant to sign")
    _check_policy(euicc, _ROLE_EUICC, invalid, rules)
    _check_dates(euicc, now, rules, status_words.EUICC_EXPIRED, invalid)
    eids = [str(a.value) for a in euicc.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    if len(eids) != 1 or not re.fullmatch(r"[0-9A-F]{32}", eids[0]):
        raise RefusalError(invalid, "the eUICC certificate has no EID")
    constraints = _extension(eum, x509.NameConstraints)
    permitted = constraints.permitted_subtrees if constraints is not None else None
    names = [name.value for name in permitted or () if isinstance(name, x509.DirectoryName)]
    if names and not any(_permits(name, euicc.subject) for name in names):
        raise RefusalError(invalid, "the EUM may not issue for this EID or organization")
    return eids[0]


def _permits(permitted: x509.Name, subject: x509.Name) -> bool:
    """Each attribute must be in the subject; of the serialNumber only the beginning (SGP.22 §4.5.2.1.0.2)."""
    for attribute in permitted:
        values = [str(a.value) for a in subject.get_attributes_for_oid(attribute.oid)]
        wanted = str(attribute.value)
        if attribute.oid == NameOID.SERIAL_NUMBER:
            if not any(value.startswith(wanted) for value in values):
                return False
        elif wanted not in values:
            return False
    return True


def _check_signature(certificate: x509.Certificate, issuer: x509.Certificate, invalid: Status) -> None:
    try:
        verify_directly_issued_by(certificate, issuer)
    except (InvalidSignature, *UNREADABLE) as error:
        raise RefusalError(invalid, f"the chain is broken: {error or 'wrong signature'}") from error


def _check_policy(
    certificate: x509.Certificate, role: x509.ObjectIdentifier, invalid: Status, rules: ChainRules
) -> None:
    policies = _extension(certificate, x509.CertificatePolicies)
    found = {policy.policy_identifier for policy in policies or ()}
    if rules.require_policies and role not in found:
        raise RefusalError(invalid, f"the certificate has not the policy {role.dotted_string}")


def _utc(certificate: x509.Certificate, name: str) -> datetime:
    """A date of it. cryptography before 42 has them without a time zone only, meaning UTC."""
    told: datetime | None = getattr(certificate, f"{name}_utc", None)
    if told is None:
        told = getattr(certificate, name)
    return told.replace(tzinfo=UTC)


def _check_dates(
    certificate: x509.Certificate, now: datetime, rules: ChainRules, expired: Status, invalid: Status
) -> None:
    if not rules.check_dates:
        return
    if now > _utc(certificate, "not_valid_after"):
        raise RefusalError(expired)
    if now < _utc(certificate, "not_valid_before"):
        raise RefusalError(invalid, "the certificate is not valid yet")


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
