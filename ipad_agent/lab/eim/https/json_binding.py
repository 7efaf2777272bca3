"""The JSON binding of ESipa, as a translation: JSON to the ASN.1 message and its answer back (SGP.32 v1.2 §6.4).

Every ASN.1 object is base64 of its DER with the tag; euiccChallenge and rPlmn are base64 of the bare bytes, EIDs are
digits, transaction IDs upper-case hex. Names and forms that nobody has seen on the wire are read both ways.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim import esipa_messages
from ipad_agent.lab.eim.relay.relay_status import name_for, status_for

Json = dict[str, Any]
Body = Mapping[str, Any]

SUCCESS, FAILED = "Executed-Success", "Failed"
MISSING, INVALID = "1.6/2.2", "1.6/2.1"

FUNCTIONS = {
    "initiateAuthentication": esipa_messages.INITIATE_AUTHENTICATION,
    "authenticateClient": esipa_messages.AUTHENTICATE_CLIENT,
    "getBoundProfilePackage": esipa_messages.GET_BOUND_PROFILE_PACKAGE,
    "cancelSession": esipa_messages.CANCEL_SESSION,
    "getEimPackage": esipa_messages.GET_EIM_PACKAGE,
    "provideEimPackageResult": esipa_messages.PROVIDE_RESULT,
    "handleNotification": esipa_messages.HANDLE_NOTIFICATION,
}
"""Last part of the path, and the message it stands for."""

_PACKAGES = {
    0xBF51: "euiccPackageRequest",
    0xBF52: "ipaEuiccDataRequest",
    0xBF53: "eimAcknowledgements",
    0xBF54: "profileDownloadTriggerRequest",
}


class JsonRefusedError(Exception):
    """A request that cannot be translated; ``code`` is subject and reason for the answer's header."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def request_body(function: str, body: object) -> bytes:
    """The ASN.1 message that a JSON request stands for; ``JsonRefusedError`` when it stands for none."""
    if not isinstance(body, Mapping):
        raise JsonRefusedError(INVALID, "the body is not a JSON object")
    return der.tlv(FUNCTIONS[function], *_REQUESTS[function](body))


def answer_body(function: str, answer: bytes) -> Json:
    """The JSON for an ASN.1 answer; ``DerError`` when that is none (an eIM may be told to misbehave)."""
    if not answer:
        return succeeded({})
    tag = FUNCTIONS[function]
    node = der.parse(answer, ber=True)
    error = _error(tag, node)
    if error is not None:
        failure = failed(status_for(tag, error), name_for(tag, error))
        # A field for clients that look for the ASN.1 names, beside the status for those that go by tables.
        return failure | {"eimPackageError": error} if tag == esipa_messages.GET_EIM_PACKAGE else failure
    return succeeded(_ANSWERS[tag](node))


def answer_bytes(function: str, answer: bytes) -> bytes:
    """The body that carries ``answer``; one that is meant to be garbage stays garbage."""
    if function == "handleNotification":
        return b""
    try:
        return text_bytes(answer_body(function, answer))
    except DerError:
        return answer


def text_bytes(fields: Body) -> bytes:
    """JSON as it is sent."""
    return json.dumps(fields).encode()


def succeeded(fields: Body) -> Json:
    """``fields`` behind a header that says success."""
    return {"header": {"functionExecutionStatus": {"status": SUCCESS}}, **fields}


def failed(code: str, message: str = "") -> Json:
    """A header that says ``subject/reason`` (§6.1.2: HTTP says 200 all the same)."""
    subject, _, reason = code.partition("/")
    data = {"subjectCode": subject, "reasonCode": reason, **({"message": message} if message else {})}
    return {"header": {"functionExecutionStatus": {"status": FAILED, "statusCodeData": data}}}


# Requests


def _initiate(body: Body) -> list[bytes]:
    challenge = _octets(body, "euiccChallenge")
    if challenge is None:
        raise JsonRefusedError(MISSING, "euiccChallenge is missing")
    return [
        der.octets(challenge, 0x81),
        _text(body, "smdpAddress", 0x83),
        _tlv(body, 0xBF20, "euiccInfo1", optional=True),
        _hex(body, "eimTransactionId", 0x82, optional=True),
    ]


def _authenticate(body: Body) -> list[bytes]:
    return [_hex(body, "transactionId", 0x80), _tlv(body, 0xBF38, "authenticateServerResponse")]


def _get_bound_package(body: Body) -> list[bytes]:
    return [_hex(body, "transactionId", 0x80), _tlv(body, 0xBF21, "prepareDownloadResponse")]


def _cancel(body: Body) -> list[bytes]:
    response = der.parse(_tlv(body, 0xBF41, "cancelSessionResponse"), ber=True)
    return [_hex(body, "transactionId", 0x80), der.tlv(0xA1, response.value)]


def _get_package(body: Body) -> list[bytes]:
    cause = body.get("stateChangeCause")
    if cause is not None and (not isinstance(cause, int) or isinstance(cause, bool) or not 0 <= cause <= 255):
        raise JsonRefusedError(INVALID, "stateChangeCause is not a number from 0 to 255")
    rplmn = _octets(body, "rPlmn", "rPLMN")
    return [
        _eid(body),
        der.null(0x80) if body.get("notifyStateChange") else b"",
        b"" if cause is None else der.integer(cause, 0x81),
        b"" if rplmn is None else der.octets(rplmn, 0x82),
    ]


def _provide(body: Body) -> list[bytes]:
    return [_eid(body), _tlv(body, None, "eimPackageResult")]


def _notify(body: Body) -> list[bytes]:
    if body.get("provideEimPackageResult") is not None:
        return [_tlv(body, esipa_messages.PROVIDE_RESULT, "provideEimPackageResult")]
    return [der.tlv(0xA0, _tlv(body, None, "pendingNotification"))]


_REQUESTS: dict[str, Callable[[Body], list[bytes]]] = {
    "initiateAuthentication": _initiate,
    "authenticateClient": _authenticate,
    "getBoundProfilePackage": _get_bound_package,
    "cancelSession": _cancel,
    "getEimPackage": _get_package,
    "provideEimPackageResult": _provide,
    "handleNotification": _notify,
}


def _octets(body: Body, *names: str) -> bytes | None:
    for name in names:
        value = body.get(name)
        if value is not None:
            try:
                return base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError, TypeError) as error:
                raise JsonRefusedError(INVALID, f"{name} is not base64: {error}") from error
    return None


def _tlv(body: Body, tag: int | None, name: str, *, optional: bool = False) -> bytes:
    data = _octets(body, name)
    if data is None:
        if optional:
            return b""
        raise JsonRefusedError(MISSING, f"{name} is missing")
    try:
        node = der.parse(data, ber=True)
    except DerError as error:
        raise JsonRefusedError(INVALID, f"{name} is no TLV: {error}") from error
    if tag is not None and node.tag != tag:
        raise JsonRefusedError(INVALID, f"{name} is {node.tag:X}, not {tag:X}")
    return data


def _text(body: Body, name: str, tag: int) -> bytes:
    value = body.get(name)
    if value is None:
        return b""
    if not isinstance(value, str):
        raise JsonRefusedError(INVALID, f"{name} is not a text")
    try:
        return der.utf8(value, tag)
    except UnicodeEncodeError as error:
        raise JsonRefusedError(INVALID, f"{name} is not a text: {error}") from error


def _hex(body: Body, name: str, tag: int, *, optional: bool = False) -> bytes:
    value = body.get(name)
    if value is None:
        if optional:
            return b""
        raise JsonRefusedError(MISSING, f"{name} is missing")
    try:
        data = bytes.fromhex(value)
    except (ValueError, TypeError) as error:
        raise JsonRefusedError(INVALID, f"{name} is not hex") from error
    if not 1 <= len(data) <= 16:
        raise JsonRefusedError(INVALID, f"{name} is not 2 to 32 digits")
    return der.octets(data, tag)


def _eid(body: Body) -> bytes:
    """Without an EID the message goes on: the eIM has errors for that."""
    value = body.get("eidValue")
    if value is None:
        return b""
    try:
        return der.octets(bytes.fromhex(value), 0x5A)
    except (ValueError, TypeError):
        return der.octets(b"", 0x5A)


# Answers


def _error(tag: int, node: Node) -> int | None:
    error_tag = esipa_messages.ERROR_TAG.get(tag, 0x02)
    found = node.find(error_tag)
    return None if found is None else found.integer()


def _initiated(node: Node) -> Json:
    ok = node.get(0xA0)
    signed, certificate = _sequences(ok)
    matching_id, context = ok.find(0x0C), ok.find(0xA2)
    return _transaction(ok) | _present(
        {
            "serverSigned1": _b64(signed.raw),
            "serverSignature1": _b64(ok.get(0x5F37).raw),
            "euiccCiPKIdentifierToBeUsed": _b64(ok.get(0x04).raw),
            "serverCertificate": _b64(certificate.raw),
            "matchingId": None if matching_id is None else matching_id.text(),
            "ctxParams1": None if context is None else _b64(context.value),
        }
    )


def _authenticated(node: Node) -> Json:
    found = node.find(0xA1)
    if found is not None:
        trigger = found.find(0xBF54)
        return _transaction(found) | _present(
            {"profileDownloadTrigger": None if trigger is None else _b64(trigger.raw)}
        )
    ok = node.get(0xA0)
    signed, certificate = _sequences(ok)
    metadata, code = ok.find(0xBF25), ok.find(0x04)
    return _transaction(ok) | _present(
        {
            "profileMetadata": None if metadata is None else _b64(metadata.raw),
            "smdpSigned2": _b64(signed.raw),
            "smdpSignature2": _b64(ok.get(0x5F37).raw),
            "smdpCertificate": _b64(certificate.raw),
            "hashCc": None if code is None else _b64(code.raw),
        }
    )


def _bound_package(node: Node) -> Json:
    ok = node.get(0xA0)
    return _transaction(ok) | {"boundProfilePackage": _b64(ok.get(0xBF36).raw)}


def _package(node: Node) -> Json:
    return {_PACKAGES.get(one.tag, f"{one.tag:X}"): _b64(one.raw) for one in node.children}


def _acknowledged(node: Node) -> Json:
    found = node.find(0xBF53)
    return {} if found is None else {"eimAcknowledgements": _b64(found.raw)}


def _nothing(node: Node) -> Json:
    return {}


_ANSWERS: dict[int, Callable[[Node], Json]] = {
    esipa_messages.INITIATE_AUTHENTICATION: _initiated,
    esipa_messages.AUTHENTICATE_CLIENT: _authenticated,
    esipa_messages.GET_BOUND_PROFILE_PACKAGE: _bound_package,
    esipa_messages.CANCEL_SESSION: _nothing,
    esipa_messages.GET_EIM_PACKAGE: _package,
    esipa_messages.PROVIDE_RESULT: _acknowledged,
    esipa_messages.HANDLE_NOTIFICATION: _nothing,
}


def _sequences(ok: Node) -> tuple[Node, Node]:
    """What is signed, and the certificate behind it."""
    found = [one for one in ok.children if one.tag == 0x30]
    if len(found) != 2:
        raise DerError(f"{len(found)} SEQUENCEs where two should be")
    return found[0], found[1]


def _transaction(ok: Node) -> Json:
    found = ok.find(0x80)
    return {} if found is None else {"transactionId": found.value.hex().upper()}


def _present(fields: Body) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
