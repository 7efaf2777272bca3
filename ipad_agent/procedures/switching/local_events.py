"""What is said when the device itself changes the enabled profile, watches its connectivity, or resets the card."""

from __future__ import annotations

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-4301",
    WARNING,
    "The device orders {what}; enabled now: {previous}.",
    "A local decision, by the guardian or by a person; no eIM ordered it. It is written down before the card is "
    "touched.",
)
def ORDERING(*, what: str, previous: str) -> None: ...


@define(
    "IPA-4302",
    WARNING,
    "The card carried out {what}: {enabled} is enabled instead of {previous}. Every eIM will be told ({cause}).",
    "The next poll of each eIM carries notifyStateChange with this cause (SGP.32 §5.14.5) until the eIM has answered.",
)
def DONE(*, what: str, enabled: str, previous: str, cause: str) -> None: ...


@define(
    "IPA-4303",
    WARNING,
    "Nothing came of {what}: {reason}.",
    "The enabled profile is the same as before. The guardian asks again later and later; a card without a fallback "
    "profile needs one that the eIM marks (setFallbackAttribute).",
)
def NOT_DONE(*, what: str, reason: str) -> None: ...


@define(
    "IPA-4304",
    WARNING,
    "The answer to {what} was lost ({reason}); the card is reset and asked which profile is enabled.",
    "The order is given again only if nothing has changed.",
)
def ANSWER_LOST(*, what: str, reason: str) -> None: ...


@define(
    "IPA-4310",
    WARNING,
    "Connectivity: {sentence}.",
    "The guardian watches registration, the answers of eIMs and the site's own check. It acts when the loss has lasted "
    "for guardian.loss_s of watched time and guardian.failed_cycles polls have failed.",
)
def LOST(*, sentence: str) -> None: ...


@define(
    "IPA-4311",
    INFO,
    "Connectivity is back.",
    "An eIM or the site's own check got through, or a name server told that only the eIM is silent; the guardian's "
    "patience begins anew.",
)
def REGAINED() -> None: ...


@define(
    "IPA-4312",
    WARNING,
    "The modem has been cut off from the network for {duration}; it is restarted.",
    "A modem may be stuck in its search or hold on to a dead data connection. The enabled profile is left only when "
    "that does not help. guardian.restart_modem_after_s; each further restart takes twice as long.",
)
def MODEM_RESTARTED(*, duration: str, cut_off_s: float) -> None: ...


@define(
    "IPA-4320",
    WARNING,
    "The card is reset as ordered on this device: {what}.",
    "EuiccMemoryReset (SGP.32 §5.9.5). What it deletes is gone for good.",
)
def RESETTING(*, what: str) -> None: ...


@define(
    "IPA-4321",
    WARNING,
    "The card was reset ({result}); {profiles} profiles and {eims} eIMs are left.",
    "Results that are owed stay owed. Without an eIM the card can be provisioned again.",
)
def RESET_DONE(*, result: str, profiles: int, eims: int) -> None: ...


@define(
    "IPA-4322",
    WARNING,
    "The answer to the reset of the card was lost ({reason}); it is ordered once more.",
    "What was deleted already cannot be deleted twice.",
)
def RESET_REPEATED(*, reason: str) -> None: ...


@define(
    "IPA-4323",
    WARNING,
    "A reset of the card was interrupted; it {found}.",
    "It is not ordered again by itself: whoever wanted it has to ask again.",
)
def RESET_FOUND(*, found: str) -> None: ...
