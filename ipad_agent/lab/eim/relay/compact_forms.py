"""Compact forms back to what the eUICC signed (SGP.32 v1.2 §6.3: CompactAuthenticateResponseOk and the others).

An IPA that saves bytes leaves out what the eIM knows already. The signatures are over the full forms, so what is put
together here must be the card's own DER to the byte. ``CompactError`` says what is not known, ``DerError`` that the
compact form cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim.errors import CompactError

COMPACT = 0xA2
SIGNATURE = 0x5F37
UNDEFINED_REASON = 127
ISDP_PREFIX = bytes.fromhex("A0000005591010FFFFFFFF890000")
"""What the AIDs of all ISD-Ps begin with; the compact form has the last two bytes."""
SIMA_OK = bytes.fromhex("3007A0053003800100")
"""simaResponse when it is left out: one PEStatus, ok."""
INSTALL_EVENT = bytes.fromhex("0780")


@dataclass(frozen=True, slots=True)
class KnownCard:
    """What an eIM remembers of a card; certificates and euiccInfo2 (BF22) as DER, None while unknown."""

    euicc_info2: bytes | None = None
    euicc_certificate: bytes | None = None
    eum_certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class KnownSession:
    """What both ends of an RSP session have seen. ``context`` is ctxParams1 (A0) if the eIM made it itself."""

    transaction_id: bytes
    server_address: str = ""
    server_challenge: bytes = b""
    context: bytes | None = None
    server_oid: str | None = None
    otpk: bytes | None = None
    iccid: bytes | None = None
    cancel_reason: int | None = None


def is_compact(response: Node) -> bool:
    """Whether an answer of the card (BF38, BF21, BF41) came in its compact form."""
    return response.constructed and response.find(COMPACT) is not None


def certificate_under(node: Node) -> bytes:
    """A Certificate under an IMPLICIT context tag, with its own 30 again; also if that was left inside."""
    children = node.children
    if len(children) == 1 and children[0].tag == 0x30:
        return children[0].raw
    return der.seq(node.value)


def authenticate_response(response: Node, card: KnownCard, session: KnownSession) -> bytes:
    """BF38 { A2 } to BF38 { A0 }."""
    compact = response.get(COMPACT)
    signed = compact.find(0x30)
    # A0 in front is compactEuiccSigned1; certificates have A1 and A2.
    signed_bytes = _euicc_signed1(compact.get(0xA0), card, session) if signed is None else signed.raw
    return der.tlv(
        0xBF38,
        der.tlv(
            0xA0,
            signed_bytes,
            compact.get(SIGNATURE).raw,
            _certificate(compact.find(0xA1), card.euicc_certificate, "eUICC certificate"),
            _certificate(compact.find(0xA2), card.eum_certificate, "EUM certificate"),
        ),
    )


def _euicc_signed1(compact: Node, card: KnownCard, session: KnownSession) -> bytes:
    if card.euicc_info2 is None:
        raise CompactError("euiccInfo2 of this card is not known")
    resources = compact.get(0x84)
    info = der.parse(card.euicc_info2, ber=True)
    if info.find(0x84) is None:
        raise CompactError("euiccInfo2 of this card has no extCardResource")
    wrapped = compact.find(0xA2)
    context = session.context if wrapped is None else wrapped.get(0xA0).raw
    if context is None:
        raise CompactError("ctxParams1 is left out, but was not made here")
    return der.seq(
        der.octets(session.transaction_id, 0x80),
        der.utf8(session.server_address, 0x83),
        der.octets(session.server_challenge, 0x84),
        # Free memory is the one thing in it that changes from day to day.
        der.tlv(0xBF22, *(resources.raw if child.tag == 0x84 else child.raw for child in info.children)),
        context,
    )


def _certificate(node: Node | None, known: bytes | None, what: str) -> bytes:
    if node is not None:
        return certificate_under(node)
    if known is None:
        raise CompactError(f"the {what} is left out and not known")
    return known


def prepare_download_response(response: Node, session: KnownSession) -> bytes:
    """BF21 { A2 } to BF21 { A0 }."""
    compact = response.get(COMPACT)
    signed = compact.get(0x30)
    otpk = signed.find(0x5F49)
    if otpk is None and session.otpk is None:
        raise CompactError("euiccOtpk is left out, but smdpSigned2 offered none")
    code = signed.find(0x04)
    full = der.seq(
        der.octets(session.transaction_id, 0x80),
        der.octets(session.otpk or b"", 0x5F49) if otpk is None else otpk.raw,
        b"" if code is None else code.raw,
    )
    return der.tlv(0xBF21, der.tlv(0xA0, full, compact.get(SIGNATURE).raw))


def cancel_session_response(response: Node, session: KnownSession) -> bytes:
    """BF41 { A2 } to BF41 { A0 }. Without a reason it is the one that this eIM gave cause for, else undefined."""
    compact = response.get(COMPACT)
    reason = compact.get(0x30).find(0x80)
    if session.server_oid is None:
        raise CompactError("the server's OID is not known")
    number = session.cancel_reason if session.cancel_reason is not None else UNDEFINED_REASON
    full = der.seq(
        der.octets(session.transaction_id, 0x80),
        der.oid(session.server_oid, 0x81),
        der.integer(number, 0x82) if reason is None else der.octets(reason.value, 0x82),
    )
    return der.tlv(0xBF41, der.tlv(0xA0, full, compact.get(SIGNATURE).raw))


def installation_result(compact: Node, session: KnownSession) -> bytes:
    """A compactProfileInstallationResult (A0) to BF37."""
    data = compact.get(0xA0)
    if session.server_oid is None:
        raise CompactError("the server's OID is not known")
    present = data.find(0x01)
    iccid = b""
    if present is None or present.boolean():
        if session.iccid is None:
            raise CompactError("the profile's ICCID is not known")
        iccid = der.octets(session.iccid, 0x5A)
    metadata = der.tlv(
        0xBF2F,
        der.octets(data.get(0x02).value, 0x80),
        der.octets(INSTALL_EVENT, 0x81),
        der.utf8(session.server_address),
        iccid,
    )
    full = der.tlv(
        0xBF27,
        data.get(0x80).raw,
        metadata,
        der.oid(session.server_oid),
        der.tlv(0xA2, _final_result(data.get(0xA2))),
    )
    return der.tlv(0xBF37, full, compact.get(SIGNATURE).raw)


def _final_result(node: Node) -> bytes:
    success = node.find(0xA0)
    if success is None:
        return node.get(0xA1).raw
    aid = success.get(0x4F).value
    if len(aid) != 2:
        raise DerError(f"compactAid has {len(aid)} bytes")
    sima = success.find(0x04)
    return der.tlv(0xA0, der.octets(ISDP_PREFIX + aid, 0x4F), der.octets(SIMA_OK if sima is None else sima.value))


def other_notification(compact: Node, card: KnownCard) -> bytes:
    """A compactOtherSignedNotification (A1) to an otherSignedNotification (30)."""
    return der.seq(
        compact.get(0xBF2F).raw,
        compact.get(SIGNATURE).raw,
        _certificate(None, card.euicc_certificate, "eUICC certificate"),
        _certificate(None, card.eum_certificate, "EUM certificate"),
    )
