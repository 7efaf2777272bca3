"""What an eIM signs and what it checks (SGP.32 v1.2 §2.11.1, §2.11.2).

Both sides append their copy of the association token as ``84 L token`` to the signed data; it is not transmitted.
``84 01 00`` stands for "no token".
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import sign_raw, verify_raw

SIGNATURE = 0x5F37


def token_tlv(token: int | None) -> bytes:
    """The TLV that ends the signature input: 128 is ``84 02 00 80``, none is ``84 01 00``."""
    return der.integer(token or 0, 0x84)


def unsigned_token_tlv(token: int | None) -> bytes:
    """The same as one eIM writes it, without the sign byte: 128 is ``84 01 80``."""
    value = token or 0
    if value < 0:
        return token_tlv(token)
    return der.tlv(0x84, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def sign_package(key: ec.EllipticCurvePrivateKey, signed: bytes, token: int | None, form: str = "raw") -> bytes:
    """The 5F37 TLV over euiccPackageSigned. ``form``: ``raw`` (right), ``der``, ``wrong-key`` or ``corrupt``."""
    data = signed + token_tlv(token)
    match form:
        case "raw":
            signature = sign_raw(key, data)
        case "der":
            signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
        case "wrong-key":
            signature = sign_raw(ec.generate_private_key(key.curve), data)
        case "corrupt":
            right = sign_raw(key, data)
            signature = right[:-1] + bytes([right[-1] ^ 1])
        case _:
            raise ValueError(f"unknown signature form {form!r}")
    return der.tlv(SIGNATURE, signature)


def verify_result(
    key: ec.EllipticCurvePublicKey,
    data: bytes,
    signature: bytes,
    token: int | None,
    request_signature: bytes | None,
) -> str | None:
    """Which input ``signature`` is over, or None if none of the known ones.

    ``token`` (v1.1 and later), ``token-unsigned`` (the same with an unsigned token), ``request`` (v1.0: the
    request's eimSignature follows, as TLV or as bare value). ``request_signature`` is the value of its 5F37.
    """
    inputs = {"token": token_tlv(token), "token-unsigned": unsigned_token_tlv(token)}
    for name, tail in inputs.items():
        if verify_raw(key, signature, data + tail):
            return name
    if request_signature is not None:
        for tail in (der.tlv(SIGNATURE, request_signature), request_signature):
            if verify_raw(key, signature, data + tail):
                return "request"
    return None
