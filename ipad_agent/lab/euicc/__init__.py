"""A virtual SGP.32 eUICC, real enough for anyone's IPA: APDUs in, APDUs out, and a memory that survives power cuts.

``default_card(pki, path)`` is the quick way; ``VirtualEuicc(identity, path, quirks)`` the long one. Other functions, or
other ways to answer, come in by ``smart_card.es10.register``.
"""

from __future__ import annotations

from ipad_agent.lab.euicc.apdu.smart_card import ISDR_AID
from ipad_agent.lab.euicc.es10.eim_entries import EimConfigError
from ipad_agent.lab.euicc.state.card_state import CardState, NotificationTarget, Profile
from ipad_agent.lab.euicc.state.eim_entry_making import eim_configuration
from ipad_agent.lab.euicc.state.euicc_identity import CiIdentity, EuiccIdentity
from ipad_agent.lab.euicc.state.policy_rules import AuthorisationRule, Operator
from ipad_agent.lab.euicc.state.profile_list import (
    BOOTSTRAP,
    EMERGENCY,
    OPERATOR_A,
    OPERATOR_B,
    bulk_profiles,
    default_profiles,
    emergency_profile,
    tbcd,
)

from .card_kinds import KINDS, CardKind, card_kind, fresh_profiles, leave_old_notifications
from .errors import CardError, PowerLostError, StateFileError, StatusError
from .quirks import Accept, Quirks, ResponseMode
from .virtual_euicc import VirtualEuicc, default_card

__all__ = [
    "BOOTSTRAP",
    "EMERGENCY",
    "ISDR_AID",
    "KINDS",
    "OPERATOR_A",
    "OPERATOR_B",
    "Accept",
    "AuthorisationRule",
    "CardError",
    "CardKind",
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
    "card_kind",
    "default_card",
    "default_profiles",
    "eim_configuration",
    "emergency_profile",
    "fresh_profiles",
    "leave_old_notifications",
    "tbcd",
]
