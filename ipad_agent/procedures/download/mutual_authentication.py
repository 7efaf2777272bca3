"""Common mutual authentication (SGP.22 v2.5 §3.0.1, SGP.32 v1.2 §3.2.3.2), the same with SM-DP+ and SM-DS, through the
eIM and directly."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.codec.es10.es10_download import authenticate_server_request
from ipad_agent.codec.esipa.device_info import encode_ctx_params1
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, AuthenticateClientSmds, InitiateAuthenticationOk
from ipad_agent.codec.rsp.es9_messages import EventEntries
from ipad_agent.errors import CodecError, EimError, NetworkError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.device_information import device_info
from ipad_agent.procedures.rsp.download_stop import DownloadStop
from ipad_agent.procedures.rsp.download_way import Goal
from ipad_agent.procedures.rsp.rsp_servers import RspServer, ServerTrouble
from ipad_agent.records import dataclass

from . import download_checks, events
from .cancel_session import abandon


@dataclass(frozen=True, slots=True)
class Session:
    """A card and a server that know each other, and what the server has for the card."""

    opening: InitiateAuthenticationOk
    answer: AuthenticateClientOk | AuthenticateClientSmds | EventEntries

    @property
    def transaction_id(self) -> bytes:
        return self.opening.transaction_id


async def authenticate(
    context: Context, server: RspServer, goal: Goal, answered: Callable[[], None] = lambda: None
) -> Session:
    """``answered`` is called when the server has answered for the first time.

    Raises ``DownloadStop`` when it does not come about; the card then has no session that anybody could use.

    Until AuthenticateServer the card has no session either, so there is nothing to cancel before it.
    """
    events.AUTHENTICATING.emit(server=goal.address or "the server that the eIM chose")
    info1 = await context.card.get_euicc_info1()
    challenge = await context.card.get_challenge()
    opening = await server.initiate(goal, challenge, info1.raw)
    answered()
    objection = download_checks.of_opening(
        opening,
        challenge=challenge,
        address=goal.address,
        oid=goal.smdp_oid,
        now_s=judged_time(context, say=True),
    )
    if objection is not None:
        raise DownloadStop(objection)
    ci_pkid = info1.full_ci_pkid(opening.ci_pkid)
    if ci_pkid is None:
        raise DownloadStop("the server chose a certificate issuer that the card does not have")
    answer = await context.card.authenticate_server(await _request(context, opening, goal, ci_pkid))
    if answer.error is not None:
        told = await _forward(server, opening.transaction_id, answer.raw)
        raise DownloadStop(f"the card refused the server: {answer.error.name}", told=told)
    try:
        return Session(opening, await server.authenticate(opening.transaction_id, answer.raw))
    except ServerTrouble as trouble:
        raise await abandon(context, server, opening.transaction_id, trouble) from trouble


async def _request(context: Context, opening: InitiateAuthenticationOk, goal: Goal, ci_pkid: bytes) -> bytes:
    params = opening.ctx_params1
    if params is None:
        matching_id = opening.matching_id if opening.matching_id is not None else goal.matching_id
        params = encode_ctx_params1(await device_info(context.device), matching_id=matching_id)
    try:
        return authenticate_server_request(
            server_signed1=opening.server_signed1.raw,
            server_signature1=opening.server_signature1,
            ci_pkid=ci_pkid,
            server_certificate=opening.server_certificate,
            ctx_params1=params,
        )
    except CodecError as error:
        raise DownloadStop(f"the server's opening cannot be given to the card: {error.message}") from error


async def _forward(server: RspServer, transaction_id: bytes, refusal: bytes) -> bool:
    """Bring the card's refusal to the server, which ends the session with an error; whether the eIM knows then."""
    try:
        await server.authenticate(transaction_id, refusal)
    except ServerTrouble as trouble:
        return server.indirect and trouble.refused
    except (NetworkError, EimError):
        return False
    return server.indirect


def judged_time(context: Context, *, say: bool = False) -> float | None:
    """The time by which certificates are judged; None when this device cannot know it or was told not to judge."""
    now_s = context.clock.wall()
    if not download_checks.plausible(now_s):
        if say:
            events.DATES_NOT_JUDGED.emit()
        return None
    return None if context.download.allow_expired else now_s
