"""CancelSession (SGP.22 §5.7.14): end the session, and sign that it was ended and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.isdr_state import code, parse

from .card_rsp_session import session_of, transaction_id_of

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

CANCEL = 0xBF41
INVALID_TRANSACTION_ID, UNDEFINED = 5, 127
REASONS = frozenset({0, 1, 2, 3, 4, 5, 127})


def cancel_session(isdr: Isdr, raw: bytes) -> bytes:
    """BF41 { 80 transactionId, 81 reason } -> BF41 { A0 signed / 81 error }.

    An installation under way ends without a result of its own: the signed cancellation tells of it. A one-time key
    stays, for a profile that was postponed may come again bound to it.
    """
    request = parse(raw)
    transaction_id, reason = transaction_id_of(request), request.get(0x81).integer()
    session = session_of(isdr)
    if session is None or session.authenticated is None or session.authenticated.transaction_id != transaction_id:
        return code(CANCEL, INVALID_TRANSACTION_ID, 0x81)
    if reason not in REASONS:
        return code(CANCEL, UNDEFINED, 0x81)
    known = session.authenticated
    isdr.rsp_session = None
    isdr.state.installing = None
    isdr.commit()
    data = der.seq(der.octets(transaction_id, 0x80), der.oid(known.certificate.oid, 0x81), der.integer(reason, 0x82))
    return der.tlv(CANCEL, der.tlv(0xA0, data, der.octets(known.ci.sign(data), 0x5F37)))
