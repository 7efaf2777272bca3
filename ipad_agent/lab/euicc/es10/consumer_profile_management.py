"""The local profile management of a consumer eUICC (SGP.22 §5.7.16 to §5.7.21), for LPAs; not offered to an IPAd.

A test profile may be enabled whatever policy the operator's profile has. When it is disabled the profile from before it
is enabled again, and no other operator's profile may take its place before (wrongProfileReenabling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.card_state import PPR1, PPR2, TEST, Profile
from ipad_agent.lab.euicc.state.isdr_state import code, parse
from ipad_agent.lab.euicc.state.profile_list import tbcd

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

OK, NOT_FOUND, WRONG_STATE, BY_POLICY, WRONG_REENABLING, CAT_BUSY = range(6)
MAX_NICKNAME_BYTES = 64
_UNDEFINED = 127


def enable_profile(isdr: Isdr, raw: bytes) -> bytes:
    """EnableProfile: BF31 { A0 { 4F / 5A }, 81 refreshFlag }."""
    request = parse(raw)
    target, current = _find(isdr, request.get(0xA0)), isdr.state.enabled
    refresh = request.get(0x81).boolean()
    if target is None:
        return code(0xBF31, NOT_FOUND)
    if target.enabled:
        return code(0xBF31, WRONG_STATE)
    if current is not None and current.profile_class == TEST and target.profile_class != TEST:
        if isdr.state.before_test_profile not in ("", target.iccid):
            return code(0xBF31, WRONG_REENABLING)
    elif current is not None and target.profile_class != TEST and PPR1 in current.ppr:
        return code(0xBF31, BY_POLICY)
    return _switch(isdr, 0xBF31, target, refresh)


def disable_profile(isdr: Isdr, raw: bytes) -> bytes:
    """DisableProfile: BF32 { A0 { 4F / 5A }, 81 refreshFlag }."""
    request = parse(raw)
    target = _find(isdr, request.get(0xA0))
    refresh = request.get(0x81).boolean()
    if target is None:
        return code(0xBF32, NOT_FOUND)
    if not target.enabled:
        return code(0xBF32, WRONG_STATE)
    if PPR1 in target.ppr:
        return code(0xBF32, BY_POLICY)
    before = isdr.state.before_test_profile if target.profile_class == TEST else ""
    return _switch(isdr, 0xBF32, isdr.state.profile(before), refresh)


def delete_profile(isdr: Isdr, raw: bytes) -> bytes:
    """DeleteProfile: BF33 { 4F / 5A }."""
    target = _find(isdr, parse(raw))
    if target is None:
        return code(0xBF33, NOT_FOUND)
    if target.enabled:
        return code(0xBF33, WRONG_STATE)
    if PPR2 in target.ppr:
        return code(0xBF33, BY_POLICY)
    profile_switching.remove(isdr, target)
    isdr.commit()
    return code(0xBF33, OK)


def set_nickname(isdr: Isdr, raw: bytes) -> bytes:
    """SetNickname: BF29 { 5A iccid, 90 name }."""
    request = parse(raw)
    target, name = _find(isdr, request), request.get(0x90)
    if target is None:
        return code(0xBF29, NOT_FOUND)
    if len(name.value) > MAX_NICKNAME_BYTES:
        return code(0xBF29, _UNDEFINED)
    target.nickname = name.text()
    isdr.commit()
    return code(0xBF29, OK)


def _switch(isdr: Isdr, tag: int, target: Profile | None, refresh: bool) -> bytes:
    if isdr.state.emergency_return is not None:
        return code(tag, _UNDEFINED)
    if isdr.cat_busy:
        return code(tag, CAT_BUSY)
    current = isdr.state.enabled
    if target is None or target.profile_class != TEST:
        isdr.state.before_test_profile = ""
    elif current is not None and current.profile_class != TEST:
        isdr.state.before_test_profile = current.iccid
    profile_switching.switch(isdr, target, refresh=refresh)
    isdr.state.rollback = None
    isdr.state.fallback_return = None
    isdr.commit()
    isdr.step("after-swap")
    return code(tag, OK)


def _find(isdr: Isdr, identifier: der.Node) -> Profile | None:
    wanted = identifier.find(0x4F, 0x5A)
    if wanted is None:
        raise der.DerError("neither AID nor ICCID")
    for profile in isdr.state.profiles:
        if wanted.value == (profile.aid if wanted.tag == 0x4F else tbcd(profile.iccid)):
            return profile
    return None
