"""What can go wrong between this device and an eIM beyond the network itself."""

from __future__ import annotations

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.errors import ConfigError, EimError, Remedy


class UnreadableAnswer(EimError):
    """The body of a successful answer is no message of ESipa. What was to be delivered is still owed."""

    default_hint = "Record the exchange and report it to the eIM's maker."

    def __init__(self, function: str, problem: str, *, body: bytes = b"") -> None:
        super().__init__(f"the answer to {function} cannot be read: {problem}")
        self.function = function
        self.problem = problem
        self.body = body


class FunctionRefused(EimError):
    """The eIM answered with an error number; ``code`` has its name, ``status`` what a JSON answer said besides."""

    remedy = Remedy.GIVE_UP
    default_hint = "The eIM or the SM-DP+ behind it refused; its log has the details."

    def __init__(self, function: str, code: ResultCode, *, status: str = "") -> None:
        super().__init__(f"{function} was refused: {status or f'{code.name} ({int(code)})'}")
        self.function = function
        self.code = code
        self.status = status


class EndpointUnknown(ConfigError):
    """Neither the eUICC nor the configuration says where the eIM is."""


class TrustUnknown(ConfigError):
    """Neither the eUICC nor the configuration says by what to recognise the eIM."""


class CarrierExcluded(ConfigError):
    """The eIM's entry in the eUICC names no way to it that this agent has."""
