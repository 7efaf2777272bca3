"""Names of the numbers on the wire (SGP.32 v1.2, SGP.22 v2.5 ASN.1 modules); unknown numbers are legal everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Names = Mapping[int, str]

_OK: Final = {0: "ok", 127: "undefinedError"}

ENABLE: Final[Names] = {
    **_OK,
    1: "iccidOrAidNotFound",
    2: "profileNotInDisabledState",
    3: "disallowedByPolicy",
    5: "catBusy",
    20: "rollbackNotAvailable",
}
DISABLE: Final[Names] = {
    **_OK,
    1: "iccidOrAidNotFound",
    2: "profileNotInEnabledState",
    3: "disallowedByPolicy",
    5: "catBusy",
}
DELETE: Final[Names] = {
    **_OK,
    1: "iccidOrAidNotFound",
    2: "profileNotInDisabledState",
    3: "disallowedByPolicy",
    20: "rollbackNotAvailable",
    21: "returnFallbackProfile",
}
LIST_PROFILES: Final[Names] = {1: "incorrectInputValues", 11: "profileChangeOngoing", 127: "undefinedError"}
CONFIGURE_IMMEDIATE: Final[Names] = {**_OK, 1: "insufficientMemory", 7: "commandError"}
ADD_EIM: Final[Names] = {
    **_OK,
    1: "insufficientMemory",
    2: "associatedEimAlreadyExists",
    3: "ciPKUnknown",
    5: "invalidAssociationToken",
    6: "counterValueOutOfRange",
    7: "commandError",
}
DELETE_EIM: Final[Names] = {**_OK, 1: "eimNotFound", 2: "lastEimDeleted", 7: "commandError"}
UPDATE_EIM: Final[Names] = {**_OK, 1: "eimNotFound", 3: "ciPKUnknown", 6: "counterValueOutOfRange", 7: "commandError"}
LIST_EIM: Final[Names] = {7: "commandError", 127: "undefinedError"}
ROLLBACK: Final[Names] = _OK
SET_FALLBACK: Final[Names] = {
    **_OK,
    1: "iccidOrAidNotFound",
    2: "fallbackNotAllowed",
    3: "fallbackProfileEnabled",
}
UNSET_FALLBACK: Final[Names] = {**_OK, 2: "noFallbackAttribute", 3: "fallbackProfileEnabled", 7: "commandError"}
SET_DEFAULT_DP: Final[Names] = _OK
TERMINATED: Final[Names] = {
    1: "resultSizeOverflow",
    2: "unknownOrDamagedCommand",
    3: "interruption",
    127: "undefinedError",
}
PACKAGE_ERROR: Final[Names] = {
    3: "invalidEid",
    4: "replayError",
    6: "counterValueOutOfRange",
    15: "sizeOverflow",
    104: "ecallActive",
    127: "undefinedError",
}
UNSIGNED_PACKAGE_ERROR: Final[Names] = {15: "sizeOverflow", 127: "undefinedError"}
"""Since v1.3."""
REMOVE_NOTIFICATION: Final[Names] = {**_OK, 1: "nothingToDelete"}
LIST_ERROR: Final[Names] = {127: "undefinedError"}
MEMORY_RESET: Final[Names] = {**_OK, 1: "nothingToDelete", 5: "catBusy", 104: "ecallActive"}
MEMORY_RESET_EIM: Final[Names] = {**_OK, 1: "nothingToDelete", 2: "eimResetNotSupported"}
MEMORY_RESET_IMMEDIATE: Final[Names] = {**_OK, 1: "resetIECNotSupported"}
GET_CERTS: Final[Names] = {1: "invalidCiPKId", 127: "undefinedError"}
IMMEDIATE_ENABLE: Final[Names] = {**_OK, 1: "immediateEnableNotAvailable", 4: "noSessionContext", 5: "catBusy"}
PROFILE_ROLLBACK: Final[Names] = {**_OK, 1: "rollbackNotAllowed", 5: "catBusy", 7: "commandError"}
CONFIGURE_IMMEDIATE_LOCAL: Final[Names] = {**_OK, 1: "insufficientMemory", 2: "associatedEimAlreadyExists"}
EXECUTE_FALLBACK: Final[Names] = {
    **_OK,
    2: "profileNotInDisabledState",
    5: "catBusy",
    6: "fallbackNotAvailable",
    7: "commandError",
    104: "ecallActive",
}
RETURN_FROM_FALLBACK: Final[Names] = {**_OK, 5: "catBusy", 6: "fallbackNotAvailable", 7: "commandError"}
ENABLE_EMERGENCY: Final[Names] = {**_OK, 2: "profileNotInDisabledState", 5: "catBusy", 8: "ecallNotAvailable"}
# 8 since v1.3.
DISABLE_EMERGENCY: Final[Names] = {**_OK, 2: "profileNotInEnabledState", 5: "catBusy", 8: "ecallNotAvailable"}
CONNECTIVITY: Final[Names] = {1: "parametersNotAvailable", 127: "undefinedError"}
IPAE_ACTIVATION: Final[Names] = {0: "ok", 1: "notSupported"}
AUTHENTICATE: Final[Names] = {
    1: "invalidCertificate",
    2: "invalidSignature",
    3: "unsupportedCurve",
    4: "noSessionContext",
    5: "invalidOid",
    6: "euiccChallengeMismatch",
    7: "ciPKUnknown",
    127: "undefinedError",
}
PREPARE_DOWNLOAD: Final[Names] = {
    1: "invalidCertificate",
    2: "invalidSignature",
    3: "unsupportedCurve",
    4: "noSessionContext",
    5: "invalidTransactionId",
    127: "undefinedError",
}
CANCEL_SESSION_CARD: Final[Names] = {5: "invalidTransactionId", 127: "undefinedError"}
BPP_COMMAND: Final[Names] = {
    0: "initialiseSecureChannel",
    1: "configureISDP",
    2: "storeMetadata",
    3: "storeMetadata2",
    4: "replaceSessionKeys",
    5: "loadProfileElements",
}
BPP_ERROR: Final[Names] = {
    1: "incorrectInputValues",
    2: "invalidSignature",
    3: "invalidTransactionId",
    4: "unsupportedCrtValues",
    5: "unsupportedRemoteOperationType",
    6: "unsupportedProfileClass",
    7: "scp03tStructureError",
    8: "scp03tSecurityError",
    9: "installFailedDueToIccidAlreadyExistsOnEuicc",
    10: "installFailedDueToInsufficientMemoryForProfile",
    11: "installFailedDueToInterruption",
    12: "installFailedDueToPEProcessingError",
    13: "installFailedDueToDataMismatch",
    14: "testProfileInstallFailedDueToInvalidNaaKey",
    15: "pprNotAllowed",
    # Both since SGP.22 v2.7.
    31: "installFailedDueToInsufficientMinimumSecurityLevel",
    32: "testProfileInstallFailedDueToServerNotAllowed",
    127: "installFailedDueToUnknownError",
}
INITIATE_AUTHENTICATION: Final[Names] = {
    1: "invalidDpAddress",
    2: "euiccVersionNotSupportedByDp",
    3: "ciPKIdNotSupported",
    50: "smdpAddressMismatch",
    51: "smdpOidMismatch",
    52: "invalidEimTransactionId",
    127: "undefinedError",
}
AUTHENTICATE_CLIENT: Final[Names] = {
    1: "eumCertificateInvalid",
    2: "eumCertificateExpired",
    3: "euiccCertificateInvalid",
    4: "euiccCertificateExpired",
    5: "euiccSignatureInvalid",
    6: "matchingIdRefused",
    7: "eidMismatch",
    8: "noEligibleProfile",
    9: "ciPKUnknown",
    10: "invalidTransactionId",
    11: "insufficientMemory",
    18: "downloadOrderExpired",  # since v1.3, and no longer 6 of GetBoundProfilePackage
    50: "pprNotAllowed",
    56: "eventIdUnknown",
    127: "undefinedError",
}
GET_BPP: Final[Names] = {
    1: "euiccSignatureInvalid",
    2: "confirmationCodeMissing",
    3: "confirmationCodeRefused",
    4: "confirmationCodeRetriesExceeded",
    5: "bppRebindingRefused",
    6: "downloadOrderExpired",
    50: "metadataMismatch",
    95: "invalidTransactionId",
    127: "undefinedError",
}
CANCEL_SESSION_EIM: Final[Names] = {1: "invalidTransactionId", 2: "euiccSignatureInvalid", 127: "undefinedError"}
EIM_PACKAGE: Final[Names] = {
    1: "noEimPackageAvailable",
    2: "eidNotFound",
    3: "invalidEid",
    4: "missingEid",
    127: "undefinedError",
}
PROVIDE_RESULT: Final[Names] = {2: "eidNotFound", 3: "invalidEid", 4: "missingEid", 127: "undefinedError"}
