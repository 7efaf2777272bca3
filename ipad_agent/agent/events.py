"""What the daemon itself says."""

from __future__ import annotations

from ipad_agent.events import ERROR, INFO, WARNING, define


@define(
    "IPA-1001",
    INFO,
    "ipad-agent {version} starts.",
    "The daemon read its configuration and opens the modem.",
)
def STARTED(*, version: str) -> None: ...


@define("IPA-1002", INFO, "ipad-agent stops.", "The daemon was told to stop; nothing that is owed is lost.")
def STOPPED() -> None: ...


@define(
    "IPA-1003",
    INFO,
    "{eim}: {sentence}.",
    "When this eIM is asked for work again, and why then.",
)
def NEXT_POLL(*, eim: str, sentence: str, wait_s: float, reason: str) -> None: ...


@define(
    "IPA-1004",
    WARNING,
    "The {side} failed: {reason}. Trying again in {wait_s:.0f} s. {hint}",
    "The agent opens the port and the card anew, with growing pauses, for as long as it takes.",
)
def CARD_LOST(*, side: str, reason: str, wait_s: float, hint: str) -> None: ...


@define(
    "IPA-1005",
    WARNING,
    "The poll of {eim} failed on the side of the {side}: {reason}. {hint}",
    "Nothing is lost: what was taken on is in the journal. The schedule says when the next attempt is made.",
)
def POLL_FAILED(*, eim: str, side: str, reason: str, hint: str) -> None: ...


@define(
    "IPA-1006",
    ERROR,
    "An error nobody expected: {reason}. The agent goes on in {wait_s:.0f} s.",
    "A defect of this program. Report it with the lines that follow; the journal keeps what is owed.",
)
def BUG(*, reason: str, wait_s: float) -> None: ...


@define(
    "IPA-1007",
    WARNING,
    "{eim} cannot be polled: {reason}.",
    "The card's entry for this eIM does not say how to reach it, or says a way this agent has not. See [[eim]] in the "
    "configuration.",
)
def NO_WAY_TO_EIM(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-1009",
    INFO,
    "Polls are brought forward: {cause}.",
    "A command (SIGUSR1) polls every eIM now. Everything else respects an eIM that asked for patience, and back-offs.",
)
def WOKEN(*, cause: str) -> None: ...


@define(
    "IPA-1008",
    WARNING,
    "{count} journal entries were damaged beyond use and dropped.",
    "The card still has its signed results and the eIM its packages; they are delivered and fetched again.",
)
def DAMAGED_WORK(*, count: int) -> None: ...


@define(
    "IPA-1010",
    WARNING,
    "The card does not answer ({reason}); it is reset.",
    "The modem switches the SIM off and on, step by step up to its own restart. If the card stays silent that is "
    "repeated after 5, 10, 15, 20, 30 and then every 60 minutes; every attempt in between only asks.",
)
def CARD_SILENT(*, reason: str) -> None: ...


@define(
    "IPA-1013",
    WARNING,
    "The card answers, but not in a way that can be used ({reason}); it is not reset, and asked again.",
    "A reset cures a card that is silent, not one that says something unexpected. Record the exchange and report it to "
    "the card's maker; the agent goes on asking.",
)
def CARD_ODD(*, reason: str) -> None: ...


@define(
    "IPA-1011",
    ERROR,
    "One of the local interfaces ended: {reason}. The agent goes on without it.",
    "A defect of this program; a restart brings the interface back. Polls, switches and deliveries are not touched.",
)
def FACE_LOST(*, reason: str) -> None: ...


@define(
    "IPA-1012",
    WARNING,
    "{share} of {which} traffic budget is used up: {spent_bytes} of {budget_bytes} bytes.",
    "What is owed is delivered in any case, and with budget.hold_at nothing else from there on. `ipactl budget` tells "
    "what the traffic was for; fewer polls (poll.interval_s) cost less.",
)
def BUDGET(*, share: str, which: str, spent_bytes: int, budget_bytes: int | None) -> None: ...


@define(
    "IPA-4400",
    WARNING,
    "Only results and ways back of a switch leave the device: {sentence}.",
    "budget.hold_at is reached. New work is fetched and downloads are begun again on the next day (UTC), or when the "
    "budget is raised. `ipactl poll --now` fetches work all the same.",
)
def ONLY_RESULTS(*, sentence: str) -> None: ...
