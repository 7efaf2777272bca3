"""How ESipa functions are written: in ASN.1 (SGP.32 v1.2 §6.3) or in JSON (§6.4).

The JSON binding is a translation of the ASN.1 one, message by message: every JSON field holds the DER bytes of one
object, so nothing that was signed is ever encoded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import Fields, without_padding
from ipad_agent.codec.identifiers import Eid
from ipad_agent.codec.rsp.rsp_json import FunctionStatus, JsonAnswer, base64_of, dumps, hex_of
from ipad_agent.codec.rsp.rsp_status_codes import error_number
from ipad_agent.codec.tolerances import Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

GET_EIM_PACKAGE: Final = "GetEimPackage"
PROVIDE_RESULT: Final = "ProvideEimPackageResult"
HANDLE_NOTIFICATION: Final = "HandleNotification"
INITIATE_AUTHENTICATION: Final = "InitiateAuthentication"
AUTHENTICATE_CLIENT: Final = "AuthenticateClient"
GET_BPP: Final = "GetBoundProfilePackage"
CANCEL_SESSION: Final = "CancelSession"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the ASN.1 binding has it. ``status`` is what a JSON answer said when it is no success."""

    body: bytes
    status: FunctionStatus | None = None
    tolerances: tuple[str, ...] = ()


class Binding(Protocol):
    """Between the ASN.1 form of a message, which the rest of the agent knows, and the one on the wire."""

    @property
    def name(self) -> str:
        """As in the configuration."""

    def request(self, function: str, body: bytes) -> bytes:
        """The body to send for a request in ASN.1."""

    def answer(self, function: str, body: bytes) -> Answer:
        """The answer in ASN.1. Raises ``CodecError`` for a body that is no answer."""


class Asn1Binding:
    """The body is the message."""

    name = "asn1"

    def request(self, function: str, body: bytes) -> bytes:
        return body

    def answer(self, function: str, body: bytes) -> Answer:
        notes = Notes()
        return Answer(without_padding(body, notes), None, notes.ids)


class JsonBinding:
    """JSON objects; requests carry no header object, answers do (§6.1.2)."""

    name = "json"

    def request(self, function: str, body: bytes) -> bytes:
        return dumps(_REQUESTS[function](Fields(tlv.parse(body))))

    def answer(self, function: str, body: bytes) -> Answer:
        if not body:
            return Answer(b"")  # the parsers know what that means for each function
        answer = JsonAnswer.parse(body)
        if answer.status is not None and not answer.status.executed:
            number = error_number(function, answer.status.subject, answer.status.reason)
            return Answer(_refusal(function, number), answer.status, answer.notes.ids)
        answer.note_missing_status()
        content = _ANSWERS[function](answer)
        return Answer(content, None, answer.notes.ids)


# -- requests ----------------------------------------------------------------------------------------------------------


def _get_eim_package(fields: Fields) -> dict[str, object]:
    return {
        "eidValue": _eid(fields),
        "notifyStateChange": True if fields.present(0x80) else None,
        "stateChangeCause": fields.integer(0x81),
        "rPlmn": base64_of(fields.octets(0x82)),
    }


def _provide_result(fields: Fields) -> dict[str, object]:
    result = next((item for item in fields.items if item.tag != 0x5A), None)
    return {"eidValue": _eid(fields), "eimPackageResult": base64_of(result.raw if result else None)}


def _handle_notification(fields: Fields) -> dict[str, object]:
    notification, result = fields.first(0xA0), fields.first(0xBF50)
    return {
        "pendingNotification": base64_of(notification.value if notification else None),
        "provideEimPackageResult": base64_of(result.raw if result else None),
    }


def _initiate_authentication(fields: Fields) -> dict[str, object]:
    info = fields.first(0xBF20)
    return {
        "euiccChallenge": base64_of(fields.octets(0x81)),
        "smdpAddress": fields.text(0x83),
        "euiccInfo1": base64_of(info.raw if info else None),
        "eimTransactionId": hex_of(fields.octets(0x82)),
    }


def _authenticate_client(fields: Fields) -> dict[str, object]:
    return {**_transaction(fields), "authenticateServerResponse": base64_of(fields.require(0xBF38, "response").raw)}


def _get_bpp(fields: Fields) -> dict[str, object]:
    return {**_transaction(fields), "prepareDownloadResponse": base64_of(fields.require(0xBF21, "response").raw)}


def _cancel_session(fields: Fields) -> dict[str, object]:
    # The eUICC's whole answer goes into JSON, while in ASN.1 its own BF41 gives way to A1.
    return {
        **_transaction(fields),
        "cancelSessionResponse": base64_of(tlv.encode(0xBF41, fields.require(0xA1, "response").value)),
    }


def _transaction(fields: Fields) -> dict[str, object]:
    return {"transactionId": hex_of(fields.octets(0x80))}


def _eid(fields: Fields) -> str | None:
    eid = fields.octets(0x5A)
    return None if eid is None else str(Eid.from_bytes(eid))


_REQUESTS: Final[Mapping[str, Callable[[Fields], dict[str, object]]]] = {
    GET_EIM_PACKAGE: _get_eim_package,
    PROVIDE_RESULT: _provide_result,
    HANDLE_NOTIFICATION: _handle_notification,
    INITIATE_AUTHENTICATION: _initiate_authentication,
    AUTHENTICATE_CLIENT: _authenticate_client,
    GET_BPP: _get_bpp,
    CANCEL_SESSION: _cancel_session,
}


# -- answers -----------------------------------------------------------------------------------------------------------

_PACKAGES: Final = (
    ("euiccPackageRequest", 0xBF51),
    ("ipaEuiccDataRequest", 0xBF52),
    ("profileDownloadTriggerRequest", 0xBF54),
)


def _package(answer: JsonAnswer) -> bytes:
    for name, tag in _PACKAGES:
        raw = answer.object(name, tag)
        if raw is not None:
            return tlv.encode(0xBF4F, raw)
    number = answer.integer("eimPackageError")
    if number is None:
        if answer.status is None or not answer.bare:
            raise CodecError("the answer holds neither a package nor eimPackageError")
        return tlv.encode(0xBF4F)  # a success with nothing in it, which has its meaning in ASN.1
    return tlv.encode(0xBF4F, tlv.encode_integer(0x02, number))


def _acknowledgements(answer: JsonAnswer) -> bytes:
    raw = answer.object("eimAcknowledgements", 0xBF53)
    return tlv.encode(0xBF50, tlv.encode(0x30) if raw is None else raw)


def _nothing(answer: JsonAnswer) -> bytes:
    return b""


def _opening(answer: JsonAnswer) -> bytes:
    answer.note_other_name("euiccCiPKIdentifierToBeUsed")
    matching_id, context = answer.text("matchingId"), answer.context("ctxParams1")
    return tlv.encode(
        0xBF39,
        tlv.encode(
            0xA0,
            _transaction_of(answer),
            answer.require("serverSigned1", 0x30),
            answer.signature("serverSignature1"),
            tlv.encode(0x04, answer.key_identifier()),
            answer.require("serverCertificate", 0x30),
            b"" if matching_id is None else tlv.encode(0x0C, matching_id.encode()),
            b"" if context is None else tlv.encode(0xA2, context),
        ),
    )


def _client(answer: JsonAnswer) -> bytes:
    if not answer.present("smdpSigned2"):
        trigger = answer.object("profileDownloadTrigger", 0xBF54)
        if trigger is None and not answer.present("transactionId"):
            raise CodecError("the answer holds neither a profile nor an event")
        return tlv.encode(0xBF3B, tlv.encode(0xA1, _transaction_of(answer), trigger or b""))
    hash_cc = answer.hash("hashCc")
    return tlv.encode(
        0xBF3B,
        tlv.encode(
            0xA0,
            _transaction_of(answer),
            answer.object("profileMetadata", 0xBF25) or b"",
            answer.require("smdpSigned2", 0x30),
            answer.signature("smdpSignature2"),
            answer.require("smdpCertificate", 0x30),
            b"" if hash_cc is None else tlv.encode(0x04, hash_cc),
        ),
    )


def _bpp(answer: JsonAnswer) -> bytes:
    return tlv.encode(0xBF3A, tlv.encode(0xA0, _transaction_of(answer), answer.require("boundProfilePackage", 0xBF36)))


def _cancelled(answer: JsonAnswer) -> bytes:
    return tlv.encode(0xBF41, tlv.encode(0xA0))


def _transaction_of(answer: JsonAnswer) -> bytes:
    transaction_id = answer.transaction_id()
    return b"" if transaction_id is None else tlv.encode(0x80, transaction_id)


_ANSWERS: Final[Mapping[str, Callable[[JsonAnswer], bytes]]] = {
    GET_EIM_PACKAGE: _package,
    PROVIDE_RESULT: _acknowledgements,
    HANDLE_NOTIFICATION: _nothing,
    INITIATE_AUTHENTICATION: _opening,
    AUTHENTICATE_CLIENT: _client,
    GET_BPP: _bpp,
    CANCEL_SESSION: _cancelled,
}

# Message and, in it, the tag of the error number; HandleNotification has none.
_REFUSALS: Final = {
    GET_EIM_PACKAGE: (0xBF4F, 0x02),
    PROVIDE_RESULT: (0xBF50, 0x02),
    INITIATE_AUTHENTICATION: (0xBF39, 0x81),
    AUTHENTICATE_CLIENT: (0xBF3B, 0x82),
    GET_BPP: (0xBF3A, 0x81),
    CANCEL_SESSION: (0xBF41, 0x81),
}


def _refusal(function: str, number: int) -> bytes:
    if function not in _REFUSALS:
        return b""
    message, tag = _REFUSALS[function]
    return tlv.encode(message, tlv.encode_integer(tag, number))


def error_in(function: str, body: bytes) -> int | None:
    """The error number of an answer in ASN.1 that is an error by the letter and nothing else; None for any other."""
    message, tag = _REFUSALS.get(function, (0, 0))
    try:
        answer = tlv.parse(body)
        children = answer.children()
        alone = answer.tag == message and len(children) == 1 and children[0].tag == tag
        return children[0].integer() if alone else None
    except CodecError:
        return None


BINDINGS: Final[Mapping[str, Binding]] = {"asn1": Asn1Binding(), "json": JsonBinding()}
