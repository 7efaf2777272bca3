"""A key with its certificate, and the files they live in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_EC_PARAMETERS = re.compile(rb"-----BEGIN EC PARAMETERS-----.*?-----END EC PARAMETERS-----\s*", re.DOTALL)


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""RSA is for TLS servers of the wide world; nothing of GSMA signs with it."""


class PkiError(ValueError):
    """A file of the lab's PKI is missing or is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One entry of the PKI: a certificate and, unless it is foreign, its private key.

    The paths are set once the entry is on disk; a server that wants file names takes ``cert_path`` and ``key_path``.
    """

    name: str
    certificate: x509.Certificate
    key: PrivateKey | None = None
    cert_path: Path | None = None
    key_path: Path | None = None

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The private key; ``PkiError`` when the entry has none, or one that is not elliptic curve."""
        if not isinstance(self.key, ec.EllipticCurvePrivateKey):
            raise PkiError(f"{self.name} has no {'private' if self.key is None else 'elliptic curve'} key")
        return self.key

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The certificate's public key; ``PkiError`` when it is not elliptic curve."""
        key = self.certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise PkiError(f"the key of {self.name} is not an elliptic curve key")
        return key

    @property
    def cert_der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def cert_pem(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key of either kind, PKCS #8 PEM without password; ``PkiError`` when the entry has none."""
        if self.key is None:
            raise PkiError(f"{self.name} has no private key")
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER (begins with 30)."""
        return self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def key_id(self) -> bytes:
        """The SubjectKeyIdentifier (for a CI: the euiccCiPKId), from the extension or else made from the key."""
        try:
            return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            return x509.SubjectKeyIdentifier.from_public_key(self.public_key).digest

    def save(self, folder: Path) -> Credential:
        """Write ``<name>.cert.pem``, ``.cert.der`` and ``.key.pem`` (mode 0600); return the entry with its paths."""
        cert_path = folder / f"{self.name}.cert.pem"
        cert_path.write_bytes(self.cert_pem)
        (folder / f"{self.name}.cert.der").write_bytes(self.cert_der)
        key_path = None
        if self.key is not None:
            key_path = folder / f"{self.name}.key.pem"
            write_private(key_path, self.key_pem)
        return Credential(self.name, self.certificate, self.key, cert_path, key_path)


def _spki(key: PublicKeyTypes) -> bytes:
    """Keys compare as objects before cryptography 40, so that no two are equal."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_credential(name: str, cert_path: Path, key_path: Path | None) -> Credential:
    """Read a certificate (PEM or DER) and its key (PEM or DER); ``PkiError`` when they do not belong together."""
    certificate = _read_certificate(cert_path)
    key = _read_key(key_path) if key_path is not None else None
    if key is not None and _spki(key.public_key()) != _spki(certificate.public_key()):
        raise PkiError(f"{key_path} is not the key of {cert_path}")
    return Credential(name, certificate, key, cert_path, key_path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, also if it existed with other rights."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} is not a readable certificate: {error}") from error


def _read_key(path: Path) -> PrivateKey:
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            # `openssl ecparam -genkey` puts the curve in a block of its own before the key.
            key = serialization.load_pem_private_key(_EC_PARAMETERS.sub(b"", data), None)
        else:
            key = serialization.load_der_private_key(data, None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"{path} is not a readable private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PkiError(f"{path} is neither an elliptic curve nor an RSA key")
    return key
