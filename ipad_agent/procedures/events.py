"""What more than one procedure says."""

from __future__ import annotations

from ipad_agent.events import WARNING, define


@define(
    "IPA-4040",
    WARNING,
    "{eim} sent a package that is {problem}; it is told {code}.",
    "unknownPackage: a kind this agent does not know. invalidPackageFormat: bytes that are no package.",
)
def NOT_UNDERSTOOD(*, eim: str, problem: str, code: str) -> None: ...


@define(
    "IPA-4346",
    WARNING,
    "The card answers, but its list of profiles cannot be used: {reason}. Going on without it.",
    "What needs the list is not done; everything else is, and the list is asked for again. An unreadable list is never "
    "taken for an empty one. Record the exchange and report it to the card's maker.",
)
def PROFILES_UNREADABLE(*, reason: str) -> None: ...
