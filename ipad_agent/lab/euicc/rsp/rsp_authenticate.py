"""AuthenticateServer (SGP.22 §5.7.13): the server proves who it is, then the card does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.es10 import card_information
from ipad_agent.lab.euicc.state.isdr_state import parse
from ipad_agent.lab.pki import verify_raw

from .card_rsp_session import CHALLENGE_BYTES, canonical, session_of, transaction_id_of
from .rsp_certificate import DP_AUTH, DS_AUTH, CertificateError, CurveError, OidError, read_server_certificate
from .session_steps import Authenticated

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

    from .card_rsp_session import RspSession

log = logging.getLogger("ipad_agent.lab")

AUTHENTICATE = 0xBF38
INVALID_CERTIFICATE, INVALID_SIGNATURE, UNSUPPORTED_CURVE, NO_SESSION_CONTEXT = 1, 2, 3, 4
INVALID_OID, CHALLENGE_MISMATCH, CI_PK_UNKNOWN, UNDEFINED = 5, 6, 7, 127
_TAC_BYTES = 4


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"AuthenticateServer refused with {code}")
        self.code = code


def authenticate_server(isdr: Isdr, raw: bytes) -> bytes:
    """BF38 { 30 serverSigned1, 5F37, 04 CI, 30 certificate, A0 ctxParams1 } -> BF38 { A0 ok / A1 error }.

    A challenge is good for one try: after an error the session is over.
    """
    request = parse(raw)
    sequences = [child for child in request.children if child.tag == 0x30]
    if len(sequences) < 2:
        raise der.DerError("serverSigned1 or serverCertificate is missing")
    signed, certificate = sequences[:2]
    transaction_id = transaction_id_of(signed)
    signature, ci_pkid, context = request.get(0x5F37), request.get(0x04), request.get(0xA0)
    session = session_of(isdr)
    if session is None or session.authenticated is not None:
        return _error(transaction_id, NO_SESSION_CONTEXT)
    try:
        session.authenticated, answer = _authenticate(
            isdr, session, transaction_id, signed, signature.value, ci_pkid.value, certificate.raw, context
        )
    except _RefusedError as refusal:
        log.info("%s: %s", refusal, refusal.__cause__ or "no more is known")
        isdr.rsp_session = None
        return _error(transaction_id, refusal.code)
    except der.DerError:
        isdr.rsp_session = None
        return _error(transaction_id, UNDEFINED)
    isdr.step("authenticated")
    return answer


def _authenticate(
    isdr: Isdr,
    session: RspSession,
    transaction_id: bytes,
    signed: der.Node,
    signature: bytes,
    ci_pkid: bytes,
    certificate: bytes,
    context: der.Node,
) -> tuple[Authenticated, bytes]:
    ci = isdr.identity.ci(ci_pkid)
    if ci is None:
        raise _RefusedError(CI_PK_UNKNOWN)
    try:
        server = read_server_certificate(certificate, ci, (DP_AUTH, DS_AUTH))
    except CurveError as error:
        raise _RefusedError(UNSUPPORTED_CURVE) from error
    except OidError as error:
        raise _RefusedError(INVALID_OID) from error
    except CertificateError as error:
        raise _RefusedError(INVALID_CERTIFICATE) from error
    if not verify_raw(server.public_key, signature, signed.raw):
        raise _RefusedError(INVALID_SIGNATURE)
    challenge, address, server_challenge = (signed.find(tag) for tag in (0x81, 0x83, 0x84))
    if challenge is None or address is None or server_challenge is None:
        raise _RefusedError(UNDEFINED)
    if challenge.value != session.challenge:
        raise _RefusedError(CHALLENGE_MISMATCH)
    if len(server_challenge.value) != CHALLENGE_BYTES or not _is_context(context):
        raise _RefusedError(UNDEFINED)
    if isdr.quirks.authenticate_error is not None:
        raise _RefusedError(isdr.quirks.authenticate_error)
    data = der.seq(
        der.octets(transaction_id, 0x80),
        der.utf8(address.text(), 0x83),
        der.octets(server_challenge.value, 0x84),
        card_information.get_euicc_info2(isdr, b""),
        canonical(context),
    )
    euicc_signature = ci.sign(data)
    answer = der.tlv(0xA0, data, der.octets(euicc_signature, 0x5F37), ci.euicc_cert, ci.eum_cert)
    authenticated = Authenticated(transaction_id, ci, server, address.text(), euicc_signature)
    return authenticated, der.tlv(AUTHENTICATE, answer)


def _is_context(context: der.Node) -> bool:
    """CtxParamsForCommonAuthentication: A0 { 80 matchingId optional, A1 { 80 tac, A1 capabilities } }."""
    device = context.find(0xA1)
    if device is None:
        return False
    tac = device.find(0x80)
    return tac is not None and len(tac.value) == _TAC_BYTES and device.find(0xA1) is not None


def _error(transaction_id: bytes, code: int) -> bytes:
    return der.tlv(AUTHENTICATE, der.tlv(0xA1, der.octets(transaction_id, 0x80), der.integer(code)))
