"""What the end of a poll means for the schedule."""

from __future__ import annotations

from typing import Final

from ipad_agent.errors import IpadError, NetworkError, Remedy, Side
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd

OUTCOMES: Final = {
    PollEnd.NO_MORE_WORK: Outcome.IDLE,
    PollEnd.MORE_WORK: Outcome.MORE_WAITING,
    PollEnd.UNKNOWN_EUICC: Outcome.EID_UNKNOWN,
    PollEnd.EIM_TROUBLE: Outcome.EIM_ERROR,
    PollEnd.RESULT_REFUSED: Outcome.RESULT_REFUSED,
    PollEnd.JOURNAL_FULL: Outcome.NOT_WRITTEN,
    PollEnd.HELD: Outcome.HELD,
    PollEnd.DOWNLOAD_CUT_OFF: Outcome.DOWNLOAD_CUT_OFF,
    PollEnd.EIM_CHANGED: Outcome.IDLE,
}


def outcome_of(error: IpadError) -> Outcome:
    """What a failed poll means for the schedule; not for errors of card, modem and disk."""
    if error.retry_after_s is not None:
        return Outcome.BUSY
    if error.side in (Side.CONFIG, Side.OURS) and error.remedy is Remedy.ASK_PERSON:
        return Outcome.NO_WAY
    if isinstance(error, NetworkError):
        return Outcome.TRUST_REFUSED if error.remedy is Remedy.ASK_PERSON else Outcome.UNREACHABLE
    return Outcome.EIM_ERROR
