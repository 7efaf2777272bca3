"""ESipa towards one eIM, over any carrier, in either binding (SGP.32 v1.2 §5.14, §6.3.2, §6.4.1)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.es10_download import CancelSessionResponse, parse_cancel_session
from ipad_agent.codec.esipa import eim_package, esipa_download
from ipad_agent.codec.esipa.eim_package import (
    EimPackage,
    EimPackageError,
    MalformedPackage,
    NoPackage,
    ProvideResultResponse,
    StateChangeCause,
)
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    BoundProfilePackage,
    InitiateAuthenticationOk,
    Refused,
)
from ipad_agent.codec.esipa.ipa_euicc_data import Dialect
from ipad_agent.codec.esipa.result_forms import common_form, signed_result, v1_0_form
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.codec.rsp.rsp_status_codes import UNDEFINED_ERROR
from ipad_agent.codec.tolerances import CATALOGUE
from ipad_agent.errors import CodecError, EimError, NetworkError
from ipad_agent.net import Carrier, NamesProtocol, PeerStatus, cost_bytes
from ipad_agent.records import replace

from . import events
from .compact_sending import CompactResult, CompactSending
from .errors import FunctionRefused, UnreadableAnswer
from .esipa_binding import (
    AUTHENTICATE_CLIENT,
    BINDINGS,
    CANCEL_SESSION,
    GET_BPP,
    GET_EIM_PACKAGE,
    HANDLE_NOTIFICATION,
    INITIATE_AUTHENTICATION,
    PROVIDE_RESULT,
    Binding,
    error_in,
)
from .esipa_dialect import Evidence, PeerDialect, Release, Weight, evidence_in_header, evidence_in_package

# How servers say that they cannot read a request: CoAP and HTTP.
_UNREAD_STATUS: Final = frozenset({"4.00", "5.00", "400", "500"})
_BAD_REQUEST: Final = frozenset({"4.00", "400"})

_MAYBE_INFO1: Final = frozenset({2, 3, UNDEFINED_ERROR})
"""Refusals of InitiateAuthentication that EUICCInfo1 may be the cause of: release, CI, and no reason."""
_MAYBE_SIGNED1: Final = frozenset({1, 2, 3, 4, 5, UNDEFINED_ERROR})
"""Of AuthenticateClient: certificates and signature, which are judged by what the eIM put together."""
_MAYBE_SIGNED2: Final = frozenset({1, UNDEFINED_ERROR})

_ABOUT_THE_EID: Final = frozenset(
    {EimPackageError.EID_NOT_FOUND, EimPackageError.INVALID_EID, EimPackageError.MISSING_EID}
)

MAX_REFUSALS: Final = 5
"""So often a result is offered to an eIM of v1.0 that refuses it and answers everything else."""

_WITH_EID: Final = Evidence("1.2", Weight.TRIED, "it takes results with the EID")
_WITHOUT_EID: Final = Evidence("1.0", Weight.TRIED, "it refuses results with the EID and takes them without")
_ANSWERS: Final = {
    "1.0": Evidence("1.0", Weight.SHOWN, "it answers a result as only v1.0 does"),
    "1.2": Evidence("1.2", Weight.TRIED, "it answers a result as v1.0 cannot"),
}

_Parsed = TypeVar("_Parsed")

_NOT_TAKEN: Final = (PeerStatus, FunctionRefused, UnreadableAnswer)
"""What an eIM may answer to a form that it does not know; one that is busy says so otherwise."""
_NETWORK_BYTES: Final = 5
"""rPLMN with its tag and length."""

UNTOLD_TRIES = 3
"""So often a state change is offered to an eIM that takes questions only without optional fields."""


POLL, RESULT, NOTIFICATION, DOWNLOAD = "poll", "result", "notification", "download"
_PURPOSES = {GET_EIM_PACKAGE: POLL, PROVIDE_RESULT: RESULT, HANDLE_NOTIFICATION: NOTIFICATION}


class EimClient:
    """Implements what procedures need of an eIM. One secured association, for the length of a procedure.

    ``dialect`` is what the eIM is known to speak, or what it is learned by. Results come and go in the form of v1.2;
    here they get the form of the eIM's release, and an empty success of v1.0, which is its acknowledgement, becomes
    the number of the signed result. While nothing is known, results go out in the form that every release reads. A
    request with fields that an older release did not know is repeated without them when the eIM cannot read it.

    Every method raises what the carrier raises, and ``UnreadableAnswer``; those of a download also
    ``FunctionRefused`` with the eIM's error number.
    """

    def __init__(
        self,
        carrier: Carrier,
        eid: Eid,
        *,
        eim_id: str = "the eIM",
        dialect: PeerDialect | Release = "1.2",
        binding: Binding = BINDINGS["asn1"],
        host: str | None = None,
        compact: CompactSending | None = None,
    ) -> None:
        self.host = host
        self._compact = compact if compact is not None else CompactSending(wanted=False)
        self.compact_saved_bytes = 0
        """What compact forms have saved so far, in message bytes."""
        self._saved_said_bytes = 0
        self._carrier = carrier
        self._naming = carrier if isinstance(carrier, NamesProtocol) else None
        self._eid = eid
        self._eim_id = eim_id
        self._dialect = dialect if isinstance(dialect, PeerDialect) else PeerDialect(eim_id, dialect)
        self._binding = binding
        self._plain: set[str] = set()
        self._refused_now: set[str] = set()
        self._untold: StateChangeCause | None = None
        self._untold_tries = 0
        self.traffic_by_purpose: Counter[str] = Counter()
        """What exchanges have cost so far, with the handshakes they needed and all headers."""
        self.tolerances: Counter[str] = Counter()
        """How often which liberty was taken with this eIM's messages, by the codec's id."""

    async def get_eim_package(
        self, *, state_change: StateChangeCause | None = None, rplmn: Plmn | None = None
    ) -> EimPackage:
        """Ask for the next package (§5.14.5). ``NoPackage`` is an answer, not an error, and so is an answer that is no
        message at all: it comes back as ``MalformedPackage``, since the eIM has to be told (§3.1.1.1).

        A state change that the eIM did not take, because it refused the optional fields, goes with the next questions
        too: the refusal may have had another reason."""
        if state_change is None and self._untold_tries < UNTOLD_TRIES:
            state_change = self._untold
        elif state_change is not None and state_change is not self._untold:
            self._untold_tries = 0
        if state_change is not None:
            self._plain.discard(GET_EIM_PACKAGE)
        shown = self._compact.network(rplmn) if state_change is None else rplmn
        full = eim_package.encode_get_eim_package(
            self._eid, state_change=state_change, rplmn=shown, dialect=self._codec_dialect
        )
        plain = eim_package.encode_get_eim_package(self._eid)
        package: EimPackage
        try:
            package = await self._call(
                GET_EIM_PACKAGE, full, plain, eim_package.parse_get_eim_package_response, unread=_is_undefined_error
            )
        except UnreadableAnswer as error:
            package = MalformedPackage(error.body, None, error.problem)
        except (EimError, NetworkError):
            self._compact.asked(shown, None, understood=False)
            raise
        understood = not isinstance(package, MalformedPackage) and not _is_trouble(package)
        self._compact.asked(None if GET_EIM_PACKAGE in self._plain else shown, rplmn, understood=understood)
        if shown is None and rplmn is not None:
            self.compact_saved_bytes += _NETWORK_BYTES
        refused = state_change is not None and GET_EIM_PACKAGE in self._plain
        self._untold = state_change if refused else None
        self._untold_tries += refused
        self._note(GET_EIM_PACKAGE, package.tolerances)
        self._dialect.learn(evidence_in_package(package))
        if not isinstance(package, MalformedPackage) and not _is_undefined_error(package):
            for key in self._refused_now:
                self._dialect.refused(key)
            self._refused_now.clear()
        return package

    @property
    def change_untold(self) -> bool:
        """Whether the state change given with the last question has to be told again: the eIM refused the question with
        it and answered the one without. After ``UNTOLD_TRIES`` of these it counts as one that takes none."""
        return self._untold is not None and self._untold_tries < UNTOLD_TRIES

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse:
        """Bring a result (§5.14.6): the raw EimPackageResult element. The eIM's error numbers are in the answer."""
        key, number = _key(result), _number(result)
        known = self._release
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
        except (PeerStatus, UnreadableAnswer):
            if known is None and number is not None and self._dialect.was_silent(key):
                sentence = "it answered a result with nothing and refuses it now, so it had taken it"
                self._dialect.learn(Evidence("1.0", Weight.SHOWN, sentence))
                return self._acknowledged(ProvideResultResponse(empty=True), key, number)
            if known == "1.0":
                self._refused_now.add(key)
            raise
        self._note(PROVIDE_RESULT, response.tolerances)
        if response.error is None:
            self._compact.result_taken(result)
        return self._acknowledged(response, key, number)

    async def handle_notification(self, raw: bytes) -> None:
        """Bring one PendingNotification (§5.14.7), exactly as the eUICC gave it. No error means delivered."""
        request = eim_package.encode_handle_notification(raw)
        short = self._compact.notification(raw, self._eid, with_eid=self._release in ("1.2", "1.3"))
        if short is None:
            answer = await self._exchange(HANDLE_NOTIFICATION, request)
        else:
            answer = await self._compact_notification(eim_package.encode_handle_notification(short), request)
        self._note(HANDLE_NOTIFICATION, eim_package.parse_handle_notification_response(answer))

    async def _compact_notification(self, short: bytes, full: bytes) -> bytes:
        """Without the certificates, and with them where that is refused: there is no error number for it."""
        try:
            answer = await self._exchange(HANDLE_NOTIFICATION, short)
        except _NOT_TAKEN as refusal:
            answer = await self._exchange(HANDLE_NOTIFICATION, full)
            self._compact_refused(HANDLE_NOTIFICATION, refusal)
        else:
            self.compact_saved_bytes += len(full) - len(short)
        return answer

    async def handle_result(self, result: bytes) -> None:
        """Bring a result as a notification (§3.1.2): delivered without an acknowledgement for the eUICC.

        No caller yet."""
        provided = eim_package.encode_provide_result(self._eid, result)
        request = eim_package.encode_handle_notification_result(provided, dialect=self._codec_dialect)
        answer = await self._exchange(HANDLE_NOTIFICATION, request)
        self._note(HANDLE_NOTIFICATION, eim_package.parse_handle_notification_response(answer))

    # -- a profile download through the eIM ----------------------------------------------------------------------------

    async def initiate_authentication(
        self,
        *,
        challenge: bytes,
        smdp_address: str | None = None,
        euicc_info1: bytes | None = None,
        eim_transaction_id: bytes | None = None,
    ) -> InitiateAuthenticationOk:
        """Open a session with an SM-DP+ or SM-DS (§5.14.1); without an address the eIM knows which."""

        def request(info1: bytes | None) -> bytes:
            return esipa_download.encode_initiate_authentication(
                challenge,
                smdp_address=smdp_address,
                euicc_info1=info1,
                eim_transaction_id=None if self._release == "1.0" else eim_transaction_id,
            )

        answer = await self._compactly(
            INITIATE_AUTHENTICATION,
            request(None) if self._compact.knows_info1(euicc_info1) else None,
            request(euicc_info1),
            esipa_download.parse_initiate_authentication_response,
            blamed=_MAYBE_INFO1,
        )
        self._note(INITIATE_AUTHENTICATION, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(INITIATE_AUTHENTICATION, answer.code)
        self._compact.opened(answer, euicc_info1)
        return answer

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        """Bring the eUICC's answer to AuthenticateServer, an error of it too (§5.14.2)."""
        request = esipa_download.encode_authenticate_client(transaction_id, response)
        compact = self._compact.authenticate_response(response)
        short = None if compact is None else esipa_download.encode_authenticate_client(transaction_id, compact)
        answer = await self._compactly(
            AUTHENTICATE_CLIENT,
            short,
            request,
            esipa_download.parse_authenticate_client_response,
            blamed=_MAYBE_SIGNED1,
        )
        self._note(AUTHENTICATE_CLIENT, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(AUTHENTICATE_CLIENT, answer.code)
        if isinstance(answer, AuthenticateClientOk):
            self._compact.authenticated(answer, response)
        return answer

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage:
        """Bring the eUICC's answer to PrepareDownload and fetch the package (§5.14.3)."""
        request = esipa_download.encode_get_bound_profile_package(transaction_id, prepare_download_response)
        compact = self._compact.prepare_download_response(prepare_download_response)
        short = None if compact is None else esipa_download.encode_get_bound_profile_package(transaction_id, compact)
        answer = await self._compactly(
            GET_BPP, short, request, esipa_download.parse_get_bound_profile_package_response, blamed=_MAYBE_SIGNED2
        )
        self._note(GET_BPP, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(GET_BPP, answer.code)
        return answer

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        """Bring the eUICC's answer to CancelSession (BF41) and end the session (§5.14.4)."""
        compact = self._compact.cancel_session_response(response)
        if compact is None:
            await self._cancel_in_full(transaction_id, response)
            return
        problem = await self._compact_cancel(transaction_id, compact)
        if problem is None:
            self.compact_saved_bytes += len(response) - len(compact)
            return
        await self._cancel_in_full(transaction_id, response)
        self._compact_refused(CANCEL_SESSION, problem)

    async def _cancel_in_full(self, transaction_id: bytes, response: bytes) -> None:
        answer = parse_cancel_session(response)
        nested = self._dialect.nested_cancel and self._binding.name == "asn1"
        refused, problem = await self._cancel(transaction_id, answer, nested=nested)
        if problem is not None and self._binding.name == "asn1":
            try:
                refused, second = await self._cancel(transaction_id, answer, nested=not nested)
            except (PeerStatus, UnreadableAnswer):
                second = problem
            if second is None:
                self._dialect.learn_cancel(nested=not nested)
                if not nested:
                    events.CANCEL_NESTED.emit(eim=self._eim_id, problem=problem)
                problem = None
        if isinstance(problem, PeerStatus) and refused is None:
            raise problem  # neither form helped: the eIM's trouble is another one
        if refused is not None:
            self._note(CANCEL_SESSION, refused.tolerances)
            raise FunctionRefused(CANCEL_SESSION, refused.code)

    async def _compact_cancel(self, transaction_id: bytes, compact: bytes) -> object | None:
        """Why the eIM did not take the compact form of CancelSession; None when it did."""
        short = esipa_download.encode_cancel_session(transaction_id, parse_cancel_session(compact))
        try:
            refused = await self._once(CANCEL_SESSION, short, esipa_download.parse_cancel_session_response)
        except _NOT_TAKEN as trouble:
            return trouble
        return None if refused is None else refused.code.name

    async def _cancel(
        self, transaction_id: bytes, answer: CancelSessionResponse, *, nested: bool
    ) -> tuple[Refused | None, PeerStatus | str | None]:
        """The eIM's answer, and what speaks for the other form of the request: a status that says "unreadable", or
        undefinedError."""
        request = esipa_download.encode_cancel_session(transaction_id, answer, nested=nested)
        try:
            refused = await self._once(CANCEL_SESSION, request, esipa_download.parse_cancel_session_response)
        except PeerStatus as status:
            if status.code not in _UNREAD_STATUS:
                raise
            return None, status
        if refused is not None and int(refused.code) == UNDEFINED_ERROR:
            return refused, "undefined error"
        return refused, None

    @property
    def carrier(self) -> str:
        """``coaps`` or ``https``, as it is used now."""
        return self._carrier.scheme

    @property
    def traffic_bytes(self) -> int:
        """Bytes on the network since the link was made, both directions, headers of IP, UDP and TCP included."""
        return cost_bytes(self._carrier)

    async def reach(self) -> None:
        """Make the secured association and say nothing over it."""
        await self._carrier.reach()

    async def close(self) -> None:
        """End the association."""
        self._refused_now.clear()
        self._compact.close()
        if self.compact_saved_bytes > self._saved_said_bytes:
            events.COMPACT_SAVED.emit(size_bytes=self.compact_saved_bytes - self._saved_said_bytes, eim=self._eim_id)
            self._saved_said_bytes = self.compact_saved_bytes
        await self._carrier.close()

    # -- the eIM's release -----------------------------------------------------------------------------------------

    @property
    def _release(self) -> Release | None:
        # A reader of JSON passes over a field that it does not know.
        known = self._dialect.release
        return "1.2" if known is None and self._binding.name == "json" else known

    @property
    def _codec_dialect(self) -> Dialect:
        return "1.0" if self._release == "1.0" else "1.2"

    async def _offer(self, result: bytes) -> ProvideResultResponse:
        """Bring a result in the form of the eIM's release, and in the other one when the eIM cannot read that."""
        known = self._release
        new = eim_package.encode_provide_result(self._eid, result)
        old = eim_package.encode_provide_result(None, v1_0_form(result) if known == "1.0" else common_form(result))
        if known in ("1.2", "1.3") and PROVIDE_RESULT not in self._plain:
            compact = self._compact.result(result, self._eid)
            if compact is None:
                return await self._offer_with_eid(new, old)
            taken = await self._offer_compact(compact, new)
            if isinstance(taken, ProvideResultResponse):
                return taken
            answer = await self._offer_with_eid(new, old)
            if answer.error is None:
                self._compact_refused(PROVIDE_RESULT, taken)
            return answer
        unread = _BAD_REQUEST if known == "1.0" else _UNREAD_STATUS
        try:
            answer = await self._once(PROVIDE_RESULT, old, eim_package.parse_provide_result_response)
        except PeerStatus as refusal:
            if refusal.code not in unread or self._dialect.configured:
                raise
            return await self._offer_again(new, refusal)
        self._learn_from(answer)
        if answer.error not in _ABOUT_THE_EID:
            return answer
        if PROVIDE_RESULT in self._plain:
            self._plain.discard(PROVIDE_RESULT)  # what it once refused with the EID, it refused for another reason
        return await self._offer_again(new, answer)

    async def _offer_compact(self, compact: CompactResult, full: bytes) -> ProvideResultResponse | EimError | str:
        """With notifications that lack their certificates; why it was not taken, else. A notification that is
        not acknowledged stays on the card, and goes in full the next time."""
        short = eim_package.encode_provide_result(self._eid, compact.body)
        try:
            answer = await self._once(PROVIDE_RESULT, short, eim_package.parse_provide_result_response)
        except _NOT_TAKEN as trouble:
            return trouble
        if answer.error is not None:
            return f"error {answer.error}"
        if compact.shortened <= set(answer.acknowledged):
            self._compact.certificates_shown()
        else:
            self._compact_refused(PROVIDE_RESULT, "not every notification was acknowledged")
        self.compact_saved_bytes += len(full) - len(short)
        return answer

    async def _offer_again(self, new: bytes, first: ProvideResultResponse | PeerStatus) -> ProvideResultResponse:
        """With the EID, to an eIM that refused the form without."""
        try:
            second = await self._once(PROVIDE_RESULT, new, eim_package.parse_provide_result_response)
        except PeerStatus:
            if isinstance(first, PeerStatus):
                raise first from None
            return first
        self._dialect.learn(_WITH_EID)
        return second

    async def _offer_with_eid(self, new: bytes, old: bytes) -> ProvideResultResponse:
        try:
            answer = await self._once(PROVIDE_RESULT, new, eim_package.parse_provide_result_response)
        except PeerStatus as refusal:
            if refusal.code not in _UNREAD_STATUS:
                raise
            try:
                second = await self._once(PROVIDE_RESULT, old, eim_package.parse_provide_result_response)
            except PeerStatus:
                raise refusal from None  # the eIM's trouble is another one than the fields
            if second.error in _ABOUT_THE_EID:
                raise refusal
            self._plain.add(PROVIDE_RESULT)
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
        if self._release == "1.0" and response.release != "1.2":
            self._dialect.taken(key)
            events.TAKEN_SILENTLY.emit(eim=self._eim_id, seq=number)
            return replace(response, acknowledged=(number,))
        if self._release is None and response.empty:
            self._dialect.silent(key)
        return response

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _call(
        self,
        function: str,
        full: bytes,
        plain: bytes,
        parse: Callable[[bytes], _Parsed],
        *,
        unread: Callable[[_Parsed], bool] = lambda _: False,
    ) -> _Parsed:
        """Send ``full``; if the eIM cannot read it, ``plain``, which stays in use if that went better."""
        if function in self._plain or full == plain:
            return await self._once(function, plain, parse)
        refusal: PeerStatus | None = None
        answer: _Parsed | None = None
        try:
            answer = await self._once(function, full, parse)
        except PeerStatus as status:
            if status.code not in _UNREAD_STATUS:
                raise
            refusal = status
        if answer is not None and not unread(answer):
            return answer
        try:
            second = await self._once(function, plain, parse)
        except (PeerStatus, NetworkError):
            # The eIM's trouble is another one than the fields. It answered: its first answer is the one that counts.
            if refusal is not None:
                raise refusal from None
            if answer is not None:
                return answer
            raise
        if not unread(second):
            self._plain.add(function)
            self._dialect.learn(Evidence("1.0", Weight.HINT, f"it takes {function} only without optional fields"))
            events.PLAIN_REQUEST.emit(eim=self._eim_id, function=function, problem=refusal or "undefined error")
        return second

    async def _compactly(
        self,
        function: str,
        short: bytes | None,
        full: bytes,
        parse: Callable[[bytes], _Parsed],
        *,
        blamed: frozenset[int],
    ) -> _Parsed:
        """Send ``short``, where there is one, and ``full`` when the eIM refuses that for what may be its form."""
        if short is None:
            return await self._once(function, full, parse)
        first: _Parsed | None = None
        problem: object
        try:
            first = await self._once(function, short, parse)
        except _NOT_TAKEN as trouble:
            problem = trouble
        else:
            if not isinstance(first, Refused) or int(first.code) not in blamed:
                self.compact_saved_bytes += len(full) - len(short)
                return first
            problem = first.code.name
        second = await self._once(function, full, parse)
        if isinstance(second, Refused) and isinstance(first, Refused) and int(first.code) == int(second.code):
            return second  # its trouble is another one
        # Refused for another reason now: by what was put together wrongly the server has ended the session.
        self._compact_refused(function, problem)
        return second

    def _compact_refused(self, function: str, problem: object) -> None:
        self._compact.refused()
        events.COMPACT_REFUSED.emit(eim=self._eim_id, function=function, problem=problem)

    async def _once(self, function: str, body: bytes, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        answer = await self._exchange(function, body)
        try:
            return parse(answer)
        except CodecError as error:
            raise UnreadableAnswer(function, error.message, body=answer) from error

    async def _exchange(self, function: str, body: bytes) -> bytes:
        request = self._binding.request(function, body)
        spent_bytes = cost_bytes(self._carrier)
        try:
            received = await self._carrier.exchange(request, function=function)
        except PeerStatus as refusal:
            if not self._says_why(function, refusal):
                raise
            received = refusal.body
            events.ERROR_IN_STATUS.emit(eim=self._eim_id, function=function, code=refusal.code)
        finally:
            self.traffic_by_purpose[_PURPOSES.get(function, DOWNLOAD)] += cost_bytes(self._carrier) - spent_bytes
            if self._naming is not None:
                self._dialect.learn(evidence_in_header(self._naming.peer_protocol))
        events.EXCHANGED.emit(
            eim=self._eim_id, function=function, sent_bytes=len(request), received_bytes=len(received)
        )
        try:
            answer = self._binding.answer(function, received)
        except CodecError as error:
            raise UnreadableAnswer(function, error.message, body=received) from error
        self._note(function, answer.tolerances)
        if answer.status is not None:
            if not answer.body:  # there is no error in ASN.1 that could say it
                raise FunctionRefused(function, ResultCode(UNDEFINED_ERROR), status=answer.status.sentence)
            events.STATUS.emit(eim=self._eim_id, function=function, status=answer.status.sentence)
        return answer.body

    def _says_why(self, function: str, refusal: PeerStatus) -> bool:
        """Whether a status came with an error of ESipa. undefinedError says no more than the status does, and less to
        those who try another form of the request."""
        try:
            number = error_in(function, self._binding.answer(function, refusal.body).body)
        except CodecError:
            return False
        return number is not None and number != UNDEFINED_ERROR

    def _note(self, function: str, tolerances: Iterable[str]) -> None:
        for id in tolerances:
            self.tolerances[id] += 1
            what = CATALOGUE[id].what if id in CATALOGUE else id
            events.MESSAGE_TOLERATED.emit(eim=self._eim_id, function=function, what=what, tolerance=id)


def _number(result: bytes) -> int | None:
    signed = signed_result(result)
    return None if signed is None else signed.seq_number


def _key(result: bytes) -> str:
    """The name of a result in the memory: the same whether notifications travel with it or not."""
    signed = signed_result(result)
    return hashlib.sha256(result if signed is None else signed.relay_raw).hexdigest()[:16]


def _is_trouble(package: EimPackage) -> bool:
    """Whether the eIM has another answer than that there is an order or none."""
    return isinstance(package, NoPackage) and package.code != EimPackageError.NO_EIM_PACKAGE_AVAILABLE


def _is_undefined_error(package: EimPackage) -> bool:
    return isinstance(package, NoPackage) and package.code == EimPackageError.UNDEFINED_ERROR
