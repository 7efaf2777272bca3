"""Why an examination did not begin, or ended early."""

from __future__ import annotations

from ipad_agent.errors import ModemError, Remedy


class PortHeld(ModemError):
    """Somebody else has the port; it is not touched."""

    remedy = Remedy.ASK_PERSON


class NoModemAnswers(ModemError):
    """The port opens, and what is behind it does not speak AT. ``seems`` says what it looks like."""

    remedy = Remedy.ASK_PERSON

    def __init__(self, message: str, *, seems: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.seems = seems


class WouldChange(ModemError):
    """A command that does not only read was about to be sent: a defect of the examination, and nothing was sent."""

    default_hint = "This is a mistake of this program; nothing was changed. Please report it."


class ReportUnreadable(ModemError):
    """A file that is no report of an examination."""

    remedy = Remedy.ASK_PERSON
