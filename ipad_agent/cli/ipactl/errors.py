"""What a command cannot do, with the exit status that says so."""

from __future__ import annotations

from ipad_agent.errors import IpadError

from .exit_codes import Exit


class CommandError(IpadError):
    """A command that ends without having done what was asked. ``name`` is a word for scripts (``--json``)."""

    exit = Exit.FAILED
    name = "Failed"


class NotRunningError(CommandError):
    """Nobody listens at the agent's socket."""

    exit = Exit.NOT_RUNNING
    name = "NotRunning"


class NotAllowedError(CommandError):
    """The system does not let this user talk to the agent."""

    exit = Exit.REFUSED
    name = "NotAuthorized"


class NoAnswerError(CommandError):
    """The agent took the question and said nothing that can be read, in the time it had."""

    name = "NoAnswer"


class OutputError(CommandError):
    """The standard output takes nothing: a full disk behind it, for instance."""

    name = "Output"


class UsageError(CommandError):
    """The command line makes no sense for this device."""

    exit = Exit.USAGE
    name = "Usage"


class UnavailableError(CommandError):
    """This device, card or agent has not got what was asked for."""

    name = "Unavailable"


class RefusedError(CommandError):
    """The command is not for an IPA to do, or the agent said no. ``facts`` are the agent's own words."""

    exit = Exit.REFUSED
    name = "Refused"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        name: str = "Refused",
        exit: Exit = Exit.REFUSED,
        facts: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.exit = exit
        self.facts = facts or {}
