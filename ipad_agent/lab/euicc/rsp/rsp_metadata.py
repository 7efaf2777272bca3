"""StoreMetadata (SGP.22 §5.5.3 with the fields of SGP.32): a profile's description, and whether this card takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.card_state import OPERATIONAL, PROVISIONING, TEST, NotificationTarget, Profile
from ipad_agent.lab.euicc.state.policy_rules import Operator, policy_allowed
from ipad_agent.lab.euicc.state.profile_list import digits, tbcd

from . import installation_result

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

STORE_METADATA = 0xBF25
MAX_SERVICE_PROVIDER, MAX_NAME, MAX_ICON_BYTES = 32, 64, 1024
_EVENTS = range(4)
_MCC_MNC_BYTES = 3


def read_metadata(content: bytes) -> Profile:
    """A disabled profile without AID out of BF25; ``DerError`` when fields are missing or out of their limits."""
    node = der.parse(content, ber=True)
    if node.tag != STORE_METADATA:
        raise der.DerError(f"{node.tag:X} is not StoreMetadata")
    icon_type, icon = node.find(0x93), node.find(0x94)
    profile_class, policy, owner = node.find(0x95), node.find(0x99), _owner(node)
    service_data, targets = node.find(0xBF22), node.find(0xB6)
    ecall, fallback = node.find(0x9F7B), node.find(0x9F67)
    profile = Profile(
        _iccid(node.get(0x5A).value),
        b"",
        name=_text(node.get(0x92), MAX_NAME),
        service_provider=_text(node.get(0x91), MAX_SERVICE_PROVIDER),
        profile_class=profile_class.integer() if profile_class is not None else OPERATIONAL,
        icon_type=icon_type.integer() if icon_type is not None else None,
        icon=icon.value if icon is not None else b"",
        notify=_targets(targets) if targets is not None else [],
        ppr=sorted(policy.bits()) if policy is not None else [],
        service_data=service_data.value if service_data is not None else b"",
        ecall=ecall is not None and ecall.boolean(),
        fallback_allowed=fallback is not None and fallback.boolean(),
    )
    if owner is not None:
        profile.mcc_mnc, profile.gid1, profile.gid2 = owner.mcc_mnc, owner.gid1, owner.gid2
    if len(profile.icon) > MAX_ICON_BYTES or profile.icon_type not in (None, 0, 1):
        raise der.DerError("the icon is not a small JPEG or PNG")
    if profile.profile_class not in (TEST, PROVISIONING, OPERATIONAL):
        raise der.DerError("the profile class is unknown")
    return profile


def objection(isdr: Isdr, profile: Profile) -> int | None:
    """The ErrorReason for which this card does not take the profile; None when it does."""
    state, quirks = isdr.state, isdr.quirks
    owner = Operator(profile.mcc_mnc, profile.gid1, profile.gid2) if profile.mcc_mnc else None
    allowed = policy_allowed(
        profile.ppr,
        owner,
        quirks.rules,
        forbidden=quirks.forbidden_ppr,
        operational_installed=any(p.profile_class == OPERATIONAL for p in state.profiles),
    )
    if state.profile(profile.iccid) is not None:
        return installation_result.ICCID_EXISTS
    if profile.profile_class not in quirks.profile_classes:
        return installation_result.UNSUPPORTED_CLASS
    return None if allowed else installation_result.PPR_NOT_ALLOWED


def _iccid(raw: bytes) -> str:
    iccid = digits(raw)
    try:
        same = tbcd(iccid) == raw
    except ValueError as error:
        raise der.DerError("not an ICCID") from error
    if not same:
        raise der.DerError("not an ICCID")
    return iccid


def _text(node: der.Node, limit: int) -> str:
    text = node.text()
    if len(text) > limit:
        raise der.DerError(f"{node.tag:X} is longer than {limit}")
    return text


def _owner(metadata: der.Node) -> Operator | None:
    node = metadata.find(0xB7)
    if node is None:
        return None
    gid1, gid2 = node.find(0x81), node.find(0x82)
    mcc_mnc = node.get(0x80).value
    if len(mcc_mnc) != _MCC_MNC_BYTES:
        raise der.DerError("mccMnc is not 3 bytes")
    return Operator(mcc_mnc, gid1.value if gid1 is not None else None, gid2.value if gid2 is not None else None)


def _targets(node: der.Node) -> list[NotificationTarget]:
    """One entry for each event of each element, in their order."""
    return [
        NotificationTarget(event, element.get(0x81).text())
        for element in node.children
        for event in sorted(element.get(0x80).bits())
        if event in _EVENTS
    ]
