"""How ``ipactl`` ends: numbers that scripts can rely on."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ipad_agent.local.model import Severity, State, Status


class Exit(IntEnum):
    """The exit status of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    WAITING = 4
    NO_CARD = 5
    NO_MODEM = 6
    NO_EIM = 7
    NOT_RUNNING = 8


MEANING: Final = {
    Exit.DONE: "done; for status: everything is fine",
    Exit.FAILED: "failed, or something needs a person",
    Exit.USAGE: "the command line or the configuration is wrong",
    Exit.REFUSED: "refused: by a rule, or because this user may not",
    Exit.WAITING: "waiting: a change is not proved yet, or something is still to be delivered",
    Exit.NO_CARD: "no card that the agent can serve",
    Exit.NO_MODEM: "no modem",
    Exit.NO_EIM: "no manager (eIM), or it cannot be reached",
    Exit.NOT_RUNNING: "the agent is not running",
}

_OF_STATE: Final = {
    State.STARTING: Exit.WAITING,
    State.READY: Exit.DONE,
    State.POLLING: Exit.DONE,
    State.DOWNLOADING: Exit.DONE,
    State.SWITCHING: Exit.WAITING,
    State.ROLLING_BACK: Exit.WAITING,
    State.ROLLED_BACK: Exit.FAILED,
    State.FALLBACK: Exit.FAILED,
    State.EMERGENCY: Exit.WAITING,
    State.NO_COVERAGE: Exit.FAILED,
    State.EIM_UNREACHABLE: Exit.NO_EIM,
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
    return Exit.WAITING if known is Exit.DONE and status.owed else known
