"""Common cancel session (SGP.22 v2.5 §3.0.2, SGP.32 v1.2 §3.2.3.3): the card signs the end, the server is told."""

from __future__ import annotations

from ipad_agent.codec.es10.es10_download import CancelSessionReason, CancelSessionResponse, cancel_session_request
from ipad_agent.errors import CardError, EimError, ModemError, NetworkError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.rsp.download_stop import DownloadStop
from ipad_agent.procedures.rsp.rsp_servers import RspServer, ServerTrouble

from . import events


async def cancel(context: Context, server: RspServer, transaction_id: bytes, reason: CancelSessionReason) -> bool:
    """End the session on both sides; whether the eIM knows of it now. Never raises: why it ends is what counts."""
    answer = await sign(context, transaction_id, reason)
    return answer is not None and await tell(server, transaction_id, answer, reason)


async def sign(context: Context, transaction_id: bytes, reason: CancelSessionReason) -> CancelSessionResponse | None:
    """The card's part; None when it gave none. The session on the card is over either way."""
    try:
        return await context.card.cancel_session(cancel_session_request(transaction_id, reason))
    except (CardError, ModemError) as failure:
        events.CANCEL_INCOMPLETE.emit(problem=failure.message)
        return None


async def tell(
    server: RspServer, transaction_id: bytes, answer: CancelSessionResponse, reason: CancelSessionReason
) -> bool:
    """The server's part. A card that answered with an error number is forwarded too (§3.2.3.3)."""
    try:
        await server.cancel(transaction_id, answer.raw)
    except DownloadStop as stop:
        events.CANCEL_INCOMPLETE.emit(problem=stop.sentence)
        return stop.told
    except (NetworkError, EimError) as error:
        events.CANCEL_INCOMPLETE.emit(problem=error.message)
        return False
    events.SESSION_CANCELLED.emit(reason=reason.name.lower().replace("_", " "))
    return server.indirect


async def abandon(context: Context, server: RspServer, transaction_id: bytes, trouble: ServerTrouble) -> DownloadStop:
    """After the server failed in the middle of a session: cancel it, unless the server itself has ended it."""
    if trouble.refused:
        return trouble
    reason = CancelSessionReason.TIMEOUT if trouble.retry else CancelSessionReason.UNDEFINED_REASON
    told = await cancel(context, server, transaction_id, reason)
    return DownloadStop(trouble.sentence, told=told or trouble.told, retry=trouble.retry, response=trouble.response)
