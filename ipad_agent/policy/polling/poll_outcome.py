"""How a run ended, why one begins, and how long each kind of failure keeps the agent away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from ipad_agent.records import dataclass

from .schedule_settings import ScheduleSettings


class Wake(Enum):
    """Why a poll is wanted now rather than when it is due."""

    BOOT = "the device started"
    TIMER = "the time has come"
    ATTACH = "the network attached"
    COMMAND = "somebody asked for it"
    STATE_CHANGE = "the profile state changed"
    RESULT_OWED = "a result waits to be delivered"
    SMS = "an SMS called for it"
    KNOCK = "a knock called for it"
    RESTART = "the agent was started anew"
    RADIO = "the radio is connected anyway"


class Outcome(Enum):
    """How a run ended. The value is the reason shown for the next poll's time."""

    IDLE = "the eIM has nothing waiting"
    MORE_WAITING = "more work waits"
    UNREACHABLE = "the eIM could not be reached"
    TRUST_REFUSED = "the eIM did not prove who it is"
    BUSY = "the eIM is busy"
    EID_UNKNOWN = "the eIM does not know this EID"
    EIM_ERROR = "the eIM answered with an error"
    MODEM_TROUBLE = "the modem failed"
    CARD_TROUBLE = "the eUICC failed"
    INTERRUPTED = "the last run was cut off by a crash or power loss"
    HELD = "the conditions of this site hold work back"
    RESULT_REFUSED = "the eIM did not take a result"
    NO_WAY = "card and configuration lead to no way to the eIM"
    NOT_WRITTEN = "what the eIM ordered could not be written down"
    DOWNLOAD_CUT_OFF = "a profile download did not get through and is begun again"

    @property
    def failed(self) -> bool:
        """Whether it counts towards the back-off. A refused result does not: it has a pause of its own, and the eIM was
        asked for work."""
        return self not in (Outcome.IDLE, Outcome.MORE_WAITING, Outcome.HELD, Outcome.RESULT_REFUSED)

    @property
    def against_eim(self) -> bool:
        """Whether people are told of it as a failure of the poll, and so of the eIM. A download that was cut off is
        none: the eIM answered, and it is the SM-DP+ or the way there that has the trouble."""
        return self.failed and self is not Outcome.DOWNLOAD_CUT_OFF

    @property
    def answered(self) -> bool:
        """Whether the eIM answered, if only with an error: then it is not out of reach."""
        return self in _ANSWERED


_ANSWERED: Final = frozenset(
    {
        Outcome.IDLE,
        Outcome.MORE_WAITING,
        Outcome.BUSY,
        Outcome.EID_UNKNOWN,
        Outcome.EIM_ERROR,
        Outcome.RESULT_REFUSED,
        Outcome.NOT_WRITTEN,
        Outcome.DOWNLOAD_CUT_OFF,
    }
)


# eimPackageError of GetEimPackageResponse (SGP.32 v1.2, ESipa).
_EIM_ERRORS: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        1: Outcome.IDLE,  # noEimPackageAvailable
        2: Outcome.EID_UNKNOWN,  # eidNotFound
        3: Outcome.EID_UNKNOWN,  # invalidEid
        4: Outcome.EIM_ERROR,  # missingEid: our message was not understood
        127: Outcome.EIM_ERROR,  # undefinedError
    }
)


def outcome_of_get_package_error(code: int) -> Outcome:
    """What a GetEimPackage error code means for the schedule; unknown codes count as errors of the eIM."""
    return _EIM_ERRORS.get(code, Outcome.EIM_ERROR)


@dataclass(frozen=True, slots=True)
class BackOff:
    """One row: the first delay, its ceiling, the share of the first delay that is never undercut, and whether a whole
    fleet meets this failure in the same hour (``shared``)."""

    first_s: Callable[[ScheduleSettings], float]
    cap_s: Callable[[ScheduleSettings], float]
    floor: float
    shared: bool = False


def _interval(settings: ScheduleSettings) -> float:
    return settings.interval_s


def _first(settings: ScheduleSettings) -> float:
    return settings.backoff_first_s


LOCAL_CAP_S: Final = 3600.0

SECOND_SHARE: Final = 0.75
"""Where a fleet fails together, the second back-off in a row may be this share of the interval. One quick retry helps a
device whose link was lost for a moment; more of them would make every device that failed in a long outage come back in
its first minutes (`ipad-agent lab fleet`: 5.9 times the usual load with a back-off that doubles from ten minutes, 1.9
times with this one). An order or a result under way, a device that is cut off itself, a network attach, a restart
of the agent and a person do not wait for it."""

# Full jitter spreads a fleet that lost the same server; the floor keeps a lucky draw from being an immediate retry.
BACK_OFFS: Final[Mapping[Outcome, BackOff]] = MappingProxyType(
    {
        Outcome.UNREACHABLE: BackOff(_first, _interval, 0.1, shared=True),
        Outcome.INTERRUPTED: BackOff(_first, _interval, 0.1),
        Outcome.EIM_ERROR: BackOff(_first, _interval, 0.1, shared=True),
        Outcome.NOT_WRITTEN: BackOff(_first, _interval, 0.1),
        Outcome.DOWNLOAD_CUT_OFF: BackOff(_first, _interval, 0.1),
        # Without a time from the eIM; with one, that time counts.
        Outcome.BUSY: BackOff(_first, _interval, 0.5, shared=True),
        # A new key or certificate has to reach the card or the configuration first.
        Outcome.TRUST_REFUSED: BackOff(lambda settings: settings.backoff_trust_s, _interval, 0.5, shared=True),
        Outcome.NO_WAY: BackOff(lambda settings: settings.backoff_trust_s, _interval, 0.5),
        # Somebody has to enter the EID at the eIM first.
        Outcome.EID_UNKNOWN: BackOff(lambda settings: settings.backoff_unknown_s, _interval, 0.5),
        Outcome.MODEM_TROUBLE: BackOff(lambda settings: settings.backoff_local_s, lambda _: LOCAL_CAP_S, 0.5),
        Outcome.CARD_TROUBLE: BackOff(lambda settings: settings.backoff_local_s, lambda _: LOCAL_CAP_S, 0.5),
    }
)


def back_off_s(
    outcome: Outcome, failures: int, settings: ScheduleSettings, *, chance: float, under_way: bool = False
) -> float:
    """How long to stay away after ``failures`` (>= 1) failures in a row; ``chance`` is a random number in [0, 1).
    ``under_way``: an order or a result waits, which few devices of a fleet have at a time."""
    row = BACK_OFFS[outcome]
    cap_s = min(row.cap_s(settings), settings.interval_s)
    first_s = min(row.first_s(settings), cap_s)
    ceiling_s = first_s * 2.0 ** min(failures - 1, 32)
    if row.shared and failures > 1 and not under_way:
        ceiling_s = max(ceiling_s, cap_s * SECOND_SHARE * 2.0 ** min(failures - 2, 32))
    ceiling_s = min(cap_s, ceiling_s)
    floor_s = first_s * row.floor
    return floor_s + (ceiling_s - floor_s) * chance
