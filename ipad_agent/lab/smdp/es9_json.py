"""JSON in and out: base64 of DER, upper-case hex, and the header with the function's execution status (SGP.22 §6.5)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ipad_agent.lab.crypto import der

from .errors import MalformedError
from .status_words import Status

Json = dict[str, Any]

SUCCESS = "Executed-Success"
WARNING = "Executed-WithWarning"
FAILED = "Failed"
EXPIRED = "Expired"


def text(body: Mapping[str, Any], *names: str) -> str:
    """The text of the first of these fields that is there."""
    for name in names:
        if name in body:
            value = body[name]
            if not isinstance(value, str):
                raise MalformedError(f"{name} is not a text")
            return value
    raise MalformedError(f"{names[0]} is missing", missing=True)


def octets(body: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a base64 field."""
    try:
        return base64.b64decode(text(body, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"{name} is not base64: {error}") from error


def transaction_id(body: Mapping[str, Any]) -> bytes:
    """transactionId: 1 to 16 bytes in hex of either case."""
    try:
        value = bytes.fromhex(text(body, "transactionId"))
    except ValueError as error:
        raise MalformedError("transactionId is not hex") from error
    if not 1 <= len(value) <= 16:
        raise MalformedError("transactionId is not 1 to 16 bytes")
    return value


def node(body: Mapping[str, Any], name: str, tag: int, *, ber: bool = False) -> der.Node:
    """The TLV in a base64 field, which must have this tag; ``ber`` lives with lengths longer than need be."""
    try:
        found = der.parse(octets(body, name), ber=ber)
    except der.DerError as error:
        raise MalformedError(f"{name} is not DER: {error}") from error
    if found.tag != tag:
        raise MalformedError(f"{name} is {found.tag:X}, not {tag:X}")
    return found


def b64(data: bytes) -> str:
    """Base64 as one line."""
    return base64.b64encode(data).decode("ascii")


def answer(fields: Mapping[str, Any], word: str = SUCCESS) -> Json:
    """A whole answer of a function that was executed."""
    return {"header": {"functionExecutionStatus": {"status": word}}, **fields}


def failure(status: Status, detail: str = "", word: str = FAILED) -> Json:
    """A whole answer of a function that was not."""
    data = {"subjectCode": status.subject, "reasonCode": status.reason, "message": detail or status.message}
    return {"header": {"functionExecutionStatus": {"status": word, "statusCodeData": data}}}
