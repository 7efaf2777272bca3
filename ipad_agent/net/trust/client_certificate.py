"""The certificate by which this device proves itself to a server that asks for one (RFC 5246 §7.4.4, §7.4.6)."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ipad_agent.errors import ConfigError
from ipad_agent.records import dataclass, field

from .older_cryptography import certificates_of_pem
from .pinned_trust import CURVES, UNREADABLE

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """``chain`` is DER, our own certificate first; ``key`` is PKCS #8, never shown."""

    chain: tuple[bytes, ...]
    key: bytes = field(repr=False)

    @classmethod
    def from_pem(cls, certificates: bytes, key: bytes, *, certificate_place: str, key_place: str) -> ClientCertificate:
        """Our own certificate and those of its issuers, and the key without a pass phrase. The places are for messages.

        Raises ``ConfigError``, which never holds anything of the key.
        """
        try:
            chain = certificates_of_pem(certificates)
            shown = (
                chain[0]
                .public_key()
                .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
        except UNREADABLE:
            raise ConfigError(
                certificate_place, "holds no certificate that can be read", allowed="CERTIFICATE blocks (PEM)"
            ) from None
        private = _private_key(key, key_place)
        own = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if own != shown:
            raise ConfigError(key_place, f"is not the key of the first certificate in {certificate_place}")
        return cls(
            tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in chain),
            private.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def certificates(self) -> list[x509.Certificate]:
        """Our own certificate first."""
        return [x509.load_der_x509_certificate(der) for der in self.chain]

    def private_key(self) -> PrivateKey:
        """The key of the first certificate."""
        key = serialization.load_der_private_key(self.key, None)
        assert isinstance(key, PrivateKey)
        return key

    @property
    def curve(self) -> str | None:
        """The curve of our own key, by OpenSSL's name; None when it is on none that has one here."""
        key = self.private_key()
        return CURVES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePrivateKey) else None

    @property
    def fingerprint(self) -> str:
        """Of what is shown to the server; sessions are bound to it."""
        return hashlib.sha256(b"".join(len(der).to_bytes(4, "big") + der for der in self.chain)).hexdigest()


def _private_key(pem: bytes, place: str) -> PrivateKey:
    if b"ENCRYPTED" in pem:
        raise ConfigError(
            place, "is protected by a pass phrase, and nobody is there to enter it", allowed="a key without pass phrase"
        )
    try:
        key = serialization.load_pem_private_key(pem, None)
    except UNREADABLE:
        raise ConfigError(place, "holds no private key that can be read", allowed="a PRIVATE KEY block (PEM)") from None
    if not isinstance(key, PrivateKey) or (isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS):
        raise ConfigError(place, "is a key that TLS here has no use for", allowed="EC, Ed25519, or RSA of 2048 bits")
    return key
