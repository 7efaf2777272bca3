"""Bringing a result home in the form that the eIM's release has for it (SGP.32 v1.2 §5.14.6).

Results come and go in the form of v1.2; here they get the form of the eIM's release, and an empty success of v1.0,
which is its acknowledgement, becomes the number of the signed result. While nothing is known, results go out in the
form that every release reads.
"""

from __future__ import annotations

import hashlib
from typing import Final

from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import EimPackageError, ProvideResultResponse
from ipad_agent.codec.esipa.result_forms import common_form, signed_result, v1_0_form
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import EimError
from ipad_agent.net import PeerStatus
from ipad_agent.records import replace

from . import events
from .compact_sending import CompactResult, CompactSending
from .errors import UnreadableAnswer
from .esipa_binding import PROVIDE_RESULT
from .esipa_dialect import Evidence, Weight
from .esipa_exchange import NOT_TAKEN, UNREAD_STATUS, EsipaExchange

MAX_REFUSALS: Final = 5
"""So often a result is offered to an eIM of v1.0 that refuses it and answers everything else."""

SILENT_REFUSALS: Final = 1
"""So often an eIM of unknown release has refused before, and answered everything else, what it once answered with
nothing: one refusal may be a trouble of the moment, and what is concluded takes the result off the card."""
_BAD_REQUEST: Final = frozenset({"4.00", "400"})
_ABOUT_THE_EID: Final = frozenset(
    {EimPackageError.EID_NOT_FOUND, EimPackageError.INVALID_EID, EimPackageError.MISSING_EID}
)
_WITH_EID: Final = Evidence("1.2", Weight.TRIED, "it takes results with the EID")
_WITHOUT_EID: Final = Evidence("1.0", Weight.TRIED, "it refuses results with the EID and takes them without")
_ANSWERS: Final = {
    "1.0": Evidence("1.0", Weight.SHOWN, "it answers a result as only v1.0 does"),
    "1.2": Evidence("1.2", Weight.TRIED, "it answers a result as v1.0 cannot"),
}


class ResultOffers:
    """Offers results to one eIM, and remembers what it made of them."""

    def __init__(self, exchange: EsipaExchange, eid: Eid, compact: CompactSending) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._eim_id = exchange.eim_id
        self._eid = eid
        self._compact = compact
        self._without_eid = False
        """Whether it refused a result with the EID and took it without."""
        self._refused_now: dict[str, int | None] = {}
        """The results that it refused, as one refuses what cannot be read, with the counters of their packages."""

    def answers_else(self, handed_out: int | None) -> None:
        """The eIM has answered something else well: what it refused before, it refused for what it was. ``handed_out``
        is the counter of the package that it handed out: of that one its order is still open."""
        for key, counter in self._refused_now.items():
            if counter is not None and counter == handed_out:
                self._dialect.forget_refusals(key)
            else:
                self._dialect.refused(key)
        self._refused_now.clear()

    def close(self) -> None:
        """The association ends."""
        self._refused_now.clear()

    async def bring(self, result: bytes) -> ProvideResultResponse:
        """Bring the raw EimPackageResult element. The eIM's error numbers are in the answer. Raises as
        ``EsipaExchange.ask``."""
        key, number = _key(result), _number(result)
        known = self._exchange.release
        if known == "1.0":
            if number is not None and self._dialect.was_taken(key):
                events.TAKEN_SILENTLY.emit(eim=self._eim_id, seq=number)
                return ProvideResultResponse((number,))
            count = self._dialect.refusals(key)
            if count >= MAX_REFUSALS:
                what = "no signed one" if number is None else f"number {number} on the card"
                events.RESULT_CLOSED.emit(eim=self._eim_id, count=count, what=what)
                return ProvideResultResponse(() if number is None else (number,))
        try:
            response = await self._offer(result)
        except (PeerStatus, UnreadableAnswer) as refusal:
            if not _is_unread(refusal):
                raise
            silent = known is None and number is not None and self._dialect.was_silent(key)
            if silent and self._dialect.refusals(key) >= SILENT_REFUSALS:
                sentence = "it answered a result with nothing and refuses it since, so it had taken it"
                self._dialect.learn(Evidence("1.0", Weight.SHOWN, sentence))
                return self._acknowledged(ProvideResultResponse(empty=True), key, number)
            if silent or known == "1.0":
                self._refused_now[key] = _counter(result)
            raise
        self._exchange.note(PROVIDE_RESULT, response.tolerances)
        if response.error is None:
            self._compact.result_taken(result)
        return self._acknowledged(response, key, number)

    async def _offer(self, result: bytes) -> ProvideResultResponse:
        """Bring a result in the form of the eIM's release, and in the other one when the eIM cannot read that."""
        known = self._exchange.release
        new = eim_package.encode_provide_result(self._eid, result)
        old = eim_package.encode_provide_result(None, v1_0_form(result) if known == "1.0" else common_form(result))
        if known in ("1.2", "1.3") and not self._without_eid:
            compact = self._compact.result(result, self._eid)
            if compact is None:
                return await self._offer_with_eid(new, old)
            taken = await self._offer_compact(compact, new)
            if isinstance(taken, ProvideResultResponse):
                return taken
            answer = await self._offer_with_eid(new, old)
            if answer.error is None:
                self._compact.refused(self._eim_id, PROVIDE_RESULT, taken)
            return answer
        unread = _BAD_REQUEST if known == "1.0" else UNREAD_STATUS
        try:
            answer = await self._exchange.ask(PROVIDE_RESULT, old, eim_package.parse_provide_result_response)
        except PeerStatus as refusal:
            if refusal.code not in unread or self._dialect.configured:
                raise
            return await self._offer_again(new, refusal)
        self._learn_from(answer)
        if answer.error not in _ABOUT_THE_EID:
            return answer
        self._without_eid = False  # what it once refused with the EID, it refused for another reason
        return await self._offer_again(new, answer)

    async def _offer_compact(self, compact: CompactResult, full: bytes) -> ProvideResultResponse | EimError | str:
        """With notifications that lack their certificates; why it was not taken, else. A notification that is
        not acknowledged stays on the card, and goes in full the next time."""
        short = eim_package.encode_provide_result(self._eid, compact.body)
        try:
            answer = await self._exchange.ask(PROVIDE_RESULT, short, eim_package.parse_provide_result_response)
        except NOT_TAKEN as trouble:
            return trouble
        if answer.error is not None:
            return f"error {answer.error}"
        if compact.shortened <= set(answer.acknowledged):
            self._compact.certificates_shown()
        else:
            self._compact.refused(self._eim_id, PROVIDE_RESULT, "not every notification was acknowledged")
        self._compact.saved(full, short)
        return answer

    async def _offer_again(self, new: bytes, first: ProvideResultResponse | PeerStatus) -> ProvideResultResponse:
        """With the EID, to an eIM that refused the form without."""
        try:
            second = await self._exchange.ask(PROVIDE_RESULT, new, eim_package.parse_provide_result_response)
        except PeerStatus:
            if isinstance(first, PeerStatus):
                raise first from None
            return first
        self._dialect.learn(_WITH_EID)
        return second

    async def _offer_with_eid(self, new: bytes, old: bytes) -> ProvideResultResponse:
        try:
            answer = await self._exchange.ask(PROVIDE_RESULT, new, eim_package.parse_provide_result_response)
        except PeerStatus as refusal:
            if refusal.code not in UNREAD_STATUS:
                raise
            try:
                second = await self._exchange.ask(PROVIDE_RESULT, old, eim_package.parse_provide_result_response)
            except PeerStatus:
                raise refusal from None  # the eIM's trouble is another one than the fields
            if second.error in _ABOUT_THE_EID:
                raise refusal
            self._without_eid = True
            events.PLAIN_REQUEST.emit(eim=self._eim_id, function=PROVIDE_RESULT, problem=refusal)
            self._dialect.learn(_WITHOUT_EID)
            return second
        self._learn_from(answer)
        self._dialect.learn(_WITH_EID)
        return answer

    def _learn_from(self, answer: ProvideResultResponse) -> None:
        self._dialect.learn(None if answer.release is None else _ANSWERS[answer.release])

    def _acknowledged(self, response: ProvideResultResponse, key: str, number: int | None) -> ProvideResultResponse:
        """With the number that an eIM of v1.0 acknowledges by taking the result. It is written down before anybody
        acts on it: such an eIM refuses a result that comes again."""
        if response.error is not None:
            return response
        self._dialect.forget_refusals(key)
        if number is None or response.acknowledged:
            return response
        if self._exchange.release == "1.0" and response.release != "1.2":
            self._dialect.taken(key)
            events.TAKEN_SILENTLY.emit(eim=self._eim_id, seq=number)
            return replace(response, acknowledged=(number,))
        if self._exchange.release is None and response.empty:
            self._dialect.silent(key)
        return response


def _is_unread(refusal: EimError) -> bool:
    """Whether it is how servers say that they cannot read a request, or nothing that could be understood."""
    return not isinstance(refusal, PeerStatus) or refusal.code in UNREAD_STATUS


def _number(result: bytes) -> int | None:
    signed = signed_result(result)
    return None if signed is None else signed.seq_number


def _counter(result: bytes) -> int | None:
    signed = signed_result(result)
    return None if signed is None else signed.counter


def _key(result: bytes) -> str:
    """The name of a result in the memory: the same whether notifications travel with it or not."""
    signed = signed_result(result)
    return hashlib.sha256(result if signed is None else signed.relay_raw).hexdigest()[:16]
