"""ProfileRollback (SGP.32 §5.9.16): once back to the profile before an enable with rollbackFlag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.es10.refresh_flag import refresh_flag
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.isdr_state import parse

from .load_euicc_package import successor_after_rollback

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

ROLLBACK = 0xBF58
OK, NOT_ALLOWED, CAT_BUSY, COMMAND_ERROR = 0, 1, 5, 7


def profile_rollback(isdr: Isdr, raw: bytes) -> bytes:
    """BF58 { 80 refreshFlag } -> BF58 { 02 code, BF51 the result that replaces the stored one }."""
    state = isdr.state
    refresh = refresh_flag(isdr, parse(raw))
    if refresh is None:
        return _answer(isdr, COMMAND_ERROR)
    grant = state.rollback
    previous = state.profile(grant.previous) if grant is not None else None
    if grant is None or previous is None or state.emergency_return is not None:
        return _answer(isdr, NOT_ALLOWED)
    if isdr.cat_busy:
        return _answer(isdr, CAT_BUSY)
    profile_switching.switch(isdr, previous, refresh=refresh)
    state.rollback = None
    state.fallback_return = None
    successor = successor_after_rollback(isdr, grant.seq)
    isdr.step("before-swap")
    isdr.commit()
    isdr.step("after-swap")
    return _answer(isdr, OK, successor.raw if successor is not None else b"")


def _answer(isdr: Isdr, result: int, package_result: bytes = b"") -> bytes:
    return der.tlv(ROLLBACK, der.integer(result, isdr.quirks.rollback_result_tag), package_result)
