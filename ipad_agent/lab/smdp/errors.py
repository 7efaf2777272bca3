"""What can go wrong at the lab's SM-DP+ and SM-DS: refusals that a client is told, and orders that make no sense."""

from __future__ import annotations

from .status_words import Status


class SmdpError(Exception):
    """The lab asked for something that its SM-DP+ or SM-DS does not have or know."""


class RefusalError(Exception):
    """The request is answered with this status instead of a result."""

    def __init__(self, status: Status, detail: str = "") -> None:
        super().__init__(f"{status.subject}/{status.reason} {detail or status.message}")
        self.status = status
        self.detail = detail


class MalformedError(Exception):
    """The request is not what the function takes: a field is missing, or is not base64, DER or of the right type."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
