"""What this room says (IPA-123x to IPA-127x)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-1231",
    WARNING,
    "eUICC {eid} is a consumer card; this device emulates the IoT functions in front of it (key {fingerprint}).",
    "card.emulate_iot allows it. Orders are verified and results signed on this device, by a key in a file. An eIM "
    "that registered the key (ipactl emulation export) can verify them; what that proves and what not is in "
    "docs/emulation.md.",
)
def EMULATING(*, eid: str, fingerprint: str) -> None: ...


@define(
    "IPA-1232",
    INFO,
    "A device key was made ({fingerprint}).",
    "One per installation, for the signatures of emulated cards. It is never replaced by the agent. Let the operator "
    "of the eIM register it: ipactl emulation export.",
)
def KEY_MADE(*, fingerprint: str) -> None: ...


@define(
    "IPA-1233",
    ERROR,
    "The device key of the emulated card is not to be had: {reason}",
    "The eIM verifies results by this key, so no other one is made and the card is not emulated. Bring it back, "
    "or begin anew with ipactl emulation new-key (see docs/emulation.md). The agent looks again by itself.",
)
def KEY_LOST(*, reason: str) -> None: ...


@define(
    "IPA-1234",
    ERROR,
    "What this device kept for the emulated card {eid} cannot be used: {reason}",
    "It was written whole, but not by this release. A counter that cannot be read must not count as a low one, so the "
    "card is not emulated. Go back to the release that wrote it.",
)
def STATE_UNUSABLE(*, eid: str, reason: str) -> None: ...


@define(
    "IPA-1235",
    WARNING,
    "eUICC {eid} does not say that it is an IoT eUICC, but answers as one; its functions are not emulated.",
    "It lacks iotSpecificInfo and answers GetEimConfigurationData. Two memories of who manages the card would "
    "contradict each other.",
)
def HAS_IOT_FUNCTIONS(*, eid: str) -> None: ...


@define(
    "IPA-1236",
    WARNING,
    "A package of an eIM that the emulated card does not know was refused.",
    "The answer is unsigned, as a card's would be. The eIM may have been removed, or the state of the emulated card "
    "was lost (then IPA-1230 was said before).",
)
def UNKNOWN_EIM() -> None: ...


@define(
    "IPA-1237",
    WARNING,
    "The package is not signed by the key of {eim} and its association token; it was refused.",
    "Nothing was changed, the counter is not used up, and the answer is unsigned, as a card's would be. The eIM may "
    "have changed its key or have another token in mind.",
)
def SIGNATURE_WRONG(*, eim: str) -> None: ...


@define(
    "IPA-1238",
    WARNING,
    "The consumer card did not do {function}: {reason}",
    "The result says so to the eIM, as undefinedError where SGP.32 has no other number for it.",
)
def CARD_REFUSED(*, function: str, reason: str) -> None: ...


@define(
    "IPA-1239",
    WARNING,
    "The disk stopped a package in the middle: {reason}",
    "What the card is about to be given must be on the disk before, or after a power cut nobody knew what happened. "
    "The operations before were carried out and reported; the list of results ends here.",
)
def DISK_STOPS(*, reason: str) -> None: ...


@define(
    "IPA-1240",
    INFO,
    "Package {counter} was interrupted; the card shows that {done} of {of} operations were done, and a result says so.",
    "The counter is used up, so the package is not carried out again. The eIM learns the truth and decides anew.",
)
def INTERRUPTED_FOUND(*, counter: int, done: int, of: int) -> None: ...


@define(
    "IPA-1241",
    INFO,
    "The {kind} was interrupted; the card shows that it was {found}.",
    "A switch that this device itself began (rollback, fallback, return or immediate enable) was cut off before its "
    "end was known.",
)
def LOCAL_SWITCH_FOUND(*, kind: str, found: str) -> None: ...


@define(
    "IPA-1242",
    DEBUG,
    "The emulated card executes package {counter} of {eim}.",
    "Its counter is on the disk before the card is touched: it is never carried out twice.",
)
def EXECUTING(*, counter: int, eim: str) -> None: ...


@define(
    "IPA-1273",
    INFO,
    "A provisioning bundle gave eUICC {eid} its eIM {eim}, and this device its key ({fingerprint}).",
    "The bundle is used up. This device now asks the eIM to register its key, before the first order is fetched.",
)
def BUNDLE_TAKEN(*, eid: str, eim: str, fingerprint: str) -> None: ...
