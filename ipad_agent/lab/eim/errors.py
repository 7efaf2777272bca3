"""What can go wrong in the lab's eIM. None of these is an error of the agent."""

from __future__ import annotations


class EimLabError(Exception):
    """Base of the eIM's errors."""


class RequestRefusedError(EimLabError):
    """A request body that is no ESipa message; a server answers it with 4.00 and this sentence."""


class OrderError(EimLabError):
    """A person asked for a package that cannot be built (bad ICCID, unknown verb, no such EID)."""


class StateFileError(EimLabError):
    """The state file cannot be read or written."""


class ServerError(EimLabError):
    """The server cannot be set up: key and certificate do not fit, or the TLS library lacks something asked for."""


class Es9Error(EimLabError):
    """An SM-DP+ or SM-DS was not reached, or what it answered has no meaning."""


class Es9RefusedError(Es9Error):
    """The server's own refusal; ``code`` is subject and reason, as ``8.2.6/3.8``."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}".rstrip())
        self.code = code


class InjectionError(EimLabError):
    """A device that packages are pushed to was not reached, or is another one."""


class CompactError(EimLabError):
    """A compact form leaves out something that this eIM does not know."""
