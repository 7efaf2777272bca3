"""What can go wrong between the agent and the eUICC, as errors that say what to do next."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from ipad_agent.errors import CardError, IpadError, Remedy, Side


class LossReason(Enum):
    """Why a channel is gone: tells whether smaller blocks could help."""

    REFUSED = "the modem refused the APDU"
    TIMEOUT = "no answer in time"
    DAMAGED = "the answer was damaged on the line"
    PORT = "the port was lost"
    RESET = "the card or modem was reset"
    CLOSED = "the channel is closed"


class ChannelLost(CardError):
    """The logical channel is gone; it must be opened again before the next APDU.

    ``may_have_executed`` is False only when the card cannot have seen the whole command, so that sending it again
    on a new channel is safe even if it changes state.
    """

    default_hint = "The agent opens the channel again and reads the card's state before it goes on."

    def __init__(self, message: str, *, reason: LossReason, may_have_executed: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.may_have_executed = may_have_executed


class AidNotFound(CardError):
    """The card answers that no application with this AID is there."""

    remedy = Remedy.ASK_PERSON
    default_hint = "The inserted card may be no eUICC, or its ISD-R has a non-standard AID (set card.isdr_aids)."


class ChannelRefused(CardError):
    """No way of opening a logical channel worked; whether an eUICC is there is unknown."""

    remedy = Remedy.RETRY_AFTER_RESET
    default_hint = "See the modem's answers in the message; the agent climbs the reset ladder."


class CardNotReady(CardError):
    """The modem says that it sees no card, or that the card is still starting."""

    default_hint = "Expected for some seconds after a card reset; if it stays, check slot, contacts and slot selection."


class SimBusy(CardNotReady):
    """The modem still says that the SIM is busy, after some patience with it."""


class StatusWordError(CardError):
    """The card answered an APDU with an error status word; ``sw`` is 0x6A80 and the like."""

    answered = True
    executed: ClassVar[bool] = True

    def __init__(self, message: str, *, sw: int, may_have_executed: bool | None = None) -> None:
        super().__init__(message)
        self.sw = sw
        self.may_have_executed = self.executed if may_have_executed is None else may_have_executed


class ResetPending(StatusWordError):
    """6985: the usual answer between a profile change and the card reset that completes it (SGP.32 v1.2 §3.3.1)."""

    remedy = Remedy.RETRY_AFTER_RESET
    answered = False  # a reset is just what it asks for
    executed = False
    default_hint = "The card wants its reset first; the agent climbs the reset ladder."


class NotSelected(StatusWordError):
    """6999: the ISD-R is no longer selected, so the card was reset behind our back."""

    answered = False
    executed = False


class ChannelTrouble(StatusWordError):
    """6881 or 6A81: the card does not know our logical channel (any more)."""

    answered = False
    executed = False


class CardBusy(StatusWordError):
    """9300 that did not go away: the toolkit of the card is busy."""

    executed = False
    default_hint = "A toolkit session of the modem is open; the agent tries again later."


class NotSupportedByCard(CardError):
    """This eUICC does not have the function. Never fatal: the procedure goes on without it."""

    answered = True
    remedy = Remedy.GIVE_UP
    default_hint = "An older or consumer eUICC; the agent works without this function."


class TruncatedAnswer(CardError):
    """The answer is shorter than its own TLV header says: modem or line cut it. It must not be forwarded."""

    remedy = Remedy.RETRY
    default_hint = "The agent changes to another way of reaching the card; prefer AT+CGLA over AT+CSIM in the profile."


class AnswerTooLong(CardError):
    """The card keeps saying that more data is there, beyond every possible answer."""

    remedy = Remedy.RETRY_AFTER_RESET


class RequestTooLarge(CardError):
    """A command that does not fit into 256 blocks (P2 is one byte)."""

    remedy = Remedy.GIVE_UP


class MalformedAnswer(CardError):
    """The card's answer could not be read as the ES10 answer that was expected; ``raw`` are its bytes, which stay
    valuable: a result that cannot be displayed can still be relayed. The card did execute the function, so the
    remedy is to look at its state, not to give up."""

    answered = True
    remedy = Remedy.RETRY_AFTER_RESET
    default_hint = "Record the exchange and report it to the maker of the card."

    def __init__(self, message: str, *, raw: bytes) -> None:
        super().__init__(message)
        self.raw = self.answer = raw


class WrongRequest(CardError):
    """Bytes that are not the function they are sent for; they never reach the card. Without this guard, whoever can
    hand the agent a package could have it send any unsigned command, such as a memory reset."""

    remedy = Remedy.GIVE_UP


class FunctionFailed(CardError):
    """The card executed the function and said no; ``code`` is its number of the answer."""

    answered = True
    remedy = Remedy.GIVE_UP

    def __init__(self, function: str, code: int, meaning: str) -> None:
        super().__init__(f"{function}: the card answered {meaning} ({code})")
        self.code = code


class NotAnEuicc(CardError):
    """An application answers under the ISD-R's AID, but it does not tell an EID."""

    answered = True
    remedy = Remedy.ASK_PERSON
    default_hint = "A SGP.02 (M2M) card or an ordinary SIM; SGP.32 needs an IoT eUICC."


class CardUnreachable(CardError):
    """The card stayed silent through the whole reset ladder."""

    remedy = Remedy.RETRY
    default_hint = "The agent keeps trying; power-cycle the modem if this stays."


class MalformedBpp(IpadError):
    """A bound profile package that is not built as SGP.22 §2.5.5 says."""

    side = Side.SMDP
    remedy = Remedy.GIVE_UP
    default_hint = "Nothing was loaded; the session is cancelled."
