"""The functions of ESipa towards one eIM (SGP.32 v1.2 §5.14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from ipad_agent.codec.es10.es10_download import CancelSessionResponse, parse_cancel_session
from ipad_agent.codec.esipa import eim_package, esipa_download
from ipad_agent.codec.esipa.eim_package import (
    EimPackage,
    EimPackageError,
    EuiccPackageOrder,
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
from ipad_agent.errors import EimError, NetworkError
from ipad_agent.net import Carrier, PeerStatus, cost_bytes

from . import events
from .compact_sending import CompactSending
from .errors import FunctionRefused, UnreadableAnswer
from .esipa_binding import (
    AUTHENTICATE_CLIENT,
    BINDINGS,
    CANCEL_SESSION,
    GET_BPP,
    GET_EIM_PACKAGE,
    HANDLE_NOTIFICATION,
    INITIATE_AUTHENTICATION,
    Binding,
)
from .esipa_dialect import Evidence, PeerDialect, Release, Weight, evidence_in_package
from .esipa_exchange import NOT_TAKEN, UNREAD_STATUS, EsipaExchange
from .result_offers import ResultOffers

_MAYBE_INFO1: Final = frozenset({2, 3, UNDEFINED_ERROR})
"""Refusals of InitiateAuthentication that EUICCInfo1 may be the cause of: release, CI, and no reason."""
_MAYBE_SIGNED1: Final = frozenset({1, 2, 3, 4, 5, UNDEFINED_ERROR})
"""Of AuthenticateClient: certificates and signature, which are judged by what the eIM put together."""
_MAYBE_SIGNED2: Final = frozenset({1, UNDEFINED_ERROR})

_Parsed = TypeVar("_Parsed")

_NETWORK_BYTES: Final = 5
"""rPLMN with its tag and length."""

UNTOLD_TRIES = 3
"""So often a state change is offered to an eIM that takes questions only without optional fields."""


class EimClient:
    """Implements what procedures need of an eIM. One secured association, for the length of a procedure.

    ``dialect`` is what the eIM is known to speak, or what it is learned by. A request with fields that an older release
    did not know is repeated without them when the eIM cannot read it; results have a story of their own
    (``result_offers.py``).

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
        self._carrier = carrier
        self._eid = eid
        self._eim_id = eim_id
        self._dialect = dialect if isinstance(dialect, PeerDialect) else PeerDialect(eim_id, dialect)
        self._exchange = EsipaExchange(carrier, eim_id, self._dialect, binding)
        self._results = ResultOffers(self._exchange, eid, self._compact)
        self._plain = False
        """Whether the eIM took questions only without optional fields."""
        self._untold: StateChangeCause | None = None
        self._untold_tries = 0

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
            self._plain = False
        shown = self._compact.network(rplmn) if state_change is None else rplmn
        full = eim_package.encode_get_eim_package(
            self._eid, state_change=state_change, rplmn=shown, dialect=self._codec_dialect
        )
        plain = eim_package.encode_get_eim_package(self._eid)
        package: EimPackage
        try:
            package = await self._ask_for_package(full, plain)
        except UnreadableAnswer as error:
            package = MalformedPackage(error.body, None, error.problem)
        except (EimError, NetworkError):
            self._compact.asked(shown, None, understood=False)
            raise
        understood = not isinstance(package, MalformedPackage) and not _is_trouble(package)
        self._compact.asked(None if self._plain else shown, rplmn, understood=understood)
        if shown is None and rplmn is not None:
            self._compact.saved_bytes += _NETWORK_BYTES
        refused = state_change is not None and self._plain
        self._untold = state_change if refused else None
        self._untold_tries += refused
        self._exchange.note(GET_EIM_PACKAGE, package.tolerances)
        self._dialect.learn(evidence_in_package(package))
        if not isinstance(package, MalformedPackage) and not _is_undefined_error(package):
            self._results.answers_else(package.request.counter if isinstance(package, EuiccPackageOrder) else None)
        return package

    async def _ask_for_package(self, full: bytes, plain: bytes) -> EimPackage:
        """Send ``full``; if the eIM cannot read it, ``plain``, which stays in use if that went better."""
        parse = eim_package.parse_get_eim_package_response
        if self._plain or full == plain:
            return await self._exchange.ask(GET_EIM_PACKAGE, plain, parse)
        refusal: PeerStatus | None = None
        answer: EimPackage | None = None
        try:
            answer = await self._exchange.ask(GET_EIM_PACKAGE, full, parse)
        except PeerStatus as status:
            if status.code not in UNREAD_STATUS:
                raise
            refusal = status
        if answer is not None and not _is_undefined_error(answer):
            return answer
        try:
            second = await self._exchange.ask(GET_EIM_PACKAGE, plain, parse)
        except (PeerStatus, NetworkError):
            # The eIM's trouble is another one than the fields. It answered: its first answer is the one that counts.
            if refusal is not None:
                raise refusal from None
            if answer is not None:
                return answer
            raise
        if not _is_undefined_error(second):
            self._plain = True
            sentence = f"it takes {GET_EIM_PACKAGE} only without optional fields"
            self._dialect.learn(Evidence("1.0", Weight.HINT, sentence))
            problem = refusal or "undefined error"
            events.PLAIN_REQUEST.emit(eim=self._eim_id, function=GET_EIM_PACKAGE, problem=problem)
        return second

    @property
    def change_untold(self) -> bool:
        """Whether the state change given with the last question has to be told again: the eIM refused the question with
        it and answered the one without. After ``UNTOLD_TRIES`` of these it counts as one that takes none."""
        return self._untold is not None and self._untold_tries < UNTOLD_TRIES

    async def provide_eim_package_result(self, result: bytes) -> ProvideResultResponse:
        """Bring a result (§5.14.6): the raw EimPackageResult element. The eIM's error numbers are in the answer."""
        return await self._results.bring(result)

    async def handle_notification(self, raw: bytes) -> None:
        """Bring one PendingNotification (§5.14.7), exactly as the eUICC gave it. No error means delivered."""
        request = eim_package.encode_handle_notification(raw)
        short = self._compact.notification(raw, self._eid, with_eid=self._exchange.release in ("1.2", "1.3"))
        if short is None:
            answer = await self._exchange.send(HANDLE_NOTIFICATION, request)
        else:
            answer = await self._compact_notification(eim_package.encode_handle_notification(short), request)
        self._exchange.note(HANDLE_NOTIFICATION, eim_package.parse_handle_notification_response(answer))

    async def _compact_notification(self, short: bytes, full: bytes) -> bytes:
        """Without the certificates, and with them where that is refused: there is no error number for it."""
        try:
            answer = await self._exchange.send(HANDLE_NOTIFICATION, short)
        except NOT_TAKEN as refusal:
            answer = await self._exchange.send(HANDLE_NOTIFICATION, full)
            self._compact.refused(self._eim_id, HANDLE_NOTIFICATION, refusal)
        else:
            self._compact.saved(full, short)
        return answer

    async def handle_result(self, result: bytes) -> None:
        """Bring a result as a notification (§3.1.2): delivered without an acknowledgement for the eUICC.

        No caller yet."""
        provided = eim_package.encode_provide_result(self._eid, result)
        request = eim_package.encode_handle_notification_result(provided, dialect=self._codec_dialect)
        answer = await self._exchange.send(HANDLE_NOTIFICATION, request)
        self._exchange.note(HANDLE_NOTIFICATION, eim_package.parse_handle_notification_response(answer))

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
                eim_transaction_id=None if self._exchange.release == "1.0" else eim_transaction_id,
            )

        answer = await self._compactly(
            INITIATE_AUTHENTICATION,
            request(None) if self._compact.knows_info1(euicc_info1) else None,
            request(euicc_info1),
            esipa_download.parse_initiate_authentication_response,
            blamed=_MAYBE_INFO1,
        )
        self._exchange.note(INITIATE_AUTHENTICATION, answer.tolerances)
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
        self._exchange.note(AUTHENTICATE_CLIENT, answer.tolerances)
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
        self._exchange.note(GET_BPP, answer.tolerances)
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
            self._compact.saved(response, compact)
            return
        await self._cancel_in_full(transaction_id, response)
        self._compact.refused(self._eim_id, CANCEL_SESSION, problem)

    async def _cancel_in_full(self, transaction_id: bytes, response: bytes) -> None:
        answer = parse_cancel_session(response)
        nested = self._dialect.nested_cancel and self._exchange.binding.name == "asn1"
        refused, problem = await self._cancel(transaction_id, answer, nested=nested)
        if problem is not None and self._exchange.binding.name == "asn1":
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
            self._exchange.note(CANCEL_SESSION, refused.tolerances)
            raise FunctionRefused(CANCEL_SESSION, refused.code)

    async def _compact_cancel(self, transaction_id: bytes, compact: bytes) -> object | None:
        """Why the eIM did not take the compact form of CancelSession; None when it did."""
        short = esipa_download.encode_cancel_session(transaction_id, parse_cancel_session(compact))
        try:
            refused = await self._exchange.ask(CANCEL_SESSION, short, esipa_download.parse_cancel_session_response)
        except NOT_TAKEN as trouble:
            return trouble
        return None if refused is None else refused.code.name

    async def _cancel(
        self, transaction_id: bytes, answer: CancelSessionResponse, *, nested: bool
    ) -> tuple[Refused | None, PeerStatus | str | None]:
        """The eIM's answer, and what speaks for the other form of the request: a status that says "unreadable", or
        undefinedError."""
        request = esipa_download.encode_cancel_session(transaction_id, answer, nested=nested)
        try:
            refused = await self._exchange.ask(CANCEL_SESSION, request, esipa_download.parse_cancel_session_response)
        except PeerStatus as status:
            if status.code not in UNREAD_STATUS:
                raise
            return None, status
        if refused is not None and int(refused.code) == UNDEFINED_ERROR:
            return refused, "undefined error"
        return refused, None

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
            return await self._exchange.ask(function, full, parse)
        first: _Parsed | None = None
        problem: object
        try:
            first = await self._exchange.ask(function, short, parse)
        except NOT_TAKEN as trouble:
            problem = trouble
        else:
            if not isinstance(first, Refused) or int(first.code) not in blamed:
                self._compact.saved(full, short)
                return first
            problem = first.code.name
        second = await self._exchange.ask(function, full, parse)
        if isinstance(second, Refused) and isinstance(first, Refused) and int(first.code) == int(second.code):
            return second  # its trouble is another one
        # Refused for another reason now: by what was put together wrongly the server has ended the session.
        self._compact.refused(self._eim_id, function, problem)
        return second

    # -- the link ------------------------------------------------------------------------------------------------------

    @property
    def carrier(self) -> str:
        """``coaps`` or ``https``, as it is used now."""
        return self._carrier.scheme

    @property
    def traffic_bytes(self) -> int:
        """Bytes on the network since the link was made, both directions, headers of IP, UDP and TCP included."""
        return cost_bytes(self._carrier)

    @property
    def traffic_by_purpose(self) -> Mapping[str, int]:
        """What exchanges have cost so far, with the handshakes they needed and all headers."""
        return self._exchange.traffic_by_purpose

    @property
    def tolerances(self) -> Mapping[str, int]:
        """How often which liberty was taken with this eIM's messages, by the codec's id."""
        return self._exchange.tolerances

    async def reach(self) -> None:
        """Make the secured association and say nothing over it."""
        await self._carrier.reach()

    async def close(self) -> None:
        """End the association."""
        self._results.close()
        self._compact.close(self._eim_id)
        await self._carrier.close()

    @property
    def _codec_dialect(self) -> Dialect:
        return "1.0" if self._exchange.release == "1.0" else "1.2"


def _is_trouble(package: EimPackage) -> bool:
    """Whether the eIM has another answer than that there is an order or none."""
    return isinstance(package, NoPackage) and package.code != EimPackageError.NO_EIM_PACKAGE_AVAILABLE


def _is_undefined_error(package: EimPackage) -> bool:
    return isinstance(package, NoPackage) and package.code == EimPackageError.UNDEFINED_ERROR
