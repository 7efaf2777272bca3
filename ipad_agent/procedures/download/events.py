"""What is said about downloads that a person on the device orders."""

from __future__ import annotations

from ipad_agent.events import WARNING, define


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
