"""JSON answers of ESipa and ES9+: the envelope and its fields (SGP.22 v2.5 §6.5, SGP.32 v1.2 §6.4).

Every ASN.1 object in JSON is base64 of its DER bytes, so what was signed comes out as it was signed. Strict in what is
sent, tolerant in what is read; each liberty has an id.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import retag
from ipad_agent.codec.es10.es10_download import element
from ipad_agent.codec.tolerances import (
    BARE_OCTETS,
    BASE64_PADDING,
    BASE64_SPACE,
    BASE64_URL,
    FIELD_CASE,
    HEX_LOWER_CASE,
    NO_STATUS_HEADER,
    OTHER_FIELD_NAME,
    STATUS_FORM,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.printable import summary
from ipad_agent.records import dataclass, field

MAX_TEXT: Final = 4096
_SHOWN: Final = 200
_STANDARD_BASE64: Final = str.maketrans("-_", "+/")
_CI_PKID_NAMES: Final = ("euiccCiPKIdentifierToBeUsed", "euiccCiPKIdToBeUsed")


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """How a function ended. ``subject`` and ``reason`` are like ``8.2.6`` and ``3.8``, empty when not told.

    ``message`` and ``identifier`` are the server's words, one printable line each.
    """

    executed: bool
    subject: str = ""
    reason: str = ""
    message: str = ""
    identifier: str = ""

    @property
    def sentence(self) -> str:
        """``8.2.6/3.8 (Refused)``, for messages."""
        code = f"{self.subject or '?'}/{self.reason or '?'}" if self.subject or self.reason else "no status code"
        return f"{code} ({self.message})" if self.message else code


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A JSON answer: its status, None when it carries none, and its fields, read by kind.

    The readers raise ``CodecError`` for a field of the wrong kind and return None for one that is absent or null.
    """

    status: FunctionStatus | None
    fields: Mapping[str, Any] = field(repr=False)
    notes: Notes = field(repr=False, compare=False)

    @classmethod
    def parse(cls, body: bytes) -> JsonAnswer:
        """From ``{"header": {"functionExecutionStatus": ...}, ...}``. Raises ``CodecError``."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else "none"
            raise CodecError(f"the answer should be JSON and is {what}") from None
        if not isinstance(document, dict):
            raise CodecError("the answer should be a JSON object")
        notes = Notes()
        return cls(_status(document, notes), document, notes)

    @property
    def tolerances(self) -> tuple[str, ...]:
        """What was needed so far to read it."""
        return self.notes.ids

    def note_missing_status(self) -> None:
        """Note when there is no status; a reader goes on only if the fields of a success are there."""
        if self.status is None:
            self.notes.take(NO_STATUS_HEADER)

    def present(self, *names: str) -> bool:
        """Whether one of these fields is there and not null."""
        return any(self.value(name) is not None for name in names)

    @property
    def bare(self) -> bool:
        """Whether it holds a status and nothing else."""
        return all(value is None or name.lower() == "header" for name, value in self.fields.items())

    def value(self, name: str) -> Any:
        """A field as it is, None when it is absent."""
        return member(self.fields, name, self.notes)

    def text(self, name: str) -> str | None:
        """A string."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > MAX_TEXT or not _encodable(value):
            raise CodecError(f"{name} is no text of up to {MAX_TEXT} characters")
        return value

    def integer(self, name: str) -> int | None:
        """A number, also when it is written as a string."""
        value = self.value(name)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value):
            self.notes.take(STATUS_FORM)
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1 << 63:
            raise CodecError(f"{name} is no integer")
        return value

    def octets(self, name: str) -> bytes | None:
        """Base64."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise CodecError(f"{name} is no base64 text")
        pieces = value.split()
        # A profile is long: a text without blanks is not copied.
        compact = pieces[0] if len(pieces) == 1 else "".join(pieces)
        if len(compact) != len(value):
            self.notes.take(BASE64_SPACE)
        missing = -len(compact) % 4
        if missing in (1, 2) and not compact.endswith("="):
            self.notes.take(BASE64_PADDING)
            compact += "=" * missing
        try:
            return binascii.a2b_base64(compact, strict_mode=True)  # takes text as it is, where base64 copies it
        except (binascii.Error, ValueError):
            in_urls = compact.isascii() and not {"+", "/"} & set(compact)
        try:
            if in_urls:
                octets = binascii.a2b_base64(compact.translate(_STANDARD_BASE64), strict_mode=True)
                self.notes.take(BASE64_URL)
                return octets
        except (binascii.Error, ValueError):
            pass
        raise CodecError(f"{name} is no base64")

    def object(self, name: str, tag: int) -> bytes | None:
        """The DER bytes of one object with this tag, as they were sent."""
        raw = self.octets(name)
        return None if raw is None else element(raw, tag, name)

    def require(self, name: str, tag: int) -> bytes:
        """As ``object``, for a field that must be there."""
        raw = self.object(name, tag)
        if raw is None:
            raise CodecError(f"{name} is missing in the answer")
        return raw

    def signature(self, name: str) -> bytes:
        """``5F37 40 ...``; 64 bytes without tag and length get them back."""
        raw = self.octets(name)
        if raw is None:
            raise CodecError(f"{name} is missing in the answer")
        if len(raw) == 64 and raw[:2] != b"\x5f\x37":
            self.notes.take(BARE_OCTETS)
            return tlv.encode(0x5F37, raw)
        return element(raw, 0x5F37, name)

    def key_identifier(self) -> bytes:
        """The bare identifier of the CI key to use, from ``04 14 ...`` or from its 20 bytes alone; may be empty."""
        name = next((name for name in _CI_PKID_NAMES if self.present(name)), _CI_PKID_NAMES[0])
        raw = self.octets(name)
        return b"" if raw is None else self._untagged(raw, 20)

    def note_other_name(self, expected: str) -> None:
        """Note when the key identifier has the name of the other interface."""
        if not self.present(expected) and self.present(*_CI_PKID_NAMES):
            self.notes.take(OTHER_FIELD_NAME)

    def hash(self, name: str) -> bytes | None:
        """The bare 32 bytes of ``04 20 ...``, or of the same without tag and length."""
        raw = self.octets(name)
        return None if raw is None else self._untagged(raw, 32)

    def context(self, name: str) -> bytes | None:
        """ctxParams1 as the element ``A0``; one under another wrapper is taken out of it."""
        raw = self.octets(name)
        if raw is None:
            return None
        outer = tlv.parse(raw)
        if outer.tag == 0xA2:
            self.notes.take(BARE_OCTETS)
            return element(outer.value, 0xA0, name)
        if outer.tag == 0x30:
            self.notes.take(BARE_OCTETS)
            return retag(raw, 0xA0)
        return element(raw, 0xA0, name)

    def transaction_id(self) -> bytes | None:
        """Up to 16 bytes, from hexadecimal digits."""
        text = self.text("transactionId")
        if text is None:
            return None
        text = text.strip()
        if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){1,16}", text):
            raise CodecError("transactionId is no 2 to 32 hexadecimal digits")
        if text != text.upper():
            self.notes.take(HEX_LOWER_CASE)
        return bytes.fromhex(text)

    def _untagged(self, raw: bytes, usual_bytes: int) -> bytes:
        if raw[:1] == b"\x04" and len(raw) != usual_bytes:
            return tlv.parse(raw).value
        self.notes.take(BARE_OCTETS)
        return raw


def member(fields: Mapping[str, Any], name: str, notes: Notes) -> Any:
    """The value of this name, None when it is absent; in other capital letters where only one member has it so."""
    if name in fields:
        return fields[name]
    found = [value for known, value in fields.items() if known.lower() == name.lower()]
    if len(found) != 1 or found[0] is None:
        return None
    notes.take(FIELD_CASE)
    return found[0]


def dumps(fields: Mapping[str, object]) -> bytes:
    """A JSON object in its shortest form; fields that are None are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, separators=(",", ":")).encode("ascii")


def base64_of(raw: bytes | None) -> str | None:
    """As JSON fields hold bytes; None stays None."""
    return None if raw is None else base64.b64encode(raw).decode("ascii")


def hex_of(raw: bytes | None) -> str | None:
    """As JSON fields hold transaction identifiers; None stays None."""
    return None if raw is None else raw.hex().upper()


# -- status ------------------------------------------------------------------------------------------------------------

_EXECUTED: Final = frozenset({"executedsuccess", "executedwithwarning", "success", "executed"})
_FAILED: Final = frozenset({"failed", "expired", "failure", "error"})


def _status(document: Mapping[str, Any], notes: Notes) -> FunctionStatus | None:
    header = member(document, "header", notes)
    place = header if isinstance(header, dict) else document
    found = member(place, "functionExecutionStatus", notes)
    if found is None:
        return None
    if place is document:
        notes.take(STATUS_FORM)
    if isinstance(found, str):
        notes.take(STATUS_FORM)
        found = {"status": found, "statusCodeData": member(place, "statusCodeData", notes)}
    word = member(found, "status", notes) if isinstance(found, dict) else None
    if not isinstance(word, str):
        raise CodecError("functionExecutionStatus has no status")
    if word not in ("Executed-Success", "Executed-WithWarning", "Failed", "Expired"):
        notes.take(STATUS_FORM)
    plain = re.sub(r"[^a-z]", "", word.lower())
    if plain not in _EXECUTED | _FAILED:
        raise CodecError(f"the execution status {_line(word)!r} is not known")
    data = member(found, "statusCodeData", notes)
    if data is None:
        data = member(place, "statusCodeData", notes) or member(document, "statusCodeData", notes)
        if data is not None:
            notes.take(STATUS_FORM)
    if isinstance(data, list) and data:
        notes.take(STATUS_FORM)
        data = data[0]
    if not isinstance(data, dict):
        data = {}
    return FunctionStatus(
        plain in _EXECUTED,
        _code(data, ("subjectCode", "subject"), notes),
        _code(data, ("reasonCode", "reason"), notes),
        _line(member(data, "message", notes)),
        _line(member(data, "subjectIdentifier", notes)),
    )


def _code(data: Mapping[str, Any], names: tuple[str, ...], notes: Notes) -> str:
    """``8.2.6`` from ``"8.2.6"``, ``" 8.2.6. "`` or, for codes of two numbers, ``8.2``."""
    name = next((name for name in names if member(data, name, notes) is not None), None)
    if name is None:
        return ""
    value = member(data, name, notes)
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,3}){0,7})\.?\s*", text[:64])
    if found is None or value != found[1] or name != names[0]:
        notes.take(STATUS_FORM)
    return found[1] if found else ""


def _encodable(text: str) -> bool:
    """JSON can spell halves of surrogate pairs, which are no characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _line(value: object) -> str:
    """Words from outside as one printable line, shortened; empty for anything that is no text."""
    if not isinstance(value, str):
        return ""
    return summary(value, _SHOWN)
