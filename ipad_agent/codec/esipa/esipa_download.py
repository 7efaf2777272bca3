"""ESipa messages of a profile download through the eIM (SGP.32 v1.2 §6.3.2.1-§6.3.2.4; BF39, BF3B, BF3A, BF41).

Signed parts are whole elements in both directions. ``smdp_signed2.raw`` and its like go to the eUICC unchanged.
"""

from __future__ import annotations

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.code_names import Names
from ipad_agent.codec.ber.tlv import hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, undouble
from ipad_agent.codec.es10.es10_download import CancelSessionResponse, ServerSigned1, SmdpSigned2, element
from ipad_agent.codec.es10.profile_info import ProfileMetadata
from ipad_agent.codec.tolerances import EMPTY_ANSWER, UNIVERSAL_INTEGER, UNWRAPPED_CHOICE, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .download_trigger import DownloadTrigger


@dataclass(frozen=True, slots=True)
class Refused:
    """The eIM's error number, with its name for this function."""

    code: ResultCode
    tolerances: tuple[str, ...] = ()


# -- InitiateAuthentication ------------------------------------------------------------------------------------------


def encode_initiate_authentication(
    euicc_challenge: bytes,
    *,
    smdp_address: str | None = None,
    euicc_info1: bytes | None = None,
    eim_transaction_id: bytes | None = None,
) -> bytes:
    """``BF39 { 81, 83?, BF20?, 82? }``; the last two in this order, as the schema has them."""
    if len(euicc_challenge) != 16:
        raise CodecError(f"an eUICC challenge of {len(euicc_challenge)} bytes instead of 16")
    return tlv.encode(
        0xBF39,
        tlv.encode(0x81, euicc_challenge),
        b"" if smdp_address is None else tlv.encode(0x83, smdp_address.encode()),
        b"" if euicc_info1 is None else element(euicc_info1, 0xBF20, "EUICCInfo1"),
        b"" if eim_transaction_id is None else tlv.encode(0x82, eim_transaction_id),
    )


@dataclass(frozen=True, slots=True)
class InitiateAuthenticationOk:
    """The server's opening. ``transaction_id`` is that of the message, or of the signed data where it is left out.

    ``ci_pkid`` may be a prefix (since v1.1) or empty; ``ctx_params1`` is the element ``A0`` when the eIM made it.
    """

    transaction_id: bytes
    server_signed1: ServerSigned1
    server_signature1: bytes = field(repr=False)
    ci_pkid: bytes
    server_certificate: bytes = field(repr=False)
    matching_id: str | None = field(repr=False)
    ctx_params1: bytes | None = field(repr=False)
    tolerances: tuple[str, ...] = ()


def parse_initiate_authentication_response(body: bytes) -> InitiateAuthenticationOk | Refused:
    """From ``BF39 { A0 { 80?, 30, 5F37, 04, 30, 0C?, A2? } | 81 }``."""
    notes = Notes()
    ok = _chosen(body, 0xBF39, (0xA0,), 0x81, code_names.INITIATE_AUTHENTICATION, notes)
    if isinstance(ok, Refused):
        return ok
    sequences = ok.all(0x30)
    if len(sequences) < 2:
        raise CodecError("serverSigned1 or serverCertificate is missing", offset=ok.owner.start)
    signed = ServerSigned1.parse(sequences[0].raw)
    context = ok.first(0xA2)
    ctx_params1 = None
    if context is not None:
        inner = context.find(0xA0)
        if inner is None:
            raise CodecError("ctxParams1 without its content (A0)", offset=context.start)
        ctx_params1 = inner.raw
    return InitiateAuthenticationOk(
        ok.octets(0x80) or signed.transaction_id,
        signed,
        ok.require(0x5F37, "serverSignature1").raw,
        ok.octets(0x04) or b"",
        sequences[1].raw,
        ok.text(0x0C),
        ctx_params1,
        notes.ids,
    )


# -- AuthenticateClient ----------------------------------------------------------------------------------------------


def encode_authenticate_client(transaction_id: bytes, authenticate_server_response: bytes) -> bytes:
    """``BF3B { 80, BF38 }`` with the eUICC's answer as it came."""
    response = element(authenticate_server_response, 0xBF38, "the answer to AuthenticateServer")
    return tlv.encode(0xBF3B, tlv.encode(0x80, transaction_id), response)


@dataclass(frozen=True, slots=True)
class AuthenticateClientOk:
    """The SM-DP+ has a profile. ``metadata`` may be left out when the eIM verifies it."""

    transaction_id: bytes
    metadata: ProfileMetadata | None
    smdp_signed2: SmdpSigned2
    smdp_signature2: bytes = field(repr=False)
    smdp_certificate: bytes = field(repr=False)
    hash_cc: bytes | None = field(repr=False)
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthenticateClientSmds:
    """The SM-DS had an event; ``trigger`` is the download it stands for."""

    transaction_id: bytes | None
    trigger: DownloadTrigger | None
    tolerances: tuple[str, ...] = ()


def parse_authenticate_client_response(body: bytes) -> AuthenticateClientOk | AuthenticateClientSmds | Refused:
    """From ``BF3B { A0 { 80?, BF25?, 30, 5F37, 30, 04? } | A1 { 80, BF54? } | 82 }``."""
    notes = Notes()
    ok = _chosen(body, 0xBF3B, (0xA0, 0xA1), 0x82, code_names.AUTHENTICATE_CLIENT, notes)
    if isinstance(ok, Refused):
        return ok
    if ok.owner.tag == 0xA1:
        found = ok.first(0xBF54)
        trigger = None if found is None else DownloadTrigger.parse(found.raw)
        if trigger is not None:
            notes.add(trigger.tolerances)
        return AuthenticateClientSmds(ok.octets(0x80), trigger, notes.ids)
    sequences = ok.all(0x30)
    if len(sequences) < 2:
        raise CodecError("smdpSigned2 or smdpCertificate is missing", offset=ok.owner.start)
    signed = SmdpSigned2.parse(sequences[0].raw)
    described = ok.first(0xBF25)
    metadata = None if described is None else ProfileMetadata.parse(described.raw)
    if metadata is not None:
        notes.add(metadata.tolerances)
    hash_cc = ok.octets(0x04)
    if hash_cc is not None and len(hash_cc) != 32:
        raise CodecError(f"a hashCc of {len(hash_cc)} bytes instead of 32", offset=ok.owner.start)
    return AuthenticateClientOk(
        ok.octets(0x80) or signed.transaction_id,
        metadata,
        signed,
        ok.require(0x5F37, "smdpSignature2").raw,
        sequences[1].raw,
        hash_cc,
        notes.ids,
    )


# -- GetBoundProfilePackage ------------------------------------------------------------------------------------------


def encode_get_bound_profile_package(transaction_id: bytes, prepare_download_response: bytes) -> bytes:
    """``BF3A { 80, BF21 }`` with the eUICC's answer as it came."""
    response = element(prepare_download_response, 0xBF21, "the answer to PrepareDownload")
    return tlv.encode(0xBF3A, tlv.encode(0x80, transaction_id), response)


@dataclass(frozen=True, slots=True)
class BoundProfilePackage:
    """``bpp`` is the element BF36, to be cut into segments as it is."""

    transaction_id: bytes | None
    bpp: bytes = field(repr=False)
    tolerances: tuple[str, ...] = ()


def parse_get_bound_profile_package_response(body: bytes) -> BoundProfilePackage | Refused:
    """From ``BF3A { A0 { 80?, BF36 } | 81 }``."""
    notes = Notes()
    ok = _chosen(body, 0xBF3A, (0xA0,), 0x81, code_names.GET_BPP, notes)
    if isinstance(ok, Refused):
        return ok
    return BoundProfilePackage(ok.octets(0x80), ok.require(0xBF36, "boundProfilePackage").raw, notes.ids)


# -- CancelSession ---------------------------------------------------------------------------------------------------


def encode_cancel_session(transaction_id: bytes, answer: CancelSessionResponse, *, nested: bool = False) -> bytes:
    """``BF41 { 80, A1 { A0 | 81 } }`` with the eUICC's answer inside, without its own BF41 (rule T4; X.680 §31.2.7).

    ``nested`` keeps it, ``A1 { BF41 { … } }``, for peers built with a compiler that does not replace the tag."""
    inner = tlv.encode(0xBF41, answer.choice_raw) if nested else answer.choice_raw
    return tlv.encode(0xBF41, tlv.encode(0x80, transaction_id), tlv.encode(0xA1, inner))


def parse_cancel_session_response(body: bytes) -> Refused | None:
    """From ``BF41 { A0 | 81 }``: None when the session is closed. An empty body is taken for that."""
    if not body:
        return None
    notes = Notes()
    answer = _chosen(body, 0xBF41, (0xA0,), 0x81, code_names.CANCEL_SESSION_EIM, notes, empty_is_ok=True)
    return answer if isinstance(answer, Refused) else None


def _chosen(
    body: bytes,
    tag: int,
    ok_tags: tuple[int, ...],
    error_tag: int,
    known: Names,
    notes: Notes,
    *,
    empty_is_ok: bool = False,
) -> Fields | Refused:
    """The fields of the positive alternative, or the error."""
    message = tlv.parse(body)
    if message.tag != tag:
        raise CodecError(f"the answer should begin with {hex_tag(tag)}, not {hex_tag(message.tag)}", offset=0)
    message = undouble(message, notes)
    found = message.find(*ok_tags)
    if found is not None:
        return Fields(found)
    number = message.find(error_tag, 0x02)
    if number is not None:
        if number.tag == 0x02:
            notes.take(UNIVERSAL_INTEGER)
        return Refused(ResultCode(number.integer(), known), notes.ids)
    fields = Fields(message)
    if empty_is_ok and not fields.items:
        notes.take(EMPTY_ANSWER)
        return fields
    if fields.present(0x30, 0xBF36):
        # The positive alternative without its A0; its first SEQUENCE, or the package, is unmistakable.
        notes.take(UNWRAPPED_CHOICE)
        return fields
    raise CodecError("the answer is neither a success nor an error", offset=message.start)
