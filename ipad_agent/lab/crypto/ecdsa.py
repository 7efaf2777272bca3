"""ECDSA with SHA-256 in the form of the GSMA specifications: 64 bytes, r then s (SGP.22 §2.6.7, SGP.32 §2.11.1)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

SIZE_BYTES = 64
_HALF = SIZE_BYTES // 2

CURVES: dict[str, type[ec.EllipticCurve]] = {"p256": ec.SECP256R1, "brainpool": ec.BrainpoolP256R1}
"""The two curves of SGP.26, by the names this lab uses."""


def sign_raw(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """The 64-byte signature over ``data``."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def verify_raw(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` is 64 bytes made by the owner of ``key`` over ``data``."""
    if len(signature) != SIZE_BYTES:
        return False
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
