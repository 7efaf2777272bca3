"""How ``ipactl`` ends: numbers that scripts can rely on."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


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
