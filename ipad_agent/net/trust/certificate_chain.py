"""The verdict on a server's certificates.

OpenSSL proves that the server holds the key of the first certificate; whether that certificate is to be trusted is
decided here, after every handshake. OpenSSL's own verification is not used for it: it is skipped when a session is
resumed, knows no pin to a key, and follows the security level that AES-CCM-8 forces down.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ipad_agent.net.errors import Refusal, TrustRefused
from ipad_agent.printable import printable
from ipad_agent.records import dataclass

from .older_cryptography import not_valid_after, not_valid_before, rsa_padding
from .pinned_trust import UNREADABLE, NameCheck, Pinned, Trust

MAX_CERTIFICATES = 10
MAX_SIGNATURE_CHECKS = 100
MIN_RSA_BITS = 2048
MIN_EC_BITS = 224
NOT_BEFORE_SKEW = timedelta(days=1)

_HASHES = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.SHA3_384)
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,  # critical in GSMA certificates; policies are not restricted here
    }
)


class Tolerance(Enum):
    """What a verdict was lenient about; the caller reports it."""

    SAME_KEY = "same key, other certificate"
    EXPIRED = "expired"
    CLOCK_SKEW = "not valid until within a day"
    DATES_NOT_JUDGED = "dates not judged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The server is trusted; ``how`` is the reason in words."""

    how: str
    tolerances: tuple[Tolerance, ...] = ()


def judge(chain: Sequence[bytes], trust: Trust, *, host: str, now_s: float, clock_plausible: bool = True) -> Verdict:
    """Decide whether the server that showed ``chain`` (DER, its own certificate first) is the trusted one.

    ``host`` is the name or address the certificate must name when the policy asks for it; ``now_s`` is seconds
    since 1970. Raises ``TrustRefused``. The rules are those of SGP.32 v1.2 §2.6.3: a key or certificate in
    trustedPublicKeyDataTls is the server's own, or that of a CA its chain ends in.
    """
    if not chain:
        raise TrustRefused("the server showed no certificate", reason=Refusal.NO_CERTIFICATE)
    if len(chain) > MAX_CERTIFICATES:
        raise TrustRefused(f"the server showed {len(chain)} certificates", reason=Refusal.LIMIT)
    try:
        return _Judge(trust, host, now_s, clock_plausible).decide(chain)
    except UNREADABLE as error:
        raise TrustRefused(
            f"the server's certificates cannot be read: {type(error).__name__} {error}", reason=Refusal.UNREADABLE
        ) from None


def spki_of(certificate: x509.Certificate) -> bytes:
    """The certificate's public key as DER SubjectPublicKeyInfo, in the one form this program compares."""
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class _Judge:
    """One decision. Finds paths by names and signatures first, then applies the rules to each."""

    def __init__(self, trust: Trust, host: str, now_s: float, clock_plausible: bool) -> None:
        self._trust = trust
        self._host = host
        self._now = datetime.fromtimestamp(now_s, UTC) if clock_plausible else None
        self._checks_left = MAX_SIGNATURE_CHECKS
        self._tolerances: set[Tolerance] = set()
        self._weakly_signed: str | None = None

    def decide(self, chain: Sequence[bytes]) -> Verdict:
        certificates = [x509.load_der_x509_certificate(der) for der in dict.fromkeys(chain)]
        leaf = certificates[0]
        if self._trust.kind is Pinned.SPKI:
            return self._by_key(leaf, certificates[1:])
        return self._by_certificates(leaf, certificates[1:])

    def _by_key(self, leaf: x509.Certificate, others: list[x509.Certificate]) -> Verdict:
        key = serialization.load_der_public_key(self._trust.anchors[0])
        pinned = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if spki_of(leaf) == pinned:
            return self._own([leaf], "its key is the pinned one")
        paths = self._paths(leaf, others)
        if any(spki_of(other) == pinned for other in others):
            paths = [path for path in paths if len(path) > 1 and spki_of(path[-1]) == pinned]
        else:  # servers usually leave the root certificate out; its key alone is enough to check the last signature
            paths = [path for path in paths if self._signed_by(path[-1], key)]
        return self._first_good(paths, "its chain ends in the pinned key")

    def _by_certificates(self, leaf: x509.Certificate, others: list[x509.Certificate]) -> Verdict:
        anchors = [x509.load_der_x509_certificate(der) for der in self._trust.anchors]
        if leaf in anchors:
            return self._own([leaf], "its certificate is the trusted one")
        if self._trust.kind is Pinned.CERTIFICATE and spki_of(leaf) == spki_of(anchors[0]):
            self._tolerances.add(Tolerance.SAME_KEY)
            return self._own([leaf], "its key is that of the pinned certificate")
        by_subject: dict[bytes, list[x509.Certificate]] = {}
        for anchor in anchors:
            by_subject.setdefault(anchor.subject.public_bytes(), []).append(anchor)
        paths: list[list[x509.Certificate]] = []
        for path in self._paths(leaf, [c for c in others if c not in anchors]):
            issuers = by_subject.get(path[-1].issuer.public_bytes(), [])
            paths.extend([*path, anchor] for anchor in issuers if self._signed_by(path[-1], anchor.public_key()))
        return self._first_good(paths, "its chain ends in a trusted certificate")

    # -- paths ---------------------------------------------------------------------------------------------------

    def _paths(self, leaf: x509.Certificate, others: list[x509.Certificate]) -> list[list[x509.Certificate]]:
        """All chains of signatures that start at the leaf, shortest first."""
        found: list[list[x509.Certificate]] = []
        queue = [[leaf]]
        while queue:
            path = queue.pop(0)
            found.append(path)
            for candidate in others:
                if candidate in path or candidate.subject.public_bytes() != path[-1].issuer.public_bytes():
                    continue
                if self._signed_by(path[-1], candidate.public_key()):
                    queue.append([*path, candidate])
        return found

    def _signed_by(self, certificate: x509.Certificate, key: object) -> bool:
        self._checks_left -= 1
        if self._checks_left < 0:
            raise TrustRefused("the server's certificates form too many chains", reason=Refusal.LIMIT)
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and not isinstance(algorithm, _HASHES):
            self._weakly_signed = f"{_name(certificate)} is signed with {algorithm.name}"
            return False
        signature, signed = certificate.signature, certificate.tbs_certificate_bytes
        try:
            if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
                key.verify(signature, signed, ec.ECDSA(algorithm))
            elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
                parameters = rsa_padding(certificate)
                if parameters is None:
                    return False
                key.verify(signature, signed, parameters, algorithm)
            elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and algorithm is None:
                key.verify(signature, signed)
            else:
                return False
        except InvalidSignature:
            return False
        return True

    # -- rules ---------------------------------------------------------------------------------------------------

    def _own(self, path: list[x509.Certificate], how: str) -> Verdict:
        """The pinned thing is the server's own: it is the identity, only strength and dates are looked at."""
        self._check_strength(path[0])
        self._check_dates(path)
        if self._trust.name_check is NameCheck.ALWAYS:
            self._check_name(path[0])
        return Verdict(how, tuple(sorted(self._tolerances, key=lambda t: t.value)))

    def _first_good(self, paths: list[list[x509.Certificate]], how: str) -> Verdict:
        refused: TrustRefused | None = None
        for path in paths:
            self._tolerances.clear()
            try:
                self._check_path(path)
            except TrustRefused as error:
                refused = refused or error
                continue
            return Verdict(how, tuple(sorted(self._tolerances, key=lambda t: t.value)))
        if refused is not None:
            raise refused
        if self._weakly_signed is not None:
            raise TrustRefused(self._weakly_signed, reason=Refusal.WEAK)
        raise TrustRefused(
            f"neither its key nor its chain leads to what is trusted ({self._trust.origin})", reason=Refusal.NO_PATH
        )

    def _check_path(self, path: list[x509.Certificate]) -> None:
        for certificate in path:
            self._check_strength(certificate)
        for below, certificate in enumerate(path[1:]):
            self._check_issuer(certificate, below)
        for certificate in path if self._trust.kind is Pinned.SPKI else path[:-1]:
            self._check_critical(certificate)  # what an anchor says about itself does not bind whoever named it
        self._check_dates(path)
        self._check_purpose(path[0])
        if self._trust.name_check is not NameCheck.NEVER:
            self._check_name(path[0])

    @staticmethod
    def _check_strength(certificate: x509.Certificate) -> None:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            strong = key.key_size >= MIN_RSA_BITS
        elif isinstance(key, ec.EllipticCurvePublicKey):
            strong = key.curve.key_size >= MIN_EC_BITS
        else:
            strong = isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
        if not strong:
            raise TrustRefused(f"the key of {_name(certificate)} is too weak", reason=Refusal.WEAK)

    @staticmethod
    def _check_issuer(certificate: x509.Certificate, cas_below: int) -> None:
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            constraints = x509.BasicConstraints(ca=False, path_length=None)
        if not constraints.ca:
            raise TrustRefused(f"{_name(certificate)} is no CA", reason=Refusal.NOT_A_CA)
        if constraints.path_length is not None and cas_below > constraints.path_length:
            raise TrustRefused(f"{_name(certificate)} allows no such long chain", reason=Refusal.NOT_A_CA)
        try:
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            return
        if not usage.key_cert_sign:
            raise TrustRefused(f"{_name(certificate)} must not sign certificates", reason=Refusal.NOT_A_CA)

    @staticmethod
    def _check_critical(certificate: x509.Certificate) -> None:
        for extension in certificate.extensions:
            if extension.critical and extension.oid not in _UNDERSTOOD:
                raise TrustRefused(
                    f"{_name(certificate)} has the critical extension {extension.oid.dotted_string}, "
                    "which is not understood",
                    reason=Refusal.WRONG_PURPOSE,
                )

    @staticmethod
    def _check_purpose(leaf: x509.Certificate) -> None:
        try:
            purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return
        if ExtendedKeyUsageOID.SERVER_AUTH not in purposes and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in (
            purposes
        ):
            raise TrustRefused(f"{_name(leaf)} is not meant for servers", reason=Refusal.WRONG_PURPOSE)

    def _check_dates(self, path: list[x509.Certificate]) -> None:
        if self._now is None:
            self._tolerances.add(Tolerance.DATES_NOT_JUDGED)
            return
        for certificate in path:
            if self._now > not_valid_after(certificate):
                if not self._trust.allow_expired:
                    raise TrustRefused(
                        f"{_name(certificate)} expired on {not_valid_after(certificate):%Y-%m-%d}",
                        reason=Refusal.EXPIRED,
                        hint="Renew the certificate, check the device's clock, or set allow_expired for this eIM.",
                    )
                self._tolerances.add(Tolerance.EXPIRED)
            if self._now < not_valid_before(certificate):
                if self._now < not_valid_before(certificate) - NOT_BEFORE_SKEW and not self._trust.allow_expired:
                    raise TrustRefused(
                        f"{_name(certificate)} is not valid before {not_valid_before(certificate):%Y-%m-%d}",
                        reason=Refusal.NOT_YET_VALID,
                        hint="Check the device's clock.",
                    )
                self._tolerances.add(Tolerance.CLOCK_SKEW)

    def _check_name(self, leaf: x509.Certificate) -> None:
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        dns_names = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        if not names_host(self._host, dns_names, [str(address) for address in addresses]):
            shown = ", ".join([*dns_names, *map(str, addresses)][:5]) or "no name at all"
            raise TrustRefused(
                f"the certificate names {shown}, not {self._host}",
                reason=Refusal.WRONG_NAME,
                hint="Set verify_name to the name in the certificate if that is the right server.",
            )


def names_host(host: str, dns_names: Sequence[str], addresses: Sequence[str]) -> bool:
    """Whether one of a certificate's names stands for ``host``. A ``*`` may be the whole first label only."""
    try:
        wanted = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    else:
        return any(_is_address(address, wanted) for address in addresses)
    labels = host.rstrip(".").lower().split(".")
    for name in dns_names:
        pattern = name.rstrip(".").lower().split(".")
        if pattern == labels:
            return True
        if pattern[0] == "*" and len(pattern) > 2 and pattern[1:] == labels[1:]:
            return True
    return False


def _is_address(text: str, wanted: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == wanted
    except ValueError:
        return False


def _name(certificate: x509.Certificate) -> str:
    """A certificate as people know it; shortened, for it came from outside."""
    text = printable(certificate.subject.rfc4514_string(), mark="?")
    return f"the certificate '{text[:80]}'"
