"""Names for the numbers in results (schema of SGP.32 v1.2; v1.0 differs only in numbers that it does not have)."""

from __future__ import annotations

_COMMON = {0: "ok", 5: "catBusy", 7: "commandError", 127: "undefinedError"}
_PROFILE = {
    **_COMMON,
    1: "iccidOrAidNotFound",
    3: "disallowedByPolicy",
    20: "rollbackNotAvailable",
    21: "returnFallbackProfile",
}
_NOT_DISABLED = {**_PROFILE, 2: "profileNotInDisabledState"}
_EIM = {
    **_COMMON,
    1: "eimNotFound",
    2: "lastEimDeleted",
    3: "ciPKUnknown",
    5: "invalidAssociationToken",
    6: "counterValueOutOfRange",
}
_ADD_EIM = {**_EIM, 1: "insufficientMemory", 2: "associatedEimAlreadyExists"}

OPERATIONS: dict[int, tuple[str, dict[int, str]]] = {
    0x83: ("enable", _NOT_DISABLED),
    0x84: ("disable", {**_PROFILE, 2: "profileNotInEnabledState"}),
    0x85: ("delete", _NOT_DISABLED),
    0x87: ("configureImmediateEnable", {**_COMMON, 1: "insufficientMemory"}),
    0x89: ("deleteEim", _EIM),
    0x8A: ("updateEim", _EIM),
    0x8C: ("rollback", _COMMON),
    0x8D: (
        "setFallbackAttribute",
        {**_COMMON, 1: "iccidOrAidNotFound", 2: "fallbackNotAllowed", 3: "fallbackProfileEnabled"},
    ),
    0x8E: ("unsetFallbackAttribute", {**_COMMON, 2: "noFallbackAttribute", 3: "fallbackProfileEnabled"}),
    0xA8: ("addEim", _ADD_EIM),
    0xAB: ("listEim", _COMMON),
    0xA6: ("getRAT", {}),
    0xBF2D: ("listProfileInfo", {**_COMMON, 1: "incorrectInputValues", 11: "profileChangeOngoing"}),
    0xBF65: ("setDefaultDpAddress", _COMMON),
    0x02: (
        "processingTerminated",
        {1: "resultSizeOverflow", 2: "unknownOrDamagedCommand", 3: "interruption", 127: "undefinedError"},
    ),
}

PACKAGE_ERRORS = {
    3: "invalidEid",
    4: "replayError",
    6: "counterValueOutOfRange",
    15: "sizeOverflow",
    104: "ecallActive",
    127: "undefinedError",
}
UNSIGNED_ERRORS = {15: "sizeOverflow", 127: "undefinedError"}
STATE_CHANGES = {
    0: "otherEim",
    1: "fallback",
    2: "emergencyProfile",
    3: "local",
    4: "reset",
    5: "immediateEnableProfile",
    6: "deviceChange",
    127: "undefined",
}
RESPONSE_ERRORS = {1: "invalidPackageFormat", 2: "unknownPackage", 127: "undefinedError"}
DATA_ERRORS = {1: "incorrectTagList", 5: "euiccCiPKIdNotFound", 104: "ecallActive", 127: "undefinedError"}
TRIGGER_ERRORS = {104: "ecallActive", 127: "undefinedError"}
EVENTS = ("install", "enable", "disable", "delete")
PROFILE_STATES = {0: "disabled", 1: "enabled"}
PROFILE_CLASSES = {0: "test", 1: "provisioning", 2: "operational"}
FEATURES = (
    "directRspServerCommunication",
    "indirectRspServerCommunication",
    "eimDownloadDataHandling",
    "eimCtxParams1Generation",
    "eimProfileMetadataVerification",
    "minimizeEsipaBytes",
)
PROTOCOLS = ("retrieveHttps", "retrieveCoaps", "injectHttps", "injectCoaps", "proprietary")
BPP_COMMANDS = {
    0: "initialiseSecureChannel",
    1: "configureISDP",
    2: "storeMetadata",
    3: "storeMetadata2",
    4: "replaceSessionKeys",
    5: "loadProfileElements",
}


def name_of(table: dict[int, str], code: int) -> str:
    """The number's name, or ``code N`` for one that the schema does not have."""
    return table.get(code, f"code {code}")


def bit_names(names: tuple[str, ...], ones: frozenset[int]) -> list[str]:
    """The names of set bits, ``bit N`` for unknown ones."""
    return [names[i] if i < len(names) else f"bit {i}" for i in sorted(ones)]
