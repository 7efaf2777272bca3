"""What can go wrong on the bench itself. None of these is an error of the agent."""

from __future__ import annotations


class BenchError(Exception):
    """Base of the bench's errors."""


class AgentEndedError(BenchError):
    """The agent's process ended while something was expected of it."""


class NothingHappenedError(BenchError):
    """What was waited for did not come before the deadline; the message shows what came instead."""


class ControlError(BenchError):
    """An order to a running lab could not be given, or was refused."""
