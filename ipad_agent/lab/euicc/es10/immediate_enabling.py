"""Immediate enabling of a profile that was just installed (SGP.32 §5.9.15, §5.9.17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.card_state import PPR1, ImmediateEnable
from ipad_agent.lab.euicc.state.isdr_state import code, parse

from .refresh_flag import refresh_flag

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Installed, Isdr

IMMEDIATE_ENABLE, CONFIGURE = 0xBF5A, 0xBF59
OK, NOT_AVAILABLE, INSUFFICIENT_MEMORY, EIM_EXISTS, NO_SESSION, CAT_BUSY = 0, 1, 1, 2, 4, 5
MAX_ADDRESS_BYTES = 255


def immediate_enable(isdr: Isdr, raw: bytes) -> bytes:
    """ImmediateEnable: enable what the RSP session just installed, if that is configured."""
    state, installed = isdr.state, isdr.installed
    refresh = _flag(isdr, parse(raw))
    if state.immediate_enable is None:
        return code(IMMEDIATE_ENABLE, NOT_AVAILABLE)
    target = state.profile(installed.iccid) if installed is not None else None
    if installed is None or target is None:
        return code(IMMEDIATE_ENABLE, NO_SESSION)
    current = state.enabled
    held = state.emergency_return is not None or (current is not None and PPR1 in current.ppr)
    if held or target.ecall or not _source_matches(state.immediate_enable, installed):
        return code(IMMEDIATE_ENABLE, NOT_AVAILABLE)
    if isdr.cat_busy:
        return code(IMMEDIATE_ENABLE, CAT_BUSY)
    profile_switching.switch(isdr, target, refresh=refresh)
    if refresh:
        state.rollback = None
    state.fallback_return = None
    isdr.commit()
    isdr.step("after-swap")
    return code(IMMEDIATE_ENABLE, OK)


def configure_command(isdr: Isdr, raw: bytes) -> bytes:
    """ConfigureImmediateProfileEnabling by the IPA: only while no eIM is associated."""
    if isdr.state.eims:
        return code(CONFIGURE, EIM_EXISTS)
    result = configure(isdr, parse(raw))
    isdr.commit()
    return code(CONFIGURE, result)


def configure(isdr: Isdr, request: der.Node) -> int:
    """Store what 80 (on), 81 (only from this OID), 82 (only from this address) say, uncommitted; the result code."""
    smdp_oid, address = request.find(0x81), request.find(0x82)
    if address is not None and len(address.value) > MAX_ADDRESS_BYTES:
        return INSUFFICIENT_MEMORY
    chosen = ImmediateEnable(
        smdp_oid.oid() if smdp_oid is not None else None, address.text() if address is not None else None
    )
    isdr.state.immediate_enable = chosen if request.find(0x80) is not None else None
    return OK


def _flag(isdr: Isdr, request: der.Node) -> bool:
    if not isdr.quirks.immediate_enable_empty:
        flag = refresh_flag(isdr, request)
        if flag is None:
            raise StatusError(0x6A80)
        return flag
    if request.value:
        raise StatusError(0x6A80)
    return True


def _source_matches(wanted: ImmediateEnable, installed: Installed) -> bool:
    if wanted.smdp_oid is not None and wanted.smdp_oid != installed.smdp_oid:
        return False
    return wanted.smdp_address is None or wanted.smdp_address.lower() == installed.smdp_address.lower()
