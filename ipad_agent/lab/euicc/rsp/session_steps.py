"""What the steps of an RSP session leave behind for those that follow (SGP.22 §5.7.13, §5.7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from ipad_agent.lab.euicc.state.card_state import OneTimeKey
    from ipad_agent.lab.euicc.state.euicc_identity import CiIdentity

    from .rsp_certificate import ServerCertificate


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The server has proved who it is. ``address`` is its own word, signed."""

    transaction_id: bytes
    ci: CiIdentity
    certificate: ServerCertificate
    address: str
    euicc_signature1: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """The SM-DP+ may bind a profile to this one-time key and sign the beginning of it with ``binding_key``."""

    binding_key: ec.EllipticCurvePublicKey
    one_time_key: OneTimeKey
