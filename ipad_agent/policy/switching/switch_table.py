"""The life of a switch of the enabled profile, as a table: what may happen in which phase, and what follows.

``procedures.switching.switch_transaction`` does what the table says and can do nothing else; ``docs/lifecycle.md`` is
written from it. A switch is in one phase from before the card is touched until the entry in the journal is closed, over
crashes, reboots and lost ports. No phase is an end: each has a happening that time alone brings about.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ipad_agent.records import dataclass


class Way(StrEnum):
    """How the device gets back to the previous profile when the new one does not prove itself."""

    ROLLBACK = "rollback"
    """The eIM granted one ProfileRollback (enable with rollbackFlag, SGP.32 v1.2 §3.3.1)."""
    FALLBACK = "fallback"
    """The switch was a return from the fallback profile: executing the mechanism again leads back (§5.9.20)."""
    NONE = "none"


class Phase(StrEnum):
    """Where a switch stands; kept in the journal."""

    ARMED = "armed"
    PROVING = "proving"
    GOING_BACK = "going back"
    BACK = "back"
    UNPROVED = "unproved"


class Happening(StrEnum):
    """What moves a switch on."""

    NOT_SWITCHED = "the card did not switch"
    SWITCHED = "the card switched"
    NOTHING_ENABLED = "the card has no enabled profile now, as ordered"
    PROVED = "the new profile is proved"
    CONFIRMED = "a person accepted it"
    REFUSED = "the eIM refused the result, and there is a way back"
    TIME_OVER = "the time to prove is over, and there is a way back"
    TIME_OVER_FOR_GOOD = "the time to prove is over, and there is no way back"
    CALLED_BACK = "a person wants the previous profile back"
    CAME_BACK = "the card has the previous profile again"
    NO_WAY_BACK = "the card does not go back"
    FOUND_BACK = "the card has gone back already, which the disk did not know"
    TOLD = "the eIM has the result of going back"
    REPLACED = "another switch took over"
    UNDONE = "the card has another profile enabled than it signed"


@dataclass(frozen=True, slots=True)
class Row:
    """``next`` None ends the switch. ``does`` is what the agent does on the way, ``why`` the clause or the reason."""

    next: Phase | None
    does: str
    why: str


_P = Phase
_H = Happening

TABLE: Final[Mapping[tuple[Phase, Happening], Row]] = MappingProxyType(
    {
        (_P.ARMED, _H.SWITCHED): Row(
            _P.PROVING,
            "resets the UICC until card and modem agree on the enabled profile, then looks at one stage after the "
            "other",
            "SGP.32 v1.2 §3.3.1: the signed result is on disk first; the profile only works after the reset",
        ),
        (_P.ARMED, _H.NOT_SWITCHED): Row(
            None, "delivers the result", "the card refused, or the order was gone before it executed anything"
        ),
        (_P.ARMED, _H.NOTHING_ENABLED): Row(
            None, "warns, delivers the result by whatever bearer is left", "§2.11.1.1: disable without enable is legal"
        ),
        (_P.PROVING, _H.PROVED): Row(
            None,
            "runs the hook `committed`",
            "§3.3.1: the acknowledged result ends the grant; or the application probe where that is configured; or, "
            "where no eIM is on the card, the registration",
        ),
        (_P.PROVING, _H.CONFIRMED): Row(
            None, "runs the hook `committed`, goes on delivering", "a person on site knows better than any probe"
        ),
        (_P.PROVING, _H.REFUSED): Row(
            _P.GOING_BACK,
            "orders ProfileRollback once",
            "§3.3.1: provideEimPackageResultError is a failure to report, as silence is",
        ),
        (_P.PROVING, _H.TIME_OVER): Row(
            _P.GOING_BACK,
            "orders ProfileRollback once, or the fallback mechanism after a return",
            "§3.3.1 leaves number of tries and time to the IPA: `switch.confirm_s`, measured over reboots",
        ),
        (_P.PROVING, _H.CALLED_BACK): Row(_P.GOING_BACK, "as when the time is over", "a person on site"),
        (_P.PROVING, _H.FOUND_BACK): Row(
            _P.GOING_BACK,
            "asks the card which profile it has, and orders nothing",
            "a restart, after a disk that refused to write did not stop the way back",
        ),
        (_P.PROVING, _H.TIME_OVER_FOR_GOOD): Row(
            _P.UNPROVED,
            "keeps trying by the schedule; the guardian waits `guardian.unproven_loss_s` only",
            "§3.3.1: without a grant the existing result stays and is delivered over the current profile",
        ),
        (_P.PROVING, _H.REPLACED): Row(None, "nothing", "§5.9.16: a later switch ends the grant"),
        (_P.PROVING, _H.UNDONE): Row(
            None,
            "tells every eIM of another state",
            "it signed what it did not do, or no disk took the fallback",
        ),
        (_P.GOING_BACK, _H.CAME_BACK): Row(
            _P.BACK,
            "puts the new result in the place of the old one, resets the UICC, runs the hook `rolled-back`",
            "§5.9.16: the eUICC replaces the undelivered result by one that ends with rollbackResult",
        ),
        (_P.GOING_BACK, _H.NO_WAY_BACK): Row(
            _P.UNPROVED, "keeps trying with the current profile", "§5.9.16: rollbackNotAllowed(1)"
        ),
        (_P.GOING_BACK, _H.REPLACED): Row(None, "nothing", "§5.9.16: a later switch ends the grant"),
        (_P.BACK, _H.TOLD): Row(None, "nothing more", "the eIM knows the truth"),
        (_P.BACK, _H.TIME_OVER_FOR_GOOD): Row(
            None,
            "goes on delivering by the schedule",
            "the previous profile worked before; the result stays in the journal until it is taken",
        ),
        (_P.BACK, _H.REPLACED): Row(None, "nothing", "a later switch"),
        (_P.UNPROVED, _H.PROVED): Row(
            None,
            "runs the hook `committed`",
            "late, but it works: the modem is registered, and the eIM has the result or at least answered it",
        ),
        (_P.UNPROVED, _H.CONFIRMED): Row(None, "runs the hook `committed`", "a person on site knows better"),
        (_P.UNPROVED, _H.UNDONE): Row(
            None, "tells every eIM of another state", "as while it is proved; nothing is left to be proved"
        ),
        (_P.UNPROVED, _H.REPLACED): Row(
            None, "nothing", "the fallback mechanism or another order took over; the result stays owed"
        ),
    }
)


class ImpossibleStep(ValueError):
    """A defect: something happened in a phase in which it cannot."""


def advance(phase: Phase, happening: Happening) -> Row:
    """What follows. Raises ``ImpossibleStep`` for what the table does not know."""
    row = TABLE.get((phase, happening))
    if row is None:
        raise ImpossibleStep(f"{happening.value!r} cannot happen to a switch that is {phase.value}")
    return row


def time_over(way: Way) -> Happening:
    """What the end of the time means."""
    return Happening.TIME_OVER_FOR_GOOD if way is Way.NONE else Happening.TIME_OVER


def pause_s(looks: int, *, first_s: float, first_count: int, then_s: float) -> float:
    """How long to wait after the n-th look (from 1): quickly at first, then calmly."""
    return first_s if looks <= first_count else then_s
