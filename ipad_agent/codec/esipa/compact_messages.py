"""Compact forms of what the eUICC signed: without what the eIM knows already (SGP.32 v1.2 §6.3.2, since v1.0).

The signatures stay over the full forms, so an eIM has to put these together again to the byte. Each function below
does the same with what the eIM is taken to know, and gives None where that is not exactly what the eUICC signed, or
where nothing would be saved: then the full form is sent.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.object_identifier import decode_oid
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

_COMPACT: Final = 0xA2
_SIGNATURE: Final = 0x5F37
_FREE_MEMORY: Final = 0x84
"""extCardResource: the only part of euiccInfo2 that changes from one day to the next."""
_INSTALL_EVENT: Final = bytes.fromhex("0780")
_ISDP_PREFIX: Final = bytes.fromhex("A0000005591010FFFFFFFF890000")
_SIMA_OK: Final = bytes.fromhex("3007A0053003800100")
"""What a simaResponse that is left out stands for."""


@dataclass(frozen=True, slots=True)
class KnownSession:
    """What an eIM and its IPA have both seen of a download session. ``context`` is ctxParams1 (``A0``) where the eIM
    made it itself, ``server_oid`` that of the server's certificate, ``otpk`` a key that smdpSigned2 offered again,
    ``iccid`` the octets in the profile's metadata."""

    transaction_id: bytes
    server_address: str
    server_challenge: bytes = field(repr=False)
    context: bytes | None = field(default=None, repr=False)
    server_oid: str | None = None
    otpk: bytes | None = field(default=None, repr=False)
    iccid: bytes | None = None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What an answer to AuthenticateServer says of the card, in the form in which it is remembered that an eIM knows
    it: euiccInfo2 without the amount of free memory, and the certificates of eUICC and EUM, one after the other."""

    euicc_info2: bytes | None = field(repr=False)
    certificates: bytes = field(repr=False)


def card_facts(authenticate_response: bytes) -> CardFacts | None:
    """From ``BF38 { A0 { 30, 5F37, 30, 30 } }``; None for an error and for what has another shape."""
    try:
        parts = _parts(authenticate_response, 0xBF38, (0x30, _SIGNATURE, 0x30, 0x30))
        if parts is None:
            return None
        info2 = parts[0].find(0xBF22)
        return CardFacts(None if info2 is None else info2_without_memory(info2.raw), parts[2].raw + parts[3].raw)
    except CodecError:
        return None


def info2_without_memory(euicc_info2: bytes) -> bytes | None:
    """``BF22`` with an empty extCardResource; None where that is not there exactly once."""
    children = tlv.parse(euicc_info2).children()
    if sum(child.tag == _FREE_MEMORY for child in children) != 1:
        return None
    return tlv.encode(0xBF22, *(tlv.encode(_FREE_MEMORY) if c.tag == _FREE_MEMORY else c.raw for c in children))


def authenticate_response(full: bytes, session: KnownSession, *, info2: bool, certificates: bool) -> bytes | None:
    """``BF38 { A2 { 30 | A0 { 84, A2? }, 5F37, A1?, A2? } }`` for an eIM that knows euiccInfo2, the certificates, or
    both."""
    try:
        parts = _parts(full, 0xBF38, (0x30, _SIGNATURE, 0x30, 0x30))
        if parts is None:
            return None
        signed, signature, euicc, eum = parts
        short = _compact_signed1(signed, session) if info2 else None
        if short is None and not certificates:
            return None
        shown = b"" if certificates else tlv.encode(0xA1, euicc.value) + tlv.encode(0xA2, eum.value)
        compact = tlv.encode(_COMPACT, signed.raw if short is None else short, signature.raw, shown)
        return _shorter(tlv.encode(0xBF38, compact), full)
    except CodecError:
        return None


def _compact_signed1(signed: Tlv, session: KnownSession) -> bytes | None:
    info2, context = signed.require(0xBF22), signed.require(0xA0)
    memory = info2.require(_FREE_MEMORY)
    rebuilt = tlv.encode(
        0x30,
        tlv.encode(0x80, session.transaction_id),
        tlv.encode(0x83, session.server_address.encode()),
        tlv.encode(0x84, session.server_challenge),
        tlv.encode(0xBF22, *(child.raw for child in info2)),
        context.raw,
    )
    if rebuilt != signed.raw or memory.raw != tlv.encode(_FREE_MEMORY, memory.value):
        return None
    shown = b"" if context.raw == session.context else tlv.encode(0xA2, context.raw)
    return tlv.encode(0xA0, memory.raw, shown)


def prepare_download_response(full: bytes, session: KnownSession) -> bytes | None:
    """``BF21 { A2 { 30 { 5F49?, 04? }, 5F37 } }``; the key is left out where the server offered it again."""
    try:
        parts = _parts(full, 0xBF21, (0x30, _SIGNATURE))
        if parts is None:
            return None
        signed, signature = parts
        otpk, code = signed.require(0x5F49), signed.find(0x04)
        hash_cc = b"" if code is None else code.raw
        if signed.raw != tlv.encode(0x30, tlv.encode(0x80, session.transaction_id), otpk.raw, hash_cc):
            return None
        shown = b"" if otpk.raw == tlv.encode(0x5F49, session.otpk or b"") else otpk.raw
        compact = tlv.encode(_COMPACT, tlv.encode(0x30, shown, hash_cc), signature.raw)
        return _shorter(tlv.encode(0xBF21, compact), full)
    except CodecError:
        return None


def cancel_session_response(full: bytes, session: KnownSession) -> bytes | None:
    """``BF41 { A2 { 30 { 80 }, 5F37 } }``. The reason is always shown: it is what the message is about."""
    try:
        parts = _parts(full, 0xBF41, (0x30, _SIGNATURE))
        if parts is None:
            return None
        signed, signature = parts
        oid, reason = signed.require(0x81), signed.require(0x82)
        rebuilt = tlv.encode(0x30, tlv.encode(0x80, session.transaction_id), oid.raw, reason.raw)
        if signed.raw != rebuilt or decode_oid(oid.value) != session.server_oid:
            return None
        compact = tlv.encode(_COMPACT, tlv.encode(0x30, tlv.encode(0x80, reason.value)), signature.raw)
        return _shorter(tlv.encode(0xBF41, compact), full)
    except CodecError:
        return None


def installation_result(full: bytes, session: KnownSession) -> bytes | None:
    """``A0 { A0 { 80, 02, 01?, A2 }, 5F37 }`` for the ProfileInstallationResult (``BF37``) of this session."""
    try:
        result = tlv.parse(full)
        if result.tag != 0xBF37 or [part.tag for part in result] != [0xBF27, _SIGNATURE]:
            return None
        data, signature = result.children()
        metadata, oid, final = data.require(0xBF2F), data.require(0x06), data.require(0xA2)
        number, iccid = metadata.require(0x80), metadata.find(0x5A)
        if iccid is not None and iccid.value != session.iccid:
            return None
        rebuilt_metadata = tlv.encode(
            0xBF2F,
            number.raw,
            tlv.encode(0x81, _INSTALL_EVENT),
            tlv.encode(0x0C, session.server_address.encode()),
            b"" if iccid is None else tlv.encode(0x5A, iccid.value),
        )
        rebuilt = tlv.encode(
            0xBF27, tlv.encode(0x80, session.transaction_id), rebuilt_metadata, oid.raw, tlv.encode(0xA2, final.value)
        )
        if data.raw != rebuilt or decode_oid(oid.value) != session.server_oid:
            return None
        compact = tlv.encode(
            0xA0,
            tlv.encode(0x80, session.transaction_id),
            tlv.encode(0x02, number.value),
            tlv.encode(0x01, b"\x00") if iccid is None else b"",
            tlv.encode(0xA2, _compact_final_result(final)),
        )
        return _shorter(tlv.encode(0xA0, compact, signature.raw), full)
    except CodecError:
        return None


def _compact_final_result(final: Tlv) -> bytes:
    (choice,) = _exactly(final.children(), 1)
    if choice.tag == 0xA1:
        return choice.raw
    aid, sima = _exactly(choice.children(), 2)
    whole = tlv.encode(0xA0, tlv.encode(0x4F, _ISDP_PREFIX + aid.value[-2:]), tlv.encode(0x04, sima.value))
    if choice.raw != whole:
        raise CodecError("a successResult that cannot be put together again", offset=choice.start)
    shown = b"" if sima.value == _SIMA_OK else sima.raw
    return tlv.encode(0xA0, tlv.encode(0x4F, aid.value[-2:]), shown)


def other_notification(full: bytes, eid: Eid) -> bytes | None:
    """``A1 { 5A, BF2F, 5F37 }`` for an otherSignedNotification (``30``), for an eIM that knows the certificates in it
    (``certificates_in``). Without them only the EID says whose it is; v1.0 has no room for that."""
    try:
        parts = _notification_parts(full)
        if parts is None:
            return None
        compact = tlv.encode(0xA1, tlv.encode(0x5A, eid.bytes), parts[0].raw, parts[1].raw)
        return _shorter(compact, full)
    except CodecError:
        return None


def certificates_in(notification: bytes) -> bytes | None:
    """Those of eUICC and EUM in an otherSignedNotification, as in ``CardFacts``; None in any other kind."""
    try:
        parts = _notification_parts(notification)
    except CodecError:
        return None
    return None if parts is None else parts[2].raw + parts[3].raw


def _notification_parts(raw: bytes) -> tuple[Tlv, ...] | None:
    whole = tlv.parse(raw)
    if whole.tag != 0x30:
        return None
    parts = whole.children()
    if [part.tag for part in parts] != [0xBF2F, _SIGNATURE, 0x30, 0x30]:
        return None
    return parts if whole.raw == tlv.encode(0x30, *(part.raw for part in parts)) else None


def _parts(full: bytes, tag: int, shape: tuple[int, ...]) -> tuple[Tlv, ...] | None:
    """What is under ``tag { A0 { … } }``, where it has this shape and is DER on the way there."""
    whole = tlv.parse(full)
    ok = whole.find(0xA0) if whole.tag == tag else None
    if ok is None:
        return None
    parts = ok.children()
    if tuple(part.tag for part in parts) != shape:
        return None
    rebuilt = tlv.encode(tag, tlv.encode(0xA0, *(part.raw for part in parts)))
    return parts if rebuilt == whole.raw else None


def _exactly(children: tuple[Tlv, ...], count: int) -> tuple[Tlv, ...]:
    if len(children) != count:
        raise CodecError(f"{len(children)} elements instead of {count}", offset=0)
    return children


def _shorter(compact: bytes, full: bytes) -> bytes | None:
    return compact if len(compact) < len(full) else None
