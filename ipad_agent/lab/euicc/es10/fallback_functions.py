"""The fallback mechanism (SGP.32 §5.9.20, §5.9.21): the device's own way to a profile that has the attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.isdr_state import code, parse

from .refresh_flag import refresh_flag

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

EXECUTE, RETURN = 0xBF5D, 0xBF5E
OK, NOT_DISABLED, CAT_BUSY, NOT_AVAILABLE, COMMAND_ERROR, ECALL_ACTIVE = 0, 2, 5, 6, 7, 104


def execute_fallback(isdr: Isdr, raw: bytes) -> bytes:
    """ExecuteFallbackMechanism: remember the enabled profile and enable the one with the attribute."""
    state = isdr.state
    refresh = refresh_flag(isdr, parse(raw))
    former = state.enabled
    target = next((p for p in state.profiles if p.fallback_attribute), None)
    if refresh is None or former is None:
        return code(EXECUTE, COMMAND_ERROR)
    if target is None:
        return code(EXECUTE, NOT_AVAILABLE)
    if target.enabled:
        return code(EXECUTE, NOT_DISABLED)
    if state.emergency_return is not None:
        return code(EXECUTE, ECALL_ACTIVE)
    if isdr.cat_busy:
        return code(EXECUTE, CAT_BUSY)
    profile_switching.switch(isdr, target, refresh=refresh)
    state.fallback_return = former.iccid
    state.rollback = None
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return code(EXECUTE, OK)


def return_from_fallback(isdr: Isdr, raw: bytes) -> bytes:
    """ReturnFromFallback: back to the remembered profile."""
    state = isdr.state
    refresh = refresh_flag(isdr, parse(raw))
    if refresh is None or state.emergency_return is not None:
        return code(RETURN, COMMAND_ERROR)
    if state.fallback_return is None:
        return code(RETURN, NOT_AVAILABLE)
    target = state.profile(state.fallback_return)
    if target is None:
        return code(RETURN, COMMAND_ERROR)
    if isdr.cat_busy:
        return code(RETURN, CAT_BUSY)
    profile_switching.switch(isdr, target, refresh=refresh)
    state.fallback_return = None
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return code(RETURN, OK)
