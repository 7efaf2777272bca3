"""Why a service cannot be installed or removed."""

from __future__ import annotations

from ipad_agent.errors import IpadError, Remedy


class InstallationError(IpadError):
    """The machine, or where the program lies, does not allow the service to be installed."""

    remedy = Remedy.ASK_PERSON
