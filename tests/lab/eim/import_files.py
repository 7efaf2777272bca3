"""Import files of emulated cards as a device writes them."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .world import EID, raw_signature

INFO1 = "vyAJggMCBQCpAKoA"  # BF20 { 82 020500, A9 {}, AA {} }


def spki_text(key: ec.EllipticCurvePrivateKey) -> str:
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(spki).decode()


def written(key: ec.EllipticCurvePrivateKey, counter: int = 0, /, **changes: Any) -> bytes:
    """A file as a device writes it; ``changes`` come after the proof was made (None: the member is left out)."""
    public = spki_text(key)
    proof = raw_signature(key, f"eim-euicc-import/1\n{EID}\n{public}\n{counter}\n".encode())
    members: dict[str, Any] = {
        "format": "eim-euicc-import/1",
        "eid": EID,
        "emulated": True,
        "ipa_public_key": public,
        "counter": counter,
        "association_token": 1,
        "euicc_info1": INFO1,
        "ipa_capabilities": "MAiAAgXggQIHgA==",
        "device": {"imei": "353290611234568"},
        "proof": base64.b64encode(proof).decode(),
    }
    members |= changes
    return json.dumps({k: v for k, v in members.items() if v is not None}, separators=(",", ":")).encode() + b"\n"
