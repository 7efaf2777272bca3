"""The emergency (eCall) profile (SGP.32 §5.9.22, §5.9.23), enabled and disabled by the device alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.isdr_state import code, parse

from .refresh_flag import refresh_flag

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

ENABLE, DISABLE = 0xBF5B, 0xBF5C
OK, NOT_DISABLED, NOT_ENABLED, CAT_BUSY, NOT_AVAILABLE = 0, 2, 2, 5, 8


def enable_emergency_profile(isdr: Isdr, raw: bytes) -> bytes:
    """EnableEmergencyProfile: no notifications, and the way back is remembered over resets."""
    state = isdr.state
    refresh = _flag(isdr, raw)
    target = next((p for p in state.profiles if p.ecall), None)
    if target is None or not isdr.quirks.ecall_supported:
        return code(ENABLE, NOT_AVAILABLE)
    if target.enabled:
        return code(ENABLE, NOT_DISABLED)
    if isdr.cat_busy:
        return code(ENABLE, CAT_BUSY)
    former = state.enabled
    profile_switching.switch(isdr, target, refresh=refresh, notify=False)
    state.emergency_return = former.iccid if former is not None else ""
    if refresh:
        state.rollback = None
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return code(ENABLE, OK)


def disable_emergency_profile(isdr: Isdr, raw: bytes) -> bytes:
    """DisableEmergencyProfile: back to the profile that was enabled before."""
    state = isdr.state
    refresh = _flag(isdr, raw)
    if state.emergency_return is None:
        return code(DISABLE, NOT_ENABLED)
    if isdr.cat_busy:
        return code(DISABLE, CAT_BUSY)
    profile_switching.switch(
        isdr, state.profile(state.emergency_return), refresh=refresh, notify=isdr.quirks.notify_emergency_end
    )
    state.emergency_return = None
    if refresh:
        state.rollback = None
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return code(DISABLE, OK)


def _flag(isdr: Isdr, raw: bytes) -> bool:
    flag = refresh_flag(isdr, parse(raw))
    if flag is None:
        raise StatusError(0x6A80)
    return flag
