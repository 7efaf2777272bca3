"""When and whether: pure functions of values, without clock, chance or disk of their own."""

from ipad_agent.policy.polling.poll_outcome import BACK_OFFS, Outcome, Wake, back_off_s, outcome_of_get_package_error
from ipad_agent.policy.polling.poll_schedule import (
    Decision,
    EimSchedule,
    Reason,
    begin,
    decide,
    finish,
    may_ask_again,
    phase_s,
    provisioned,
    settle,
    start,
    wake,
)
from ipad_agent.policy.polling.schedule_document import from_document, to_document
from ipad_agent.policy.polling.schedule_settings import NBIOT, NORMAL, PRESETS, ScheduleSettings

from .duration_text import spell_duration
from .instant import GRACE_S, Instant, Moment, elapsed_s, remaining_s, same_boot

__all__ = [
    "BACK_OFFS",
    "GRACE_S",
    "NBIOT",
    "NORMAL",
    "PRESETS",
    "Decision",
    "EimSchedule",
    "Instant",
    "Moment",
    "Outcome",
    "Reason",
    "ScheduleSettings",
    "Wake",
    "back_off_s",
    "begin",
    "decide",
    "elapsed_s",
    "finish",
    "from_document",
    "may_ask_again",
    "outcome_of_get_package_error",
    "phase_s",
    "provisioned",
    "remaining_s",
    "same_boot",
    "settle",
    "spell_duration",
    "start",
    "to_document",
    "wake",
]
