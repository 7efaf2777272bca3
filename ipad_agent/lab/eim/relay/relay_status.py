"""ES9+ status codes and ESipa error codes, to and fro by name (SGP.22 §5.6, SGP.32 v1.2 §6.4 tables 9a to 21)."""

from __future__ import annotations

from ipad_agent.lab.eim import esipa_messages

UNDEFINED = esipa_messages.UNDEFINED

INVALID_DP_ADDRESS, VERSION_NOT_SUPPORTED, CI_NOT_SUPPORTED = 1, 2, 3
ADDRESS_MISMATCH, OID_MISMATCH, INVALID_EIM_TRANSACTION = 50, 51, 52
MATCHING_ID_REFUSED, INVALID_TRANSACTION, PPR_NOT_ALLOWED, EVENT_UNKNOWN = 6, 10, 50, 56
METADATA_MISMATCH, BPP_INVALID_TRANSACTION = 50, 95
ORDER_EXPIRED = "8.8.5/4.10"
"""downloadOrderExpired: 18 of AuthenticateClient since v1.3, 6 of GetBoundProfilePackage before."""
CANCEL_INVALID_TRANSACTION = 1

# Status, error, its name. Of several statuses with one error the first is how the eIM says it in JSON.
_INITIATE = (
    ("8.8.1/3.8", INVALID_DP_ADDRESS, "invalidDpAddress"),
    ("8.9.1/3.8", INVALID_DP_ADDRESS, "invalidDpAddress"),
    ("8.8.3/3.1", VERSION_NOT_SUPPORTED, "euiccVersionNotSupportedByDp"),
    ("8.9.3/3.1", VERSION_NOT_SUPPORTED, "euiccVersionNotSupportedByDp"),
    ("8.8.2/3.1", CI_NOT_SUPPORTED, "ciPKIdNotSupported"),
    ("8.9.2/3.1", CI_NOT_SUPPORTED, "ciPKIdNotSupported"),
    ("8.8.1/3.10", ADDRESS_MISMATCH, "smdpAddressMismatch"),
    ("8.8/3.10", OID_MISMATCH, "smdpOidMismatch"),
    ("8.31.2/3.10", INVALID_EIM_TRANSACTION, "invalidEimTransactionId"),
)
_AUTHENTICATE = (
    ("8.1.2/6.1", 1, "eumCertificateInvalid"),
    ("8.1.2/6.3", 2, "eumCertificateExpired"),
    ("8.1.3/6.1", 3, "euiccCertificateInvalid"),
    ("8.1.3/6.3", 4, "euiccCertificateExpired"),
    ("8.1/6.1", 5, "euiccSignatureInvalid"),
    ("8.2.6/3.8", MATCHING_ID_REFUSED, "matchingIdRefused"),
    ("8.1.1/3.8", 7, "eidMismatch"),
    ("8.2.5/4.3", 8, "noEligibleProfile"),
    ("8.11.1/3.9", 9, "ciPKUnknown"),
    ("8.10.1/3.9", INVALID_TRANSACTION, "invalidTransactionId"),
    ("8.1/4.8", 11, "insufficientMemory"),
    ("8.2.8/1.2", PPR_NOT_ALLOWED, "pprNotAllowed"),
    ("8.8.5/4.10", 18, "downloadOrderExpired"),  # since v1.3
    ("8.9.5/3.9", EVENT_UNKNOWN, "eventIdUnknown"),
)
_GET_PACKAGE = (
    ("8.1/6.1", 1, "euiccSignatureInvalid"),
    ("8.2.7/2.2", 2, "confirmationCodeMissing"),
    ("8.2.7/3.8", 3, "confirmationCodeRefused"),
    ("8.2.7/6.4", 4, "confirmationCodeRetriesExceeded"),
    ("8.2/3.7", 5, "bppRebindingRefused"),
    ("8.8.5/4.10", 6, "downloadOrderExpired"),
    ("8.2.9/3.11", METADATA_MISMATCH, "metadataMismatch"),
    ("8.10.1/3.9", BPP_INVALID_TRANSACTION, "invalidTransactionId"),
)
_CANCEL = (
    ("8.10.1/3.9", CANCEL_INVALID_TRANSACTION, "invalidTransactionId"),
    ("8.1/6.1", 2, "euiccSignatureInvalid"),
)
_EID = (
    ("8.1.1/3.9", esipa_messages.EID_NOT_FOUND, "eidNotFound"),
    ("8.1.1/2.1", esipa_messages.INVALID_EID, "invalidEid"),
    ("8.1.1/2.2", esipa_messages.MISSING_EID, "missingEid"),
)
_PACKAGE = (("8.1.1/3.7", esipa_messages.NO_PACKAGE, "noEimPackageAvailable"), *_EID)

_TABLES = {
    esipa_messages.INITIATE_AUTHENTICATION: _INITIATE,
    esipa_messages.AUTHENTICATE_CLIENT: _AUTHENTICATE,
    esipa_messages.GET_BOUND_PROFILE_PACKAGE: _GET_PACKAGE,
    esipa_messages.CANCEL_SESSION: _CANCEL,
    esipa_messages.GET_EIM_PACKAGE: _PACKAGE,
    esipa_messages.PROVIDE_RESULT: _EID,
}
UNDEFINED_STATUS = "1.6/4.2"
"""What undefinedError is called in JSON; the tables have no row for it: the function, execution error."""


def error_for(tag: int, code: str, *, older: bool = False) -> int:
    """The error of function ``tag`` that has the name of this ``subject/reason``; undefinedError without one.
    ``older``: as before v1.3."""
    if code == ORDER_EXPIRED and tag == (
        esipa_messages.AUTHENTICATE_CLIENT if older else esipa_messages.GET_BOUND_PROFILE_PACKAGE
    ):
        return UNDEFINED
    return next((error for status, error, _ in _TABLES[tag] if status == code), UNDEFINED)


def status_for(tag: int, error: int) -> str:
    """``subject/reason`` of an ESipa error, for the JSON binding."""
    return next((status for status, number, _ in _TABLES.get(tag, ()) if number == error), UNDEFINED_STATUS)


def name_for(tag: int, error: int) -> str:
    """The error's name in the schema."""
    return next((name for _, number, name in _TABLES.get(tag, ()) if number == error), "undefinedError")
