"""What proves that a profile works: stages from the card to the application, each with what was found."""

from __future__ import annotations

from enum import StrEnum

from ipad_agent.records import dataclass


class Stage(StrEnum):
    """In the order in which they depend on each other."""

    CARD = "card"
    REGISTRATION = "registration"
    IP = "ip"
    DNS = "dns"
    EIM = "eim"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at one stage found. ``ok`` None: this device cannot tell, which never counts against a profile.
    ``detail`` is a piece of a sentence: "registered at home (CEREG)", "no address on wwan0"."""

    stage: Stage
    ok: bool | None
    detail: str
