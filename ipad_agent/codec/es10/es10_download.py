"""ES10b functions of a profile download (SGP.22 v2.5 §5.7.5-§5.7.7, §5.7.13, §5.7.14; SGP.32 v1.2 replaces some types).

What the server signed goes to the eUICC as it came, and what the eUICC signed goes to the server as it came: the
builders take whole elements, the parsers keep ``raw``.
"""

from __future__ import annotations

from enum import IntEnum

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, outer
from ipad_agent.codec.tolerances import UNIVERSAL_INTEGER, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field


class CancelSessionReason(IntEnum):
    """Why a download session is given up."""

    END_USER_REJECTION = 0
    POSTPONED = 1
    TIMEOUT = 2
    PPR_NOT_ALLOWED = 3
    METADATA_MISMATCH = 4
    LOAD_BPP_EXECUTION_ERROR = 5
    UNDEFINED_REASON = 127


def element(raw: bytes, tag: int, what: str) -> bytes:
    """``raw`` if it is exactly one element with this tag, else ``CodecError``."""
    found = tlv.parse(raw)
    if found.tag != tag:
        raise CodecError(f"{what} should begin with {hex_tag(tag)}, not {hex_tag(found.tag)}", offset=0)
    return raw


def get_challenge_request() -> bytes:
    """GetEuiccChallenge: opens a session and drops the one before."""
    return tlv.encode(0xBF2E)


def parse_get_challenge(raw: bytes) -> bytes:
    """The 16 bytes of ``BF2E { 80 }``."""
    challenge = outer(raw, 0xBF2E, Notes(), "the eUICC challenge").require(0x80, "euiccChallenge").value
    if len(challenge) != 16:
        raise CodecError(f"an eUICC challenge of {len(challenge)} bytes instead of 16")
    return challenge


@dataclass(frozen=True, slots=True)
class ServerSigned1:
    """What the server signed to start: the IPA checks that challenge and address are those it asked for."""

    raw: bytes = field(repr=False)
    transaction_id: bytes
    euicc_challenge: bytes
    server_address: str
    server_challenge: bytes

    @classmethod
    def parse(cls, raw: bytes) -> ServerSigned1:
        """From ``30 { 80, 81, 83, 84 }``."""
        fields = Fields(tlv.parse(element(raw, 0x30, "serverSigned1")))
        return cls(
            raw,
            fields.require(0x80, "transactionId").value,
            fields.require(0x81, "euiccChallenge").value,
            fields.require(0x83, "serverAddress").text(),
            fields.require(0x84, "serverChallenge").value,
        )


@dataclass(frozen=True, slots=True)
class SmdpSigned2:
    """What the SM-DP+ signed before the download: whether a confirmation code is needed, and a key to reuse."""

    raw: bytes = field(repr=False)
    transaction_id: bytes
    confirmation_code_required: bool
    bpp_euicc_otpk: bytes | None

    @classmethod
    def parse(cls, raw: bytes) -> SmdpSigned2:
        """From ``30 { 80, 01, 5F49? }``."""
        fields = Fields(tlv.parse(element(raw, 0x30, "smdpSigned2")))
        return cls(
            raw,
            fields.require(0x80, "transactionId").value,
            fields.require(0x01, "ccRequiredFlag").boolean(),
            fields.octets(0x5F49),
        )


def authenticate_server_request(
    *, server_signed1: bytes, server_signature1: bytes, ci_pkid: bytes, server_certificate: bytes, ctx_params1: bytes
) -> bytes:
    """``BF38 { 30, 5F37, 04, 30, A0 }`` from whole elements; ``ci_pkid`` is the bare identifier."""
    return tlv.encode(
        0xBF38,
        element(server_signed1, 0x30, "serverSigned1"),
        element(server_signature1, 0x5F37, "serverSignature1"),
        tlv.encode(0x04, ci_pkid),
        element(server_certificate, 0x30, "serverCertificate"),
        element(ctx_params1, 0xA0, "ctxParams1"),
    )


@dataclass(frozen=True, slots=True)
class AuthenticateServerResponse:
    """``raw`` goes to the server in either case. ``error`` is None when the eUICC accepted the server."""

    raw: bytes = field(repr=False)
    error: ResultCode | None
    transaction_id: bytes | None = None
    tolerances: tuple[str, ...] = ()


def parse_authenticate_server(raw: bytes) -> AuthenticateServerResponse:
    """From ``BF38 { A0 | A1 { 80, 02 } }``."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF38, notes, "the answer to AuthenticateServer"))
    found = fields.first(0xA0, 0xA1, 0xA2)
    if found is None:
        raise CodecError("the answer to AuthenticateServer has neither A0 nor A1", offset=fields.owner.start)
    if found.tag == 0xA1:
        error, transaction_id = _signed_error(found, code_names.AUTHENTICATE)
        return AuthenticateServerResponse(fields.owner.raw, error, transaction_id, notes.ids)
    data = Fields(found).first(0x30)
    return AuthenticateServerResponse(fields.owner.raw, None, _transaction_id(data), notes.ids)


def prepare_download_request(
    *, smdp_signed2: bytes, smdp_signature2: bytes, smdp_certificate: bytes, hash_cc: bytes | None = None
) -> bytes:
    """``BF21 { 30, 5F37, 04?, 30 }`` from whole elements; ``hash_cc`` is the bare 32 bytes."""
    return tlv.encode(
        0xBF21,
        element(smdp_signed2, 0x30, "smdpSigned2"),
        element(smdp_signature2, 0x5F37, "smdpSignature2"),
        b"" if hash_cc is None else tlv.encode(0x04, hash_cc),
        element(smdp_certificate, 0x30, "smdpCertificate"),
    )


@dataclass(frozen=True, slots=True)
class PrepareDownloadResponse:
    """``raw`` goes to the server in either case. ``error`` is None when the eUICC is ready for the package."""

    raw: bytes = field(repr=False)
    error: ResultCode | None
    transaction_id: bytes | None = None
    tolerances: tuple[str, ...] = ()


def parse_prepare_download(raw: bytes) -> PrepareDownloadResponse:
    """From ``BF21 { A0 | A1 { 80, 02 } }``."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF21, notes, "the answer to PrepareDownload"))
    found = fields.first(0xA0, 0xA1, 0xA2)
    if found is None:
        raise CodecError("the answer to PrepareDownload has neither A0 nor A1", offset=fields.owner.start)
    if found.tag == 0xA1:
        error, transaction_id = _signed_error(found, code_names.PREPARE_DOWNLOAD)
        return PrepareDownloadResponse(fields.owner.raw, error, transaction_id, notes.ids)
    data = Fields(found).first(0x30)
    return PrepareDownloadResponse(fields.owner.raw, None, _transaction_id(data), notes.ids)


def cancel_session_request(transaction_id: bytes, reason: CancelSessionReason | int) -> bytes:
    """``BF41 { 80, 81 }``."""
    return tlv.encode(0xBF41, tlv.encode(0x80, transaction_id), tlv.encode_integer(0x81, reason))


@dataclass(frozen=True, slots=True)
class CancelSessionResponse:
    """``choice_raw`` (``A0`` or ``81``) is what the server gets inside its own request."""

    raw: bytes = field(repr=False)
    choice_raw: bytes = field(repr=False)
    error: ResultCode | None
    tolerances: tuple[str, ...] = ()


def parse_cancel_session(raw: bytes) -> CancelSessionResponse:
    """From ``BF41 { A0 | 81 }``."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF41, notes, "the answer to CancelSession"))
    found = fields.first(0xA0, 0x81, 0xA2, 0x02)
    if found is None:
        raise CodecError("the answer to CancelSession has neither A0 nor 81", offset=fields.owner.start)
    if found.tag in (0xA0, 0xA2):
        return CancelSessionResponse(fields.owner.raw, found.raw, None, notes.ids)
    if found.tag == 0x02:
        notes.take(UNIVERSAL_INTEGER)
    error = ResultCode(found.integer(), code_names.CANCEL_SESSION_CARD)
    return CancelSessionResponse(fields.owner.raw, tlv.encode_integer(0x81, error), error, notes.ids)


def _signed_error(found: Tlv, known: code_names.Names) -> tuple[ResultCode, bytes | None]:
    fields = Fields(found)
    number = fields.first(0x02, 0x81)
    if number is None:
        raise CodecError("an error answer without its number", offset=found.start)
    return ResultCode(number.integer(), known), fields.octets(0x80)


def _transaction_id(data: Tlv | None) -> bytes | None:
    return None if data is None else Fields(data).octets(0x80)
