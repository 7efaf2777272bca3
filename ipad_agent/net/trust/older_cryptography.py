"""What releases of cryptography before 42 lack, as distributions still have them (Debian 12: 38).

Nothing is weaker there: what cannot be read is not accepted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import SignatureAlgorithmOID

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PKCS1_V15: Final = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA224,
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)


def not_valid_before(certificate: x509.Certificate) -> datetime:
    """The first moment of its validity, in UTC."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=UTC)


def not_valid_after(certificate: x509.Certificate) -> datetime:
    """The last moment of its validity, in UTC."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=UTC)


def certificates_of_pem(pem: bytes) -> list[x509.Certificate]:
    """Every CERTIFICATE block. Raises ``ValueError`` when there is none, or one that is no certificate."""
    if hasattr(x509, "load_pem_x509_certificates"):
        return x509.load_pem_x509_certificates(pem)
    blocks = _BLOCK.findall(pem)
    if not blocks:
        raise ValueError("there is no CERTIFICATE block")
    return [x509.load_pem_x509_certificate(block) for block in blocks]


def rsa_padding(certificate: x509.Certificate) -> padding.PKCS1v15 | padding.PSS | None:
    """How an RSA signature below this certificate is padded; None when that is neither of the two, or, in an older
    release, when it is PSS, whose parameters are not told there."""
    if hasattr(certificate, "signature_algorithm_parameters"):
        told = certificate.signature_algorithm_parameters
        return told if isinstance(told, padding.PKCS1v15 | padding.PSS) else None
    return padding.PKCS1v15() if certificate.signature_algorithm_oid in _PKCS1_V15 else None
