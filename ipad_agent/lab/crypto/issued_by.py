"""Whether one certificate was issued by another, also with releases of cryptography before 40 (Debian 12: 38)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15


def verify_directly_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raises ``ValueError`` for another issuer's name, ``TypeError`` for a key that cannot have signed it, and
    ``InvalidSignature``."""
    if hasattr(certificate, "verify_directly_issued_by"):
        certificate.verify_directly_issued_by(issuer)
        return
    if certificate.issuer != issuer.subject:
        raise ValueError("the issuer has another name")
    key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
    if algorithm is None:
        raise TypeError("a signature without a hash is not supported here")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, PKCS1v15(), algorithm)
    else:
        raise TypeError("the issuer's key is neither EC nor RSA")
