"""EuiccMemoryReset (SGP.32 §5.9.5, BF64; BF34 in v1.0 and SGP.22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.card_state import OPERATIONAL, PROVISIONING, TEST, Profile
from ipad_agent.lab.euicc.state.isdr_state import code, parse

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

OK, NOTHING_TO_DELETE, NOT_SUPPORTED, CAT_BUSY, ECALL_ACTIVE = 0, 1, 2, 5, 104
IMMEDIATE_NOT_SUPPORTED = 1
_OPERATIONAL, _FIELD_TEST, _SMDP_ADDRESS, _PRELOADED_TEST, _PROVISIONING = range(5)


def euicc_memory_reset(isdr: Isdr, raw: bytes) -> bytes:
    """{ 82 bits } -> { 80 profiles and address, 81 eIMs if asked, 82 immediate enabling if asked }.

    Asked only for the latter two, resetResult is ok.
    """
    request = parse(raw)
    quirks, state = isdr.quirks, isdr.state
    wanted = request.get(0x82).bits()
    if state.emergency_return is not None:
        return code(request.tag, ECALL_ACTIVE)
    if isdr.cat_busy:
        return code(request.tag, CAT_BUSY)
    if quirks.consumer:
        return _reset_consumer_card(isdr, request.tag, wanted)
    # The bits of the eIMs and of immediate enabling have moved from v1.0 to v1.1: they win over the profile bits.
    profile_bits = wanted & set(range(5)) - {quirks.eim_reset_bit, quirks.immediate_enable_reset_bit}
    answer = [der.integer(_reset_profiles(isdr, profile_bits), 0x80)]
    if quirks.eim_reset_bit in wanted:
        answer.append(der.integer(_reset_eims(isdr), 0x81))
    if quirks.immediate_enable_reset_bit in wanted:
        answer.append(der.integer(_reset_immediate_enable(isdr), 0x82))
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return der.tlv(request.tag, *answer)


def _reset_consumer_card(isdr: Isdr, tag: int, wanted: frozenset[int] | set[int]) -> bytes:
    """eUICCMemoryReset (SGP.22 §5.7.19): { 82 bits 0 to 2 } -> { 80 }; bits that came later ask for nothing here."""
    bits = set(wanted) & {_OPERATIONAL, _FIELD_TEST, _SMDP_ADDRESS}
    result = _reset_profiles(isdr, bits) if bits else NOTHING_TO_DELETE
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return code(tag, result)


def _reset_profiles(isdr: Isdr, bits: frozenset[int] | set[int]) -> int:
    if not bits:
        return OK
    state = isdr.state
    doomed = [p for p in state.profiles if _kind(p) in bits]
    address = _SMDP_ADDRESS in bits and state.default_smdp != state.factory_smdp
    if not doomed and not address:
        return NOTHING_TO_DELETE
    if any(p.enabled for p in doomed):
        profile_switching.switch(isdr, None, refresh=True, notify=False)
    for profile in doomed:
        profile_switching.remove(isdr, profile)
    if doomed:
        state.rollback = None
        state.fallback_return = None
    if address:
        state.default_smdp = state.factory_smdp
    return OK


def _kind(profile: Profile) -> int | None:
    """The reset bit that a profile falls under."""
    if profile.profile_class == TEST:
        return _PRELOADED_TEST if profile.preloaded else _FIELD_TEST
    return {OPERATIONAL: _OPERATIONAL, PROVISIONING: _PROVISIONING}.get(profile.profile_class)


def _reset_eims(isdr: Isdr) -> int:
    if not isdr.quirks.eim_reset_supported:
        return NOT_SUPPORTED
    if not isdr.state.eims:
        return NOTHING_TO_DELETE
    isdr.state.eims.clear()
    return OK


def _reset_immediate_enable(isdr: Isdr) -> int:
    if not isdr.quirks.immediate_enable_reset_supported:
        return IMMEDIATE_NOT_SUPPORTED
    isdr.state.immediate_enable = None
    return OK
