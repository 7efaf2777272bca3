"""Status codes of ES9+ and of the JSON binding of ESipa as the error numbers of the ASN.1 binding.

SGP.22 v2.5 §5.2.6 and §5.6, SGP.32 v1.2 §6.4 (tables for the JSON functions). Functions have their ESipa names.
"""

from __future__ import annotations

from typing import Final

UNDEFINED_ERROR: Final = 127

_SGP22: Final[dict[tuple[str, str, str], int]] = {
    ("InitiateAuthentication", "8.8.1", "3.8"): 1,
    ("InitiateAuthentication", "8.8.2", "3.1"): 3,
    ("InitiateAuthentication", "8.8.3", "3.1"): 2,
    ("AuthenticateClient", "8.1.2", "6.1"): 1,
    ("AuthenticateClient", "8.1.2", "6.3"): 2,
    ("AuthenticateClient", "8.1.3", "6.1"): 3,
    ("AuthenticateClient", "8.1.3", "6.3"): 4,
    ("AuthenticateClient", "8.1", "6.1"): 5,
    ("AuthenticateClient", "8.2.6", "3.8"): 6,
    ("AuthenticateClient", "8.1.1", "3.8"): 7,
    ("AuthenticateClient", "8.2.5", "4.3"): 8,
    ("AuthenticateClient", "8.11.1", "3.9"): 9,
    ("AuthenticateClient", "8.10.1", "3.9"): 10,
    ("AuthenticateClient", "8.1", "4.8"): 11,
    ("AuthenticateClient", "8.8.5", "4.10"): 18,
    ("AuthenticateClient", "8.9.5", "3.9"): 56,
    ("GetBoundProfilePackage", "8.1", "6.1"): 1,
    ("GetBoundProfilePackage", "8.2.7", "2.2"): 2,
    ("GetBoundProfilePackage", "8.2.7", "3.8"): 3,
    ("GetBoundProfilePackage", "8.2.7", "6.4"): 4,
    ("GetBoundProfilePackage", "8.2", "3.7"): 5,
    ("GetBoundProfilePackage", "8.8.5", "4.10"): 6,
    ("GetBoundProfilePackage", "8.10.1", "3.9"): 95,
    ("CancelSession", "8.10.1", "3.9"): 1,
    ("CancelSession", "8.1", "6.1"): 2,
}
_SGP32: Final[dict[tuple[str, str, str], int]] = {
    ("InitiateAuthentication", "8.31.2", "3.10"): 52,
    ("InitiateAuthentication", "8.8.1", "3.10"): 50,
    ("InitiateAuthentication", "8.8", "3.10"): 51,
    ("AuthenticateClient", "8.2.8", "1.2"): 50,
    ("GetBoundProfilePackage", "8.2.9", "3.11"): 50,
    ("GetEimPackage", "8.1.1", "3.7"): 1,
    ("GetEimPackage", "8.1.1", "2.1"): 3,
    ("GetEimPackage", "8.1.1", "2.2"): 4,
    ("GetEimPackage", "8.1.1", "3.9"): 2,
    ("ProvideEimPackageResult", "8.1.1", "2.1"): 3,
    ("ProvideEimPackageResult", "8.1.1", "2.2"): 4,
    ("ProvideEimPackageResult", "8.1.1", "3.9"): 2,
}
ERROR_NUMBERS: Final = {**_SGP22, **_SGP32}
"""(function, subject code, reason code) to error number."""

REASONS: Final[dict[str, str]] = {
    "1.1": "access error",
    "1.2": "not allowed",
    "2.1": "invalid",
    "2.2": "mandatory element missing",
    "2.3": "conditional element missing",
    "3.1": "unsupported",
    "3.3": "already in use",
    "3.7": "unavailable",
    "3.8": "refused",
    "3.9": "unknown",
    "3.10": "invalid association",
    "3.11": "value has changed",
    "4.2": "execution error",
    "4.3": "stopped on warning",
    "4.8": "insufficient memory",
    "4.10": "time to live expired",
    "5.1": "inaccessible",
    "6.1": "verification failed",
    "6.3": "expired",
    "6.4": "maximum number of retries exceeded",
}
"""Reason codes in words, whatever they are about."""


def error_number(function: str, subject: str, reason: str) -> int:
    """The number for a status code; ``undefinedError`` (127) where the tables have none."""
    return ERROR_NUMBERS.get((function, subject, reason), UNDEFINED_ERROR)
