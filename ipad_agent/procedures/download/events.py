"""What is said of profile downloads, whoever orders them."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-4050",
    INFO,
    "{eim} orders a profile download; it is carried out {way}.",
    "A ProfileDownloadTriggerRequest (SGP.32 §3.2.3) is in the journal. The other profiles stay as they are until the "
    "new one is installed whole.",
)
def DOWNLOAD_ORDERED(*, eim: str, way: str) -> None: ...


@define(
    "IPA-4051",
    INFO,
    "Authenticating with {server}.",
    "Card and server prove to each other who they are (common mutual authentication, SGP.22 §3.0.1).",
)
def AUTHENTICATING(*, server: str) -> None: ...


@define(
    "IPA-4052",
    WARNING,
    "The clock of this device was never set; the dates of the server's certificates are not judged.",
    "Everything else about the certificates is. Give the device the time (NTP, or from the network).",
)
def DATES_NOT_JUDGED() -> None: ...


@define(
    "IPA-4053",
    INFO,
    "Receiving the profile: {done} of {total} bytes.",
    "The bound profile package comes in. Nothing of it is on the card yet.",
)
def PACKAGE_BYTES(*, done: int, total: str | int) -> None: ...


@define(
    "IPA-4054",
    INFO,
    "Loading the profile: segment {done} of {total} is on the card.",
    "If the power fails now, the card drops the unfinished profile by itself.",
)
def SEGMENTS(*, done: int, total: int | None) -> None: ...


@define(
    "IPA-4055",
    INFO,
    "Profile {iccid} is installed (notification {seq}); it is not enabled by that.",
    "The card signed the installation result; it goes to the SM-DP+ and to the eIM.",
)
def INSTALLED(*, iccid: str, seq: int) -> None: ...


@define(
    "IPA-4056",
    ERROR,
    "The card did not install the profile: {reason} (notification {seq}).",
    "The card's signed words go to the SM-DP+ and to the eIM. The other profiles are untouched.",
)
def NOT_INSTALLED(*, reason: str, seq: str | int) -> None: ...


@define(
    "IPA-4057",
    WARNING,
    "The profile download ended without a profile: {reason}.",
    "The eIM is told; the profiles on the card are as before.",
)
def DOWNLOAD_FAILED(*, reason: str) -> None: ...


@define(
    "IPA-4058",
    INFO,
    "The download session is cancelled ({reason}).",
    "The card signed the cancellation and the server was told.",
)
def SESSION_CANCELLED(*, reason: str) -> None: ...


@define(
    "IPA-4059",
    WARNING,
    "The download session could not be cancelled properly: {problem}.",
    "The card forgets it with the next session, the server after a while.",
)
def CANCEL_INCOMPLETE(*, problem: str) -> None: ...


@define(
    "IPA-4060",
    WARNING,
    "Loading the profile was interrupted ({reason}); asking the card what became of it.",
    "If the card signed a result it is delivered; otherwise the session is cancelled.",
)
def LOADING_INTERRUPTED(*, reason: str) -> None: ...


@define(
    "IPA-4061",
    INFO,
    "The card enabled the new profile at once; waiting for the card to come back.",
    "Immediate enabling was configured on the card (SGP.32 §5.9.15). Every eIM will be told.",
)
def ENABLED_AT_ONCE() -> None: ...


@define(
    "IPA-4062",
    DEBUG,
    "The new profile stays disabled ({reason}).",
    "Immediate enabling is not configured on the card, or not for profiles of this SM-DP+.",
)
def NOT_ENABLED_AT_ONCE(*, reason: str) -> None: ...


@define(
    "IPA-4063",
    WARNING,
    "The profile download did not get through ({reason}); it is begun again at another poll.",
    "Nothing reached the card. It goes on like this, with longer and longer pauses, until it gets through or is given "
    "up by download.give_up_s or download.max_attempts; then the eIM is told. An SM-DP+ that gives no answer at all "
    "while the eIM does is given up after four attempts; an eIM that cannot be reached is waited for.",
)
def DOWNLOAD_LATER(*, reason: str) -> None: ...


@define(
    "IPA-4064",
    INFO,
    "The SM-DS knows {count} event(s) for this card.",
    "The first one that leads to a profile is carried out; others wait at the SM-DS for the next trigger.",
)
def EVENTS_FOUND(*, count: int) -> None: ...


@define(
    "IPA-4065",
    INFO,
    "The card still has the result of the interrupted download (notification {seq}); it is delivered now.",
    "An earlier run ended in the middle of it. The profile is not downloaded again.",
)
def RESULT_FOUND(*, seq: int) -> None: ...


@define(
    "IPA-4350",
    WARNING,
    "ipa.features names {feature}, which does nothing without downloads through the eIM; it is not announced.",
    "An eIM acts on what is announced. Take it out of the configuration, or change `download.way`.",
)
def FEATURE_NOT_DONE(*, feature: str) -> None: ...


@define(
    "IPA-4410",
    WARNING,
    "A profile download from {server} begins, as ordered on this device.",
    "An activation code was given to `ipactl download` (SGP.22 §4.1), which download.by_hand permits. The new profile "
    "is not enabled by that; every eIM is told that the profiles have changed (stateChangeCause local).",
)
def DOWNLOAD_BY_HAND(*, server: str) -> None: ...


@define(
    "IPA-4411",
    WARNING,
    "The profile download that was ordered on this device ended without a profile: {reason}.",
    "The profiles on the card are as before, and it is not begun again by itself: the activation code is not kept. No "
    "eIM knows of it.",
)
def DOWNLOAD_BY_HAND_FAILED(*, reason: str) -> None: ...
