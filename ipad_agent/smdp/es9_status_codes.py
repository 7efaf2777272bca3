"""What the status codes of ES9+ and ES11 mean (SGP.22 v2.5 §5.2.6, §5.6, §5.8): error class and sentence.

The number each has in ESipa comes from ``codec.rsp.rsp_status_codes``, remedy and hint from the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipad_agent.codec.rsp.rsp_json import FunctionStatus
from ipad_agent.codec.rsp.rsp_status_codes import REASONS, error_number

from . import errors
from .errors import StatusRefused

ANY: Final = ""
"""Stands for every function without a row of its own."""

_Row = tuple[type[StatusRefused], str]

MEANINGS: Final[Mapping[tuple[str, str, str], _Row]] = {
    ("InitiateAuthentication", "8.8.1", "3.8"): (errors.AddressRefused, "the server does not go by this address"),
    ("InitiateAuthentication", "8.8.2", "3.1"): (errors.CiUnsupported, "server and eUICC share no CI key"),
    ("InitiateAuthentication", "8.8.3", "3.1"): (
        errors.VersionUnsupported,
        "the server supports no version of the specification that the eUICC has",
    ),
    ("InitiateAuthentication", "8.8.4", "3.7"): (
        errors.CiUnsupported,
        "the server has no certificate that this eUICC could check",
    ),
    ("AuthenticateClient", "8.1.2", "6.1"): (
        errors.CardCertificateRefused,
        "the certificate of the card's manufacturer is not valid",
    ),
    ("AuthenticateClient", "8.1.2", "6.3"): (
        errors.CardCertificateRefused,
        "the certificate of the card's manufacturer has expired",
    ),
    ("AuthenticateClient", "8.1.3", "6.1"): (errors.CardCertificateRefused, "the card's certificate is not valid"),
    ("AuthenticateClient", "8.1.3", "6.3"): (errors.CardCertificateRefused, "the card's certificate has expired"),
    ("AuthenticateClient", "8.1", "6.1"): (errors.SignatureRefused, "the card's signature does not verify"),
    ("AuthenticateClient", "8.2.6", "3.8"): (errors.MatchingIdRefused, "the matching identifier is refused"),
    ("AuthenticateClient", "8.1.1", "3.8"): (errors.EidMismatch, "the profile is reserved for another eUICC"),
    ("AuthenticateClient", "8.2.5", "4.3"): (errors.NoEligibleProfile, "no profile of the server fits this eUICC"),
    ("AuthenticateClient", "8.11.1", "3.9"): (errors.CiUnsupported, "the server does not know the CI of the card"),
    ("AuthenticateClient", "8.10.1", "3.9"): (errors.TransactionUnknown, "the server does not know the session"),
    ("AuthenticateClient", "8.1", "4.8"): (errors.CardFull, "the card has too little memory for the profile"),
    ("AuthenticateClient", "8.2", "1.2"): (errors.ProfileNotReleased, "the profile is not released"),
    ("AuthenticateClient", "8.2.8", "1.2"): (errors.ProfileNotReleased, "the profile's policy rules forbid it"),
    ("AuthenticateClient", "8.8.5", "4.10"): (errors.OrderExpired, "the download order has expired"),
    ("AuthenticateClient", "8.8.5", "6.4"): (errors.OrderExpired, "the download was tried too often"),
    ("AuthenticateClient", "8.9.5", "3.9"): (errors.EventUnknown, "the SM-DS has no such event"),
    ("GetBoundProfilePackage", "8.1", "6.1"): (errors.SignatureRefused, "the card's signature does not verify"),
    ("GetBoundProfilePackage", "8.2.7", "2.2"): (
        errors.ConfirmationCodeRefused,
        "the profile needs a confirmation code",
    ),
    ("GetBoundProfilePackage", "8.2.7", "3.8"): (errors.ConfirmationCodeRefused, "the confirmation code is wrong"),
    ("GetBoundProfilePackage", "8.2.7", "6.4"): (
        errors.ConfirmationCodeRefused,
        "the confirmation code was wrong too often",
    ),
    ("GetBoundProfilePackage", "8.2", "3.7"): (
        errors.RebindingRefused,
        "the profile cannot be bound to this eUICC again",
    ),
    ("GetBoundProfilePackage", "8.8.5", "4.10"): (errors.OrderExpired, "the download order has expired"),
    ("GetBoundProfilePackage", "8.10.1", "3.9"): (errors.TransactionUnknown, "the server does not know the session"),
    ("CancelSession", "8.10.1", "3.9"): (errors.TransactionUnknown, "the server does not know the session"),
    ("CancelSession", "8.1", "6.1"): (errors.SignatureRefused, "the card's signature does not verify"),
    ("CancelSession", "8.8", "3.10"): (errors.WrongServer, "the session belongs to another server"),
    (ANY, "1.2.1", "2.1"): (errors.RequestRefused, "the server finds the caller's name in the request faulty"),
    (ANY, "1.2.2", "2.1"): (errors.RequestRefused, "the server finds the call's number in the request faulty"),
}


def refusal(function: str, status: FunctionStatus, response: bytes = b"") -> StatusRefused:
    """The error for a failed function; a code without a row says at least its reason in words."""
    row = MEANINGS.get((function, status.subject, status.reason)) or MEANINGS.get((ANY, status.subject, status.reason))
    if row is None:
        row = (errors.UnknownRefusal, f"the server refused: {REASONS.get(status.reason, 'no reason that is known')}")
    kind, sentence = row
    number = error_number(function, status.subject, status.reason)
    return kind(function, status, sentence, esipa_error=number, response=response)
