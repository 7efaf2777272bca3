"""What a switch of the enabled profile says while it is proved, taken back or given up."""

from __future__ import annotations

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-4201",
    INFO,
    "A switch from {previous} to {target} is armed ({cause}); way back: {way}, after {deadline_s:.0f} s.",
    "Written down before the card is touched. Unless the new profile proves itself by then, the way back is taken; "
    "that also holds after a crash or a reboot.",
)
def ARMED(*, previous: str, target: str, cause: str, way: str, deadline_s: float) -> None: ...


@define(
    "IPA-4202",
    INFO,
    "The card has {target} enabled; the result is on disk. {left_s:.0f} s remain to prove it.",
    "From here on the device looks whether it is registered, has an address, finds the eIM and gets its answer.",
)
def SWITCHED(*, target: str, left_s: float) -> None: ...


@define(
    "IPA-4203",
    INFO,
    "The switch waits for stage {stage}: {detail}.",
    "The stages are card, registration, ip, dns, eim and application. The first that is not reached is looked at "
    "again until the time is over.",
)
def STAGE(*, stage: str, detail: str) -> None: ...


@define(
    "IPA-4204",
    WARNING,
    "Stage {stage} takes longer than {limit_s:.0f} s: {detail}. {left_s:.0f} s remain.",
    "This is where the new profile fails, if it fails. Registration: coverage, or the subscription is not active. IP: "
    "the APN. DNS and eIM: the operator's network has no way to the eIM.",
)
def LATE(*, stage: str, limit_s: float, detail: str, left_s: float) -> None: ...


@define(
    "IPA-4205",
    INFO,
    "The switch to {target} is committed: {reason}.",
    "The new profile is the device's profile now; the way back is given up.",
)
def COMMITTED(*, target: str, reason: str) -> None: ...


@define(
    "IPA-4206",
    WARNING,
    "Going back to {previous}, because {reason}.",
    "ProfileRollback is ordered once (SGP.32 §5.9.16), or the fallback mechanism after a return from it. The eIM gets "
    "a result that says so.",
)
def GOING_BACK(*, previous: str, reason: str) -> None: ...


@define(
    "IPA-4207",
    WARNING,
    "The card has {previous} enabled again; the eIM will be told.",
    "The switch failed at the stage named before. The result that says so is owed until the eIM took it.",
)
def WENT_BACK(*, previous: str) -> None: ...


@define(
    "IPA-4208",
    WARNING,
    "The card does not go back: {reason}. The agent keeps trying with the current profile.",
    "The grant is used up, was never given, or another switch ended it. The guardian may execute the fallback "
    "mechanism later if the card has a fallback profile.",
)
def NO_WAY_BACK(*, reason: str) -> None: ...


@define(
    "IPA-4209",
    WARNING,
    "{target} is not proved after {deadline_s:.0f} s (stage {stage}) and there is no way back; the agent keeps trying.",
    "The eIM did not allow a rollback. Its result stays owed and is delivered as soon as there is a way; the guardian "
    "executes the fallback mechanism if connectivity stays away.",
)
def UNPROVED(*, target: str, deadline_s: float, stage: str) -> None: ...


@define(
    "IPA-4210",
    WARNING,
    "The device is back on {previous} and the eIM cannot be told yet ({reason}); the schedule goes on.",
    "The result stays in the journal until it is delivered.",
)
def STILL_OWED(*, previous: str, reason: str) -> None: ...


@define(
    "IPA-4211",
    INFO,
    "A switch to {target} is still open ({phase}); {left_s:.0f} s remain.",
    "The agent or the device was restarted in the middle. Card and journal say how far it was.",
)
def RESUMED(*, target: str, phase: str, left_s: float) -> None: ...


@define(
    "IPA-4212",
    WARNING,
    "The modem does not work with the card's enabled profile: {detail}. The UICC is reset once more.",
    "A profile only works after the modem has read it. Being registered with the old one proves nothing.",
)
def NOT_AGREED(*, detail: str) -> None: ...


@define(
    "IPA-4367",
    WARNING,
    "The card has gone back to {previous} already; the disk had not taken that before the restart.",
    "The agent went back while the disk refused to write, and was then cut off. It does not order the rollback again; "
    "the eIM gets the result that says so.",
)
def WAS_BACK(*, previous: str) -> None: ...


@define(
    "IPA-4368",
    WARNING,
    "Nobody waits for a proof of {target}, and the card keeps the result of the switch to it: the profile has "
    "{deadline_s:.0f} s to prove itself.",
    "The journal was lost or damaged in the middle of a switch; or a person accepted it, the connection is lost for "
    "long and there is no fallback profile. If the profile does not work by then the card is asked to go back; it does "
    "so only if the eIM allowed it.",
)
def TAKEN_UP(*, target: str, deadline_s: float) -> None: ...


@define(
    "IPA-4213",
    WARNING,
    "The eIM had the last enabled profile disabled: this card has no connectivity now.",
    "As ordered. The result leaves by another bearer if there is one; otherwise only a person can help.",
)
def NOTHING_ENABLED() -> None: ...


@define(
    "IPA-4214",
    WARNING,
    "The order disables the only enabled profile and enables no other.",
    "It is carried out, because the eIM decides; but the device may be out of reach afterwards.",
)
def LAST_ONE() -> None: ...


@define(
    "IPA-4299",
    WARNING,
    "The card said ok to a change to {target}, but {enabled} is enabled; the switch is over, and every eIM is told.",
    "Either the card signed something that it did not do, or the device went to its fallback profile while its disk "
    "refused to be written, and lost its power. Every eIM hears of another state with the next question and can look "
    "at what is on the card.",
)
def NOTHING_CHANGED(*, target: str, enabled: str) -> None: ...
