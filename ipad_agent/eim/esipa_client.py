"""ESipa towards one eIM, over any carrier, in either binding (SGP.32 v1.2 §5.14, §6.3.2, §6.4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.es10_download import parse_cancel_session
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
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.codec.rsp.rsp_status_codes import UNDEFINED_ERROR
from ipad_agent.codec.tolerances import CATALOGUE
from ipad_agent.errors import CodecError, NetworkError
from ipad_agent.net import Carrier, PeerStatus

from . import events
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
)

# How servers say that they cannot read a request: CoAP and HTTP.
_UNREAD_STATUS: Final = frozenset({"4.00", "5.00", "400", "500"})

_Parsed = TypeVar("_Parsed")

MessageTap = Callable[[str, bytes, bytes | None], None]
_TAPS: Final[list[MessageTap]] = []


def tap(listener: MessageTap) -> Callable[[], None]:
    """Call ``listener(function, request, answer)`` for every exchange with any eIM, as it was on the carrier; the
    answer is None when none came. It must be quick and must not raise. Returns the way to end that."""
    _TAPS.append(listener)
    return lambda: _TAPS.remove(listener)


UNTOLD_TRIES = 3
"""So often a state change is offered to an eIM that takes questions only without optional fields."""


class EimClient:
    """Implements what procedures need of an eIM. One secured association, for the length of a procedure.

    ``dialect`` is what the eIM is known to speak; in ``1.0`` requests carry neither EID nor state change where
    that release had none. In ``1.2`` a request with fields the older release did not know is repeated without
    them when the eIM cannot read it.

    Every method raises what the carrier raises, and ``UnreadableAnswer``; those of a download also
    ``FunctionRefused`` with the eIM's error number.
    """

    def __init__(
        self,
        carrier: Carrier,
        eid: Eid,
        *,
        eim_id: str = "the eIM",
        dialect: Dialect = "1.2",
        binding: Binding = BINDINGS["asn1"],
        host: str | None = None,
    ) -> None:
        self.host = host
        self._carrier = carrier
        self._eid = eid
        self._eim_id = eim_id
        self._dialect = dialect
        self._binding = binding
        self._plain: set[str] = {GET_EIM_PACKAGE, PROVIDE_RESULT} if dialect == "1.0" else set()
        self._untold: StateChangeCause | None = None
        self._untold_tries = 0
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
        if state_change is not None and self._dialect != "1.0":
            self._plain.discard(GET_EIM_PACKAGE)
        full = eim_package.encode_get_eim_package(self._eid, state_change=state_change, rplmn=rplmn)
        plain = eim_package.encode_get_eim_package(self._eid)
        package: EimPackage
        try:
            package = await self._call(
                GET_EIM_PACKAGE, full, plain, eim_package.parse_get_eim_package_response, unread=_is_undefined_error
            )
        except UnreadableAnswer as error:
            package = MalformedPackage(error.body, None, error.problem)
        refused = state_change is not None and GET_EIM_PACKAGE in self._plain
        self._untold = state_change if refused else None
        self._untold_tries += refused
        self._note(GET_EIM_PACKAGE, package.tolerances)
        return package

    @property
    def change_untold(self) -> bool:
        """Whether the state change given with the last question has to be told again: the eIM refused the question with
        it and answered the one without. After ``UNTOLD_TRIES`` of these it counts as one that takes none."""
        return self._untold is not None and self._untold_tries < UNTOLD_TRIES

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse:
        """Bring a result (§5.14.6): the raw EimPackageResult element. The eIM's error numbers are in the answer."""
        full = eim_package.encode_provide_result(self._eid, result)
        plain = eim_package.encode_provide_result(None, result)
        response = await self._call(PROVIDE_RESULT, full, plain, eim_package.parse_provide_result_response)
        self._note(PROVIDE_RESULT, response.tolerances)
        return response

    async def handle_notification(self, raw: bytes) -> None:
        """Bring one PendingNotification (§5.14.7), exactly as the eUICC gave it. No error means delivered."""
        request = eim_package.encode_handle_notification(raw)
        answer = await self._exchange(HANDLE_NOTIFICATION, request)
        self._note(HANDLE_NOTIFICATION, eim_package.parse_handle_notification_response(answer))

    async def handle_result(self, result: bytes) -> None:
        """Bring a result as a notification (§3.1.2): delivered without an acknowledgement for the eUICC."""
        provided = eim_package.encode_provide_result(self._eid, result)
        request = eim_package.encode_handle_notification_result(provided, dialect=self._dialect)
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
        request = esipa_download.encode_initiate_authentication(
            challenge, smdp_address=smdp_address, euicc_info1=euicc_info1, eim_transaction_id=eim_transaction_id
        )
        answer = await self._once(
            INITIATE_AUTHENTICATION, request, esipa_download.parse_initiate_authentication_response
        )
        self._note(INITIATE_AUTHENTICATION, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(INITIATE_AUTHENTICATION, answer.code)
        return answer

    async def authenticate_client(
        self, transaction_id: bytes, response: bytes
    ) -> AuthenticateClientOk | AuthenticateClientSmds:
        """Bring the eUICC's answer to AuthenticateServer, an error of it too (§5.14.2)."""
        request = esipa_download.encode_authenticate_client(transaction_id, response)
        answer = await self._once(AUTHENTICATE_CLIENT, request, esipa_download.parse_authenticate_client_response)
        self._note(AUTHENTICATE_CLIENT, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(AUTHENTICATE_CLIENT, answer.code)
        return answer

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes
    ) -> BoundProfilePackage:
        """Bring the eUICC's answer to PrepareDownload and fetch the package (§5.14.3)."""
        request = esipa_download.encode_get_bound_profile_package(transaction_id, prepare_download_response)
        answer = await self._once(GET_BPP, request, esipa_download.parse_get_bound_profile_package_response)
        self._note(GET_BPP, answer.tolerances)
        if isinstance(answer, Refused):
            raise FunctionRefused(GET_BPP, answer.code)
        return answer

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        """Bring the eUICC's answer to CancelSession (BF41) and end the session (§5.14.4)."""
        request = esipa_download.encode_cancel_session(transaction_id, parse_cancel_session(response))
        refused = await self._once(CANCEL_SESSION, request, esipa_download.parse_cancel_session_response)
        if refused is not None:
            self._note(CANCEL_SESSION, refused.tolerances)
            raise FunctionRefused(CANCEL_SESSION, refused.code)

    @property
    def carrier(self) -> str:
        """``coaps`` or ``https``, as it is used now."""
        return self._carrier.scheme

    @property
    def traffic_bytes(self) -> int:
        """Payload bytes of the transport since the link was made, both directions."""
        return self._carrier.bytes_sent + self._carrier.bytes_received

    async def reach(self) -> None:
        """Make the secured association and say nothing over it."""
        await self._carrier.reach()

    async def close(self) -> None:
        """End the association."""
        await self._carrier.close()

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
            events.PLAIN_REQUEST.emit(eim=self._eim_id, function=function, problem=refusal or "undefined error")
        return second

    async def _once(self, function: str, body: bytes, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        answer = await self._exchange(function, body)
        try:
            return parse(answer)
        except CodecError as error:
            raise UnreadableAnswer(function, error.message, body=answer) from error

    async def _exchange(self, function: str, body: bytes) -> bytes:
        request = self._binding.request(function, body)
        received: bytes | None = None
        try:
            received = await self._carrier.exchange(request, function=function)
        finally:
            for listener in tuple(_TAPS):
                listener(function, request, received)
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

    def _note(self, function: str, tolerances: Iterable[str]) -> None:
        for id in tolerances:
            self.tolerances[id] += 1
            what = CATALOGUE[id].what if id in CATALOGUE else id
            events.MESSAGE_TOLERATED.emit(eim=self._eim_id, function=function, what=what, tolerance=id)


def _is_undefined_error(package: EimPackage) -> bool:
    return isinstance(package, NoPackage) and package.code == EimPackageError.UNDEFINED_ERROR
