"""One ESipa function and its answer, over any carrier, in either binding (SGP.32 v1.2 §6.3.2, §6.4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.rsp.rsp_status_codes import UNDEFINED_ERROR
from ipad_agent.codec.tolerances import CATALOGUE
from ipad_agent.errors import CodecError
from ipad_agent.net import Carrier, NamesProtocol, PeerStatus, cost_bytes

from . import events
from .errors import FunctionRefused, UnreadableAnswer
from .esipa_binding import GET_EIM_PACKAGE, HANDLE_NOTIFICATION, PROVIDE_RESULT, Binding, error_in
from .esipa_dialect import PeerDialect, Release, evidence_in_header

UNREAD_STATUS: Final = frozenset({"4.00", "5.00", "400", "500"})
"""How servers say that they cannot read a request: CoAP and HTTP."""
NOT_TAKEN: Final = (PeerStatus, FunctionRefused, UnreadableAnswer)
"""What an eIM may answer to a form that it does not know; one that is busy says so otherwise."""

POLL, RESULT, NOTIFICATION, DOWNLOAD = "poll", "result", "notification", "download"
_PURPOSES: Final = {GET_EIM_PACKAGE: POLL, PROVIDE_RESULT: RESULT, HANDLE_NOTIFICATION: NOTIFICATION}

_Parsed = TypeVar("_Parsed")


class EsipaExchange:
    """With one eIM. Counts what exchanges cost and which liberties were taken with the answers, and learns the eIM's
    release from the header of its answers."""

    def __init__(self, carrier: Carrier, eim_id: str, dialect: PeerDialect, binding: Binding) -> None:
        self._carrier = carrier
        self._naming = carrier if isinstance(carrier, NamesProtocol) else None
        self.eim_id = eim_id
        self.dialect = dialect
        self.binding = binding
        self.traffic_by_purpose: Counter[str] = Counter()
        """What exchanges have cost so far, with the handshakes they needed and all headers."""
        self.tolerances: Counter[str] = Counter()
        """How often which liberty was taken with this eIM's messages, by the codec's id."""

    @property
    def release(self) -> Release | None:
        """What the eIM speaks as far as it matters in this binding; None while nothing is known."""
        # A reader of JSON passes over a field that it does not know.
        known = self.dialect.release
        return "1.2" if known is None and self.binding.name == "json" else known

    async def ask(self, function: str, body: bytes, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        """One function and its answer, read. Raises what the carrier raises, ``FunctionRefused`` and
        ``UnreadableAnswer``."""
        answer = await self.send(function, body)
        try:
            return parse(answer)
        except CodecError as error:
            raise UnreadableAnswer(function, error.message, body=answer) from error

    async def send(self, function: str, body: bytes) -> bytes:
        """The same with the answer as it came, taken out of the binding."""
        request = self.binding.request(function, body)
        spent_bytes = cost_bytes(self._carrier)
        try:
            received = await self._carrier.exchange(request, function=function)
        except PeerStatus as refusal:
            if not self._says_why(function, refusal):
                raise
            received = refusal.body
            events.ERROR_IN_STATUS.emit(eim=self.eim_id, function=function, code=refusal.code)
        finally:
            self.traffic_by_purpose[_PURPOSES.get(function, DOWNLOAD)] += cost_bytes(self._carrier) - spent_bytes
            if self._naming is not None:
                self.dialect.learn(evidence_in_header(self._naming.peer_protocol))
        events.EXCHANGED.emit(eim=self.eim_id, function=function, sent_bytes=len(request), received_bytes=len(received))
        try:
            answer = self.binding.answer(function, received)
        except CodecError as error:
            raise UnreadableAnswer(function, error.message, body=received) from error
        self.note(function, answer.tolerances)
        if answer.status is not None:
            if not answer.body:  # there is no error in ASN.1 that could say it
                raise FunctionRefused(function, ResultCode(UNDEFINED_ERROR), status=answer.status.sentence)
            events.STATUS.emit(eim=self.eim_id, function=function, status=answer.status.sentence)
        return answer.body

    def _says_why(self, function: str, refusal: PeerStatus) -> bool:
        """Whether a status came with an error of ESipa. undefinedError says no more than the status does, and less to
        those who try another form of the request."""
        try:
            number = error_in(function, self.binding.answer(function, refusal.body).body)
        except CodecError:
            return False
        return number is not None and number != UNDEFINED_ERROR

    def note(self, function: str, tolerances: Iterable[str]) -> None:
        """These liberties were taken with an answer."""
        for id in tolerances:
            self.tolerances[id] += 1
            what = CATALOGUE[id].what if id in CATALOGUE else id
            events.MESSAGE_TOLERATED.emit(eim=self.eim_id, function=function, what=what, tolerance=id)
