"""PrepareDownload (SGP.22 §5.7.5): the SM-DP+ says what it will bind, the card hands out a one-time key for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.isdr_state import parse
from ipad_agent.lab.pki import verify_raw

from .card_rsp_session import session_of, transaction_id_of
from .one_time_keys import one_time_key
from .rsp_certificate import DP_AUTH, DP_PB, CertificateError, CurveError, ServerCertificate, read_server_certificate
from .session_steps import Prepared

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

    from .session_steps import Authenticated

log = logging.getLogger("ipad_agent.lab")

PREPARE = 0xBF21
INVALID_CERTIFICATE, INVALID_SIGNATURE, UNSUPPORTED_CURVE, NO_SESSION_CONTEXT = 1, 2, 3, 4
INVALID_TRANSACTION_ID, UNDEFINED = 5, 127
_HASH_BYTES = 32


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"PrepareDownload refused with {code}")
        self.code = code


def prepare_download(isdr: Isdr, raw: bytes) -> bytes:
    """BF21 { 30 smdpSigned2, 5F37, 04 hashCc optional, 30 certificate } -> BF21 { A0 ok / A1 error }.

    May be repeated until the profile comes. After an error the session can still be cancelled.
    """
    request = parse(raw)
    sequences = [child for child in request.children if child.tag == 0x30]
    if len(sequences) < 2:
        raise der.DerError("smdpSigned2 or smdpCertificate is missing")
    signed, certificate = sequences[:2]
    transaction_id = transaction_id_of(signed)
    signature, hash_cc = request.get(0x5F37), request.find(0x04)
    session = session_of(isdr)
    if session is None or session.authenticated is None or session.installation is not None:
        return _error(transaction_id, NO_SESSION_CONTEXT)
    known = session.authenticated
    try:
        server = _binding_certificate(certificate.raw, known)
        bound = signed.raw + der.octets(known.euicc_signature1, 0x5F37)
        if not verify_raw(server.public_key, signature.value, bound):
            raise _RefusedError(INVALID_SIGNATURE)
        if transaction_id != known.transaction_id:
            raise _RefusedError(INVALID_TRANSACTION_ID)
        _check_confirmation(signed, hash_cc)
        if isdr.quirks.download_error is not None:
            raise _RefusedError(isdr.quirks.download_error)
    except _RefusedError as refusal:
        log.info("%s: %s", refusal, refusal.__cause__ or "no more is known")
        return _error(transaction_id, refusal.code)
    except der.DerError:
        return _error(transaction_id, UNDEFINED)
    wanted = signed.find(0x5F49)
    curve = server.public_key.curve.name
    key = one_time_key(isdr, server.oid, curve, wanted.value if wanted is not None else None)
    isdr.commit()
    session.prepared = Prepared(server.public_key, key)
    data = der.seq(
        der.octets(transaction_id, 0x80),
        der.octets(key.public, 0x5F49),
        der.octets(hash_cc.value) if hash_cc is not None else b"",
    )
    euicc_signature = known.ci.sign(data + der.octets(signature.value, 0x5F37))
    isdr.step("prepared")
    return der.tlv(PREPARE, der.tlv(0xA0, data, der.octets(euicc_signature, 0x5F37)))


def _binding_certificate(raw: bytes, known: Authenticated) -> ServerCertificate:
    """CERT.DPpb: of the SM-DP+ that has authenticated itself, and of no other."""
    try:
        server = read_server_certificate(raw, known.ci, (DP_PB,))
    except CurveError as error:
        raise _RefusedError(UNSUPPORTED_CURVE) from error
    except CertificateError as error:
        raise _RefusedError(INVALID_CERTIFICATE) from error
    if known.certificate.role != DP_AUTH or server.oid != known.certificate.oid:
        raise _RefusedError(INVALID_CERTIFICATE)
    return server


def _check_confirmation(signed: der.Node, hash_cc: der.Node | None) -> None:
    required = signed.find(0x01)
    if required is None or (required.boolean() and hash_cc is None):
        raise _RefusedError(UNDEFINED)
    if hash_cc is not None and len(hash_cc.value) != _HASH_BYTES:
        raise _RefusedError(UNDEFINED)


def _error(transaction_id: bytes, code: int) -> bytes:
    return der.tlv(PREPARE, der.tlv(0xA1, der.octets(transaction_id, 0x80), der.integer(code)))
