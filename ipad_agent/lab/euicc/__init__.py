"""A virtual SGP.32 eUICC, real enough for anyone's IPA: APDUs in, APDUs out, and a memory that survives power cuts.

``default_card(pki, path)`` is the quick way; ``VirtualEuicc(identity, path, quirks)`` the long one. Other functions, or
other ways to answer, come in by ``card.es10.register``.
"""

from __future__ import annotations

from .card import ISDR_AID
from .eim_config import EimConfigError
from .errors import CardError, PowerLostError, StateFileError, StatusError
from .identity import CiIdentity, EuiccIdentity
from .profiles import (
    BOOTSTRAP,
    EMERGENCY,
    OPERATOR_A,
    OPERATOR_B,
    bulk_profiles,
    default_profiles,
    emergency_profile,
    tbcd,
)
from .provisioning import eim_configuration
from .quirks import Accept, Quirks, ResponseMode
from .rsp_rules import AuthorisationRule, Operator
from .state import CardState, NotificationTarget, Profile
from .virtual import VirtualEuicc, default_card

__all__ = [
    "BOOTSTRAP",
    "EMERGENCY",
    "ISDR_AID",
    "OPERATOR_A",
    "OPERATOR_B",
    "Accept",
    "AuthorisationRule",
    "CardError",
    "CardState",
    "CiIdentity",
    "EimConfigError",
    "EuiccIdentity",
    "NotificationTarget",
    "Operator",
    "PowerLostError",
    "Profile",
    "Quirks",
    "ResponseMode",
    "StateFileError",
    "StatusError",
    "VirtualEuicc",
    "bulk_profiles",
    "default_card",
    "default_profiles",
    "eim_configuration",
    "emergency_profile",
    "tbcd",
]
