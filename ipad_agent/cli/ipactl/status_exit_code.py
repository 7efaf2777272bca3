"""The exit status that says how the device is."""

from __future__ import annotations

from typing import Final

from ipad_agent.local.status_model import Severity, State, Status

from .exit_codes import Exit

_OF_STATE: Final = {
    State.STARTING: Exit.WAITING,
    State.READY: Exit.DONE,
    State.ORDER_FAILED: Exit.FAILED,
    State.POLLING: Exit.DONE,
    State.DOWNLOADING: Exit.DONE,
    State.SWITCHING: Exit.WAITING,
    State.ROLLING_BACK: Exit.WAITING,
    State.ROLLED_BACK: Exit.FAILED,
    State.FALLBACK: Exit.FAILED,
    State.EMERGENCY: Exit.WAITING,
    State.NO_COVERAGE: Exit.FAILED,
    State.EIM_UNREACHABLE: Exit.NO_EIM,
    State.EIM_REFUSES: Exit.WAITING,
    State.UNMANAGED: Exit.NO_EIM,
    State.HELD: Exit.WAITING,
    State.CONSUMER_CARD: Exit.NO_CARD,
    State.IPAE_CARD: Exit.NO_CARD,
    State.NO_CARD: Exit.NO_CARD,
    State.NO_MODEM: Exit.NO_MODEM,
    State.TROUBLE: Exit.FAILED,
}


def exit_of(status: Status) -> Exit:
    """The exit status that says how the device is. A state that a newer agent invented goes by its severity."""
    known = _OF_STATE.get(status.verdict.state)
    if known is None:
        by_severity = {Severity.BAD: Exit.FAILED, Severity.WAITING: Exit.WAITING}
        return by_severity.get(status.verdict.severity, Exit.DONE)
    if known is Exit.FAILED and status.verdict.severity is Severity.WAITING:  # as a fallback that somebody wanted
        return Exit.WAITING
    return Exit.WAITING if known is Exit.DONE and status.owed else known
