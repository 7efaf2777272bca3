"""ES9+ and ES11: requests as JSON and what is in the answers (SGP.22 v2.5 §5.6, §5.8, §6.5.2).

Results are those of the download through the eIM (``esipa_download``): what the server signed is the same on both ways.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.es10.es10_download import ServerSigned1, SmdpSigned2, element
from ipad_agent.codec.es10.profile_info import ProfileMetadata
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, InitiateAuthenticationOk
from ipad_agent.codec.tolerances import TRANSACTION_LEFT_OUT, UNREADABLE_ELEMENT
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .rsp_json import JsonAnswer, base64_of, dumps, hex_of, member

MAX_EVENTS: Final = 256


@dataclass(frozen=True, slots=True)
class EventEntry:
    """What an SM-DS knows: ``event_id`` is the matching identifier for the server at ``rsp_server_address``."""

    event_id: str = field(repr=False)
    rsp_server_address: str


@dataclass(frozen=True, slots=True)
class EventEntries:
    """The events of an SM-DS for this eUICC, perhaps none."""

    transaction_id: bytes
    entries: tuple[EventEntry, ...]
    tolerances: tuple[str, ...] = ()


# -- requests ----------------------------------------------------------------------------------------------------------


def initiate_authentication_request(*, challenge: bytes, euicc_info1: bytes, smdp_address: str) -> bytes:
    """``euiccChallenge`` is the bare 16 bytes in base64, ``euiccInfo1`` the element BF20."""
    if len(challenge) != 16:
        raise CodecError(f"an eUICC challenge of {len(challenge)} bytes instead of 16")
    return dumps(
        {
            "euiccChallenge": base64_of(challenge),
            "euiccInfo1": base64_of(element(euicc_info1, 0xBF20, "EUICCInfo1")),
            "smdpAddress": smdp_address,
        }
    )


def authenticate_client_request(transaction_id: bytes, response: bytes) -> bytes:
    """With the eUICC's answer to AuthenticateServer (BF38) as it came."""
    return _with("authenticateServerResponse", element(response, 0xBF38, "the answer"), transaction_id)


def get_bound_profile_package_request(transaction_id: bytes, response: bytes) -> bytes:
    """With the eUICC's answer to PrepareDownload (BF21) as it came."""
    return _with("prepareDownloadResponse", element(response, 0xBF21, "the answer"), transaction_id)


def cancel_session_request(transaction_id: bytes, response: bytes) -> bytes:
    """With the eUICC's answer to CancelSession (BF41) as it came."""
    return _with("cancelSessionResponse", element(response, 0xBF41, "the answer"), transaction_id)


def handle_notification_request(pending: bytes) -> bytes:
    """With one PendingNotification (30 or BF37) as the eUICC gave it."""
    return dumps({"pendingNotification": base64_of(pending)})


def _with(name: str, raw: bytes, transaction_id: bytes) -> bytes:
    return dumps({"transactionId": hex_of(transaction_id), name: base64_of(raw)})


# -- answers -----------------------------------------------------------------------------------------------------------


def read_initiate_authentication(answer: JsonAnswer) -> InitiateAuthenticationOk:
    """The server's opening. Raises ``CodecError``, also when it contradicts itself about the transaction."""
    answer.note_missing_status()
    answer.note_other_name("euiccCiPKIdToBeUsed")
    signed = ServerSigned1.parse(answer.require("serverSigned1", 0x30))
    transaction_id = _same_transaction(answer, signed.transaction_id)
    signature = answer.signature("serverSignature1")
    ci_pkid = answer.key_identifier()
    certificate = answer.require("serverCertificate", 0x30)
    return InitiateAuthenticationOk(
        transaction_id, signed, signature, ci_pkid, certificate, None, None, answer.notes.ids
    )


def read_authenticate_client(answer: JsonAnswer, transaction_id: bytes) -> AuthenticateClientOk | EventEntries:
    """What the SM-DP+ has, or the events of an SM-DS."""
    answer.note_missing_status()
    if answer.present("eventEntries") and not answer.present("smdpSigned2"):
        return _events(answer, transaction_id)
    signed = SmdpSigned2.parse(answer.require("smdpSigned2", 0x30))
    if signed.transaction_id != transaction_id:
        raise CodecError("smdpSigned2 is of another transaction")
    _same_transaction(answer, transaction_id)
    described = answer.object("profileMetadata", 0xBF25)
    metadata = None if described is None else ProfileMetadata.parse(described)
    if metadata is not None:
        answer.notes.add(metadata.tolerances)
    signature = answer.signature("smdpSignature2")
    certificate = answer.require("smdpCertificate", 0x30)
    hash_cc = answer.hash("hashCc")
    if hash_cc is not None and len(hash_cc) != 32:
        raise CodecError(f"a hashCc of {len(hash_cc)} bytes instead of 32")
    return AuthenticateClientOk(transaction_id, metadata, signed, signature, certificate, hash_cc, answer.notes.ids)


def read_bound_profile_package(answer: JsonAnswer, transaction_id: bytes) -> bytes:
    """The element BF36, to be cut into segments as it is."""
    answer.note_missing_status()
    _same_transaction(answer, transaction_id)
    return answer.require("boundProfilePackage", 0xBF36)


def _events(answer: JsonAnswer, transaction_id: bytes) -> EventEntries:
    _same_transaction(answer, transaction_id)
    listed = answer.value("eventEntries")
    if not isinstance(listed, list) or len(listed) > MAX_EVENTS:
        raise CodecError(f"eventEntries is no list of up to {MAX_EVENTS} events")
    entries: list[EventEntry] = []
    for item in listed:
        known = item if isinstance(item, dict) else {}
        event_id, address = (member(known, name, answer.notes) for name in ("eventId", "rspServerAddress"))
        if isinstance(event_id, str) and isinstance(address, str) and _short(event_id) and _short(address):
            entries.append(EventEntry(event_id, address))
        else:
            answer.notes.take(UNREADABLE_ELEMENT)
    return EventEntries(transaction_id, tuple(entries), answer.notes.ids)


def _short(text: str) -> bool:
    return 0 < len(text) <= 255 and all("!" <= character <= "~" for character in text)


def _same_transaction(answer: JsonAnswer, expected: bytes) -> bytes:
    named = answer.transaction_id()
    if named is None:
        answer.notes.take(TRANSACTION_LEFT_OUT)
    elif named != expected:
        raise CodecError("the answer is of another transaction")
    return expected
