"""Provisioning bundles as an eIM writes them, and as it must not; made by hand here, by nobody's code."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUANCE = "3f0c1d52-8a4e-4d0b-9a51-0c6d1f2e7b90"
KEY = ec.derive_private_key(0xB0B0, ec.SECP256R1())
"""For tests only: everybody knows it."""


def pkcs8(key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def members(configuration: bytes, **changes: Any) -> dict[str, Any]:
    """All that a bundle has; None leaves a member out."""
    wanted: dict[str, Any] = {
        "format": "eim-ipad-provision/1",
        "issuance_id": ISSUANCE,
        "eim_configuration": base64.b64encode(configuration).decode(),
        "device_key": base64.b64encode(pkcs8()).decode(),
        "counter": 0,
        "expires_at": "2099-01-01T00:00:00Z",
    } | changes
    return {name: value for name, value in wanted.items() if value is not None}


def written(configuration: bytes, **changes: Any) -> bytes:
    return json.dumps(members(configuration, **changes)).encode() + b"\n"
