"""ES9+ towards one SM-DP+, or ES11 towards one SM-DS, in JSON over HTTPS (SGP.22 v2.5 §5.6, §5.8, §6.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, InitiateAuthenticationOk
from ipad_agent.codec.rsp import es9_messages
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.codec.rsp.rsp_json import JsonAnswer
from ipad_agent.codec.tolerances import CATALOGUE
from ipad_agent.errors import CodecError
from ipad_agent.net import (
    AddressForbidden,
    PeerBusy,
    PeerStatus,
    ProgressCallback,
    ProtocolViolation,
    ResponseTooLarge,
    TrustRefused,
    WatchedCarrier,
)

from . import events
from .errors import AnswerUnreadable, ServerBusy, ServerStatus, SmdpError
from .es9_status_codes import refusal

INITIATE_AUTHENTICATION: Final = "InitiateAuthentication"
AUTHENTICATE_CLIENT: Final = "AuthenticateClient"
GET_BPP: Final = "GetBoundProfilePackage"
CANCEL_SESSION: Final = "CancelSession"
HANDLE_NOTIFICATION: Final = "HandleNotification"

_TRUST_HINT: Final = (
    "The server's certificate must end in a CI that the card knows and that is in ci_dir, or in the web PKI where "
    "web_pki allows it, and must name the server."
)
_Read = TypeVar("_Read")


class SmdpClient:
    """One connection to one server, for the length of a download session.

    ``server`` is the server's name as it is told to it: without a port. Every method raises what the carrier raises
    on the network's side, and ``SmdpError``: ``StatusRefused`` and its subclasses for a status code of the server.
    """

    def __init__(self, carrier: WatchedCarrier, server: str) -> None:
        self._carrier = carrier
        self._server = server
        self.tolerances: Counter[str] = Counter()
        """How often which liberty was taken with this server's messages, by the codec's id."""

    async def initiate_authentication(self, *, challenge: bytes, euicc_info1: bytes) -> InitiateAuthenticationOk:
        """Open a session (§5.6.1) with the eUICC's challenge (16 bytes) and its EUICCInfo1 (BF20).

        What the server signed is known to hold this challenge and this server's name.
        """
        request = es9_messages.initiate_authentication_request(
            challenge=challenge, euicc_info1=euicc_info1, smdp_address=self._server
        )
        ok, body = await self._ask(INITIATE_AUTHENTICATION, request, es9_messages.read_initiate_authentication)
        signed = ok.server_signed1
        if signed.euicc_challenge != challenge:
            raise AnswerUnreadable(INITIATE_AUTHENTICATION, "it is for another challenge than the card's", body)
        if _name(signed.server_address) != _name(self._server):
            raise AnswerUnreadable(INITIATE_AUTHENTICATION, "it is signed for another server's address", body)
        return ok

    async def authenticate_client(self, transaction_id: bytes, response: bytes) -> AuthenticateClientOk | EventEntries:
        """Bring the eUICC's answer to AuthenticateServer (BF38), an error of it too (§5.6.3, §5.8.2)."""
        request = es9_messages.authenticate_client_request(transaction_id, response)
        found, _ = await self._ask(
            AUTHENTICATE_CLIENT, request, lambda answer: es9_messages.read_authenticate_client(answer, transaction_id)
        )
        return found

    async def get_bound_profile_package(
        self, transaction_id: bytes, prepare_download_response: bytes, *, progress: ProgressCallback | None = None
    ) -> bytes:
        """Bring the eUICC's answer to PrepareDownload (BF21) and fetch the package (BF36) as it was made (§5.6.2).

        ``progress`` is called with the bytes of the answer so far and, where the server tells, how many it has.
        """
        request = es9_messages.get_bound_profile_package_request(transaction_id, prepare_download_response)
        bpp, _ = await self._ask(
            GET_BPP,
            request,
            lambda answer: es9_messages.read_bound_profile_package(answer, transaction_id),
            progress=progress,
        )
        return bpp

    async def cancel_session(self, transaction_id: bytes, response: bytes) -> None:
        """Bring the eUICC's answer to CancelSession (BF41) and end the session (§5.6.5)."""
        body = await self._exchange(CANCEL_SESSION, es9_messages.cancel_session_request(transaction_id, response))
        if not body:
            events.EMPTY_SUCCESS.emit(server=self._server, function=CANCEL_SESSION)
            return
        self._check_end(CANCEL_SESSION, body)

    async def handle_notification(self, pending: bytes) -> None:
        """Bring one PendingNotification (30 or BF37) as the eUICC gave it (§5.6.4). No error means delivered."""
        body = await self._exchange(HANDLE_NOTIFICATION, es9_messages.handle_notification_request(pending))
        if body:
            self._check_end(HANDLE_NOTIFICATION, body)

    async def close(self) -> None:
        """End the connection."""
        await self._carrier.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        function: str,
        request: bytes,
        read: Callable[[JsonAnswer], _Read],
        *,
        progress: ProgressCallback | None = None,
    ) -> tuple[_Read, bytes]:
        body = await self._exchange(function, request, progress)
        try:
            answer = JsonAnswer.parse(body)
            if answer.status is not None and not answer.status.executed:
                self._note(function, answer.tolerances)
                raise refusal(function, answer.status, body)
            result = read(answer)
        except CodecError as error:
            raise AnswerUnreadable(function, error.message, body) from error
        self._note(function, answer.tolerances)
        return result, body

    def _check_end(self, function: str, body: bytes) -> None:
        """The answer of a function that gives nothing back: only a failure in it counts."""
        try:
            answer = JsonAnswer.parse(body)
        except CodecError:
            events.CONTENT_IGNORED.emit(server=self._server, function=function)
            return
        answer.note_missing_status()
        self._note(function, answer.tolerances)
        if answer.status is not None and not answer.status.executed:
            raise refusal(function, answer.status, body)

    async def _exchange(self, function: str, request: bytes, progress: ProgressCallback | None = None) -> bytes:
        try:
            body = await self._carrier.exchange(request, function=function, progress=progress)
        except AddressForbidden as error:
            events.ADDRESS_FORBIDDEN.emit(server=self._server, problem=error.message)
            raise
        except TrustRefused as error:
            raise TrustRefused(error.message, reason=error.reason, hint=_TRUST_HINT) from error
        except PeerBusy as error:
            raise ServerBusy(function, error.retry_after_s or 0.0) from error
        except PeerStatus as error:
            raise self._http_error(function, error) from error
        except (ProtocolViolation, ResponseTooLarge) as error:
            raise AnswerUnreadable(function, error.message) from error
        events.EXCHANGED.emit(server=self._server, function=function, sent_bytes=len(request), received_bytes=len(body))
        return body

    def _http_error(self, function: str, error: PeerStatus) -> SmdpError:
        try:
            status = JsonAnswer.parse(error.body).status
        except CodecError:
            status = None
        if status is not None and not status.executed:
            events.STATUS_IN_HTTP_ERROR.emit(server=self._server, function=function, code=error.code)
            return refusal(function, status, error.body)
        if error.body:
            events.ERROR_PAGE.emit(server=self._server, function=function, code=error.code)
        return ServerStatus(function, error.code, error.text, error.body)

    def _note(self, function: str, tolerances: Iterable[str]) -> None:
        for id in tolerances:
            self.tolerances[id] += 1
            what = CATALOGUE[id].what if id in CATALOGUE else id
            events.MESSAGE_TOLERATED.emit(server=self._server, function=function, what=what, tolerance=id)


def _name(address: str) -> str:
    """A server's address for comparison: names know no case, and a port is no part of one."""
    name = address.strip().lower()
    return (name.partition(":")[0] if name.count(":") == 1 else name).rstrip(".")
