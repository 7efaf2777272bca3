"""What can go wrong between this device and an eIM beyond the network itself."""
# ruff: noqa: N818 - the names say what happened; the base classes say that they are errors

from __future__ import annotations

from ipad_agent.errors import ConfigError, EimError


class UnreadableAnswer(EimError):
    """The body of a successful answer is no message of ESipa. What was to be delivered is still owed."""

    default_hint = "Record the exchange and report it to the eIM's maker."

    def __init__(self, function: str, problem: str) -> None:
        super().__init__(f"the answer to {function} cannot be read: {problem}")
        self.function = function


class EndpointUnknown(ConfigError):
    """Neither the eUICC nor the configuration says where the eIM is."""


class TrustUnknown(ConfigError):
    """Neither the eUICC nor the configuration says by what to recognise the eIM."""


class CarrierExcluded(ConfigError):
    """The eIM's entry in the eUICC names no way to it that this agent has."""
