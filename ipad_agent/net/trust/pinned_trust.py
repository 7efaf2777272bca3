"""Whom to trust as the other end of a (D)TLS session (SGP.32 v1.2 §2.6.3, EimConfigurationData tag A6)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.net.errors import TrustUnusable
from ipad_agent.records import dataclass, replace

# What cryptography raises, at once or lazily, on bytes that are no proper key or certificate.
UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    KeyError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384"} | {name: name for name in ("brainpoolP256r1", "brainpoolP384r1")}

EARLIEST_PLAUSIBLE_S = 1_735_689_600  # 2025-01-01: this program did not exist before
LATEST_PLAUSIBLE_S = 4_102_444_800  # 2100-01-01


class NameCheck(Enum):
    """When the server's name must stand in its certificate."""

    AUTO = "auto"  # for CA anchors and stores; a pinned key or certificate is itself the identity
    ALWAYS = "always"
    NEVER = "never"


class Pinned(Enum):
    """What kind of thing is trusted."""

    SPKI = "spki"
    CERTIFICATE = "certificate"
    STORE = "store"
    PSK = "psk"


class PublicKey(Protocol):
    """What the eUICC holds about an eIM's key: ``kind`` is ``spki`` or ``certificate``, ``der`` begins with 30."""

    @property
    def kind(self) -> str: ...

    @property
    def der(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Trust:
    """A description of whom to trust; ``ipad_agent.net.trust.certificate_chain.judge`` applies it to a server's
    certificates.

    ``anchors`` holds DER: one SubjectPublicKeyInfo (SPKI), one certificate, or the certificates of a store.
    ``origin`` is for messages: ``eUICC`` or ``configuration``.
    """

    kind: Pinned
    anchors: tuple[bytes, ...]
    origin: str = "configuration"
    name_check: NameCheck = NameCheck.AUTO
    allow_expired: bool = False

    @classmethod
    def from_public_key_data(cls, data: PublicKey) -> Trust:
        """The trust the eUICC names (trustedPublicKeyDataTls). Raises ``TrustUnusable``."""
        if data.kind == Pinned.SPKI.value:
            return cls.spki(data.der, origin="eUICC")
        if data.kind == Pinned.CERTIFICATE.value:
            return cls.certificate(data.der, origin="eUICC")
        raise TrustUnusable(f"trustedPublicKeyDataTls is neither a key nor a certificate but {data.kind!r}")

    @classmethod
    def spki(cls, der: bytes, *, origin: str = "configuration") -> Trust:
        """Trust one public key: the server's own, or that of a CA its chain ends in."""
        try:
            serialization.load_der_public_key(der)
        except UNREADABLE as error:
            raise TrustUnusable(f"the trusted TLS key ({origin}) is no readable public key: {error}") from None
        return cls(Pinned.SPKI, (der,), origin)

    @classmethod
    def certificate(cls, der: bytes, *, origin: str = "configuration") -> Trust:
        """Trust one certificate: the server's own, or a CA's."""
        try:
            x509.load_der_x509_certificate(der).public_key()
        except UNREADABLE as error:
            raise TrustUnusable(f"the trusted TLS certificate ({origin}) cannot be read: {error}") from None
        return cls(Pinned.CERTIFICATE, (der,), origin)

    @classmethod
    def store(cls, ders: Iterable[bytes], *, origin: str = "configuration") -> Trust:
        """Trust every chain that ends in one of these certificates. Unreadable ones are left out."""
        readable = []
        for der in ders:
            try:
                x509.load_der_x509_certificate(der).public_key()
            except UNREADABLE:
                continue  # public bundles hold a few odd ones; one of them must not make the others useless
            readable.append(der)
        if not readable:
            raise TrustUnusable(f"the trust store ({origin}) holds no readable certificate")
        return cls(Pinned.STORE, tuple(readable), origin)

    @classmethod
    def psk(cls) -> Trust:
        """The pre-shared key alone proves the server; certificates play no part."""
        return cls(Pinned.PSK, ())

    @classmethod
    def from_pem(cls, pem: bytes, *, origin: str = "configuration") -> Trust:
        """PEM text as configured: one PUBLIC KEY, one CERTIFICATE, or several CERTIFICATEs (a store)."""
        keys = _pem_bodies(pem, b"PUBLIC KEY")
        certificates = _pem_bodies(pem, b"CERTIFICATE")
        if len(keys) == 1 and not certificates:
            return cls.spki(keys[0], origin=origin)
        if len(certificates) == 1 and not keys:
            return cls.certificate(certificates[0], origin=origin)
        if certificates and not keys:
            return cls.store(certificates, origin=origin)
        raise TrustUnusable(
            f"{origin}: expected one PUBLIC KEY or one or more CERTIFICATE blocks, "
            f"found {len(keys)} and {len(certificates)}"
        )

    @classmethod
    def from_file(cls, path: Path) -> Trust:
        """A PEM file, or a DER file with one key or certificate. Raises ``TrustUnusable``."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TrustUnusable(f"{path}: {error.strerror or error}") from None
        if b"-----BEGIN" in data:
            return cls.from_pem(data, origin=str(path))
        try:
            return cls.certificate(data, origin=str(path))
        except TrustUnusable:
            return cls.spki(data, origin=str(path))

    def with_policy(self, *, name_check: NameCheck | None = None, allow_expired: bool | None = None) -> Trust:
        """The same trust under another policy; None leaves a part as it is."""
        return replace(
            self,
            name_check=self.name_check if name_check is None else name_check,
            allow_expired=self.allow_expired if allow_expired is None else allow_expired,
        )

    @property
    def curve(self) -> str | None:
        """The curve of the one key that is pinned, by OpenSSL's name; None when it is on none, or there are several."""
        if self.kind not in (Pinned.SPKI, Pinned.CERTIFICATE):
            return None
        try:
            if self.kind is Pinned.SPKI:
                key = serialization.load_der_public_key(self.anchors[0])
            else:
                key = x509.load_der_x509_certificate(self.anchors[0]).public_key()
        except UNREADABLE:
            return None
        return CURVES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None

    @property
    def fingerprint(self) -> str:
        """Changes whenever whom or how to trust changes; cached sessions are bound to it."""
        digest = hashlib.sha256()
        for part in (self.kind.value, self.name_check.value, str(self.allow_expired)):
            digest.update(part.encode() + b"\0")
        for anchor in self.anchors:
            digest.update(len(anchor).to_bytes(4, "big") + anchor)
        return digest.hexdigest()


def clock_is_plausible(wall_s: float) -> bool:
    """Whether certificate dates can be judged by this clock (seconds since 1970)."""
    return EARLIEST_PLAUSIBLE_S <= wall_s < LATEST_PLAUSIBLE_S


def _pem_bodies(pem: bytes, label: bytes) -> list[bytes]:
    blocks = re.findall(b"-----BEGIN " + label + b"-----.*?-----END " + label + b"-----", pem, re.DOTALL)
    bodies = []
    for block in blocks:
        try:
            if label == b"PUBLIC KEY":
                key = serialization.load_pem_public_key(block)
                bodies.append(
                    key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
                )
            else:
                certificate = x509.load_pem_x509_certificate(block)
                bodies.append(certificate.public_bytes(serialization.Encoding.DER))
        except UNREADABLE as error:
            if label == b"PUBLIC KEY":
                raise TrustUnusable(f"a PUBLIC KEY block that cannot be read: {error}") from None
    return bodies
