"""One-time key pairs (otSK.EUICC, otPK.EUICC): made for one profile, kept until that profile is there or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.euicc.state.card_state import OneTimeKey

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

_MAX_KEPT = 4
_SCALAR_BYTES = 32
_CURVES: dict[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "brainpoolP256r1": ec.BrainpoolP256R1()}
_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "brainpoolP256r1": 0xA9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7,
}


def one_time_key(isdr: Isdr, smdp_oid: str, curve: str, wanted: bytes | None) -> OneTimeKey:
    """The kept key whose public point is ``wanted``, else a new one; uncommitted (SGP.22 §5.7.5).

    A new one pushes out the oldest when there are many: their profiles would have to be bound anew.
    """
    keys = isdr.state.one_time_keys
    if isdr.quirks.reuse_one_time_keys:
        for kept in keys:
            if (kept.public, kept.smdp_oid, kept.curve) == (wanted, smdp_oid, curve):
                return kept
    scalar = int.from_bytes(isdr.random(_SCALAR_BYTES + 8), "big") % (_ORDERS[curve] - 1) + 1
    key = ec.derive_private_key(scalar, _CURVES[curve])
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    new = OneTimeKey(smdp_oid, curve, scalar.to_bytes(_SCALAR_BYTES, "big"), point)
    isdr.state.one_time_keys = [*keys, new][-_MAX_KEPT:]
    return new


def private_key(key: OneTimeKey) -> ec.EllipticCurvePrivateKey:
    """otSK.EUICC."""
    return ec.derive_private_key(int.from_bytes(key.private, "big"), _CURVES[key.curve])


def forget(isdr: Isdr, key: OneTimeKey) -> None:
    """The key has served, uncommitted."""
    isdr.state.one_time_keys = [kept for kept in isdr.state.one_time_keys if kept.public != key.public]
