"""What can go wrong with an SM-DP+ or SM-DS. Which status code means which error is in ``es9_status_codes.py``."""

from __future__ import annotations

from typing import ClassVar

from ipad_agent.codec.rsp.rsp_json import FunctionStatus
from ipad_agent.codec.rsp.rsp_status_codes import UNDEFINED_ERROR
from ipad_agent.errors import ConfigError, IpadError, Remedy, Side


class SmdpError(IpadError):
    """The server answered with an error or with something that is no answer.

    ``response`` is its answer as it came, for errorResponse of a ProfileDownloadTriggerResult; ``esipa_error`` the
    number of the same error in ESipa.
    """

    side = Side.SMDP
    remedy: ClassVar[Remedy] = Remedy.RETRY
    function: str = ""
    response: bytes = b""
    esipa_error: int = UNDEFINED_ERROR


class ServerStatus(SmdpError):
    """An HTTP error without a status code of the protocol."""

    default_hint = "The server's operator finds the cause in its log; check that the address is that of an SM-DP+."

    def __init__(self, function: str, code: str, text: str, response: bytes) -> None:
        super().__init__(f"{function}: the server answered HTTP {code}" + (f": {text}" if text else ""))
        self.function = function
        self.code = code
        self.response = response


class ServerBusy(SmdpError):
    """The server asks to come back later."""

    default_hint = "The SM-DP+ is overloaded or in maintenance; nothing to do here."

    def __init__(self, function: str, retry_after_s: float) -> None:
        super().__init__(f"{function}: the server is busy and asks to wait {retry_after_s:g} s")
        self.function = function
        self.retry_after_s = retry_after_s


class AnswerUnreadable(SmdpError):
    """The answer is no message of ES9+, is too large, or contradicts itself or the session."""

    remedy = Remedy.GIVE_UP
    default_hint = "Record the exchange and report it to the SM-DP+'s maker."

    def __init__(self, function: str, problem: str, response: bytes = b"") -> None:
        super().__init__(f"{function}: the server's answer cannot be used: {problem}")
        self.function = function
        self.response = response


class SmdpTrustUnknown(ConfigError):
    """Nothing on this device vouches for the server: no CI certificate that the card knows too."""


class AddressUnusable(SmdpError):
    """The address of the server, from an activation code, an event or the card, is none."""

    remedy = Remedy.GIVE_UP
    default_hint = "Whoever made the activation code or configured the card has to correct the address."


class StatusRefused(SmdpError):
    """The server refused with a status code. Subclasses say what about."""

    remedy = Remedy.GIVE_UP
    default_hint = "The server's operator knows more; its words are in the message."

    def __init__(
        self, function: str, status: FunctionStatus, sentence: str, *, esipa_error: int, response: bytes = b""
    ) -> None:
        super().__init__(f"{sentence} [{function} {status.sentence}]")
        self.function = function
        self.subject = status.subject
        self.reason = status.reason
        self.esipa_error = esipa_error
        self.response = response


class UnknownRefusal(StatusRefused):
    """A status code that the tables do not have."""


class RequestRefused(StatusRefused):
    """The server finds the request itself faulty."""

    default_hint = "Check user agent and protocol version in [https]; else report it to the maker of this agent."


class AddressRefused(StatusRefused):
    """The server does not know itself under the address it was called by."""

    default_hint = "The address in the activation code or on the card must be the server's own name."


class VersionUnsupported(StatusRefused):
    """Server and eUICC have no version of the specification in common."""

    remedy = Remedy.ASK_PERSON
    default_hint = "This SM-DP+ cannot serve this eUICC; order the profile from another one."


class CiUnsupported(StatusRefused):
    """Server and eUICC have no certificate issuer in common."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Test cards need a test SM-DP+, live cards a live one; compare the CI keys of both."


class CardCertificateRefused(StatusRefused):
    """The server does not accept the certificate of the eUICC or of its manufacturer."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Ask the card's maker and the SM-DP+'s operator about the certificate."


class SignatureRefused(StatusRefused):
    """The eUICC's signature did not verify, mostly because something was changed on the way."""

    default_hint = "What the card signed must arrive unchanged: record the exchange and report it."


class MatchingIdRefused(StatusRefused):
    """No profile is waiting under this matching identifier."""

    default_hint = "The activation code is used up, mistyped or of another server; ask the operator for a new one."


class EidMismatch(StatusRefused):
    """The profile is reserved for another eUICC."""

    default_hint = "The operator reserved the profile for another EID."


class NoEligibleProfile(StatusRefused):
    """The server has a profile but none that this eUICC can take."""

    default_hint = "The operator has to prepare a profile type that fits this eUICC."


class ProfileNotReleased(StatusRefused):
    """The profile is not released yet, or a rule of it forbids the download."""

    default_hint = "The operator has to release the order; then the eIM can trigger it again."


class TransactionUnknown(StatusRefused):
    """The server forgot the session, mostly because the steps took too long."""

    remedy = Remedy.RETRY
    default_hint = "The download begins anew by the next trigger."


class CardFull(StatusRefused):
    """The server was told that the eUICC has too little memory."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Delete a profile on this card first."


class OrderExpired(StatusRefused):
    """The download order is over: expired, or tried too often."""

    default_hint = "The operator has to order the profile anew."


class EventUnknown(StatusRefused):
    """The SM-DS has no such event."""

    default_hint = "The event was fetched already or withdrawn; nothing to do."


class ConfirmationCodeRefused(StatusRefused):
    """The confirmation code is missing, wrong, or was wrong too often."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Ask the operator for the confirmation code and send a new trigger."


class RebindingRefused(StatusRefused):
    """The server does not bind the profile to another session of the eUICC."""

    default_hint = "The operator has to order the profile anew."


class WrongServer(StatusRefused):
    """The session belongs to a server with another OID."""

    default_hint = "The servers of this operator contradict each other; report it to them."
