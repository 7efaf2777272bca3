"""ECDSA on P-256 with SHA-256 whose numbers follow from key and message (RFC 6979 §3.2), for literal vectors only.

Own arithmetic: releases of cryptography in distributions cannot do it.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class DeterministicKey:
    """Implements ``DeviceKey``."""

    def __init__(self, scalar: int) -> None:
        self._scalar = scalar

    @property
    def spki(self) -> bytes:
        public = ec.derive_private_key(self._scalar, ec.SECP256R1()).public_key()
        return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes) -> bytes:
        digest = hashlib.sha256(data).digest()
        number = self._number(digest)
        point = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
        r = point.x % ORDER
        s = pow(number, -1, ORDER) * (int.from_bytes(digest, "big") + r * self._scalar) % ORDER
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _number(self, digest: bytes) -> int:
        seed = self._scalar.to_bytes(32, "big") + (int.from_bytes(digest, "big") % ORDER).to_bytes(32, "big")
        value, key = b"\x01" * 32, bytes(32)
        for mark in (b"\0", b"\1"):
            key = hmac.digest(key, value + mark + seed, "sha256")
            value = hmac.digest(key, value, "sha256")
        while True:
            value = hmac.digest(key, value, "sha256")
            number = int.from_bytes(value, "big")
            if 1 <= number < ORDER:
                return number
            key = hmac.digest(key, value + b"\0", "sha256")
            value = hmac.digest(key, value, "sha256")
