"""Bodies of ESipa and ES9+ messages, and the data of ES10 functions, without numbers and codes, as long as before."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.describe_message import NamedValue, named_values
from ipad_agent.errors import CodecError

from .identifier_pseudonyms import Pseudonyms, swapped

SECRET_FIELDS: Final = frozenset({"activationCode", "matchingId", "hashCc", "confirmationCode", "eventId", "eventID"})
"""What orders a download, in the words of the modules and of JSON. An event's number at an SM-DS is a matching id."""
_SECRET_KEYS: Final = frozenset(name.lower() for name in SECRET_FIELDS)
_NUMBER_KEYS: Final = frozenset({"eidvalue", "eid", "iccid", "imei", "imsi", "msisdn"})
_ACTIVATION_CODE: Final = re.compile(rb"(?i)(?:LPA:)?1\$[\x21-\x23\x25-\x7e]{1,255}\$([\x21\x23\x25-\x7e]+)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9_-]{16,}={0,2}")
UNREADABLE: Final = b"(not readable, left out)"


class RedactedMessages:
    """Two passes over the same messages: ``find`` in all of them first, then ``redacted`` of each."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def find(self, data: bytes) -> None:
        """Take note of every number and code of a message."""
        document = json_document(data)
        if document is not None:
            self._find_in(document, "")
            return
        self.find_octets(data)

    def redacted(self, data: bytes) -> bytes:
        """The message as it may be shown. What is neither TLV, nor JSON, nor text is left out."""
        document = json_document(data)
        if document is not None:
            return json.dumps(self._redacted_value(document, ""), separators=(",", ":")).encode("ascii")
        if not data or _is_tlv(data) or _is_text(data):
            return self.redacted_octets(data)
        return UNREADABLE

    def find_octets(self, data: bytes) -> None:
        """The same for TLVs and other bytes."""
        for value in _values(data):
            content = data[value.start : value.end]
            if value.name in SECRET_FIELDS:
                self._pseudonyms.add_secret(content)
            elif value.name == "eidValue" and len(content) == 16:
                self._pseudonyms.add_octets(content)
            elif value.type_name == "Iccid" or value.name == "iccid":
                self._pseudonyms.add(swapped(content))
            elif value.name == "imei":
                self._pseudonyms.add(swapped(content[:-1]) + content[-1:].hex())
                self._pseudonyms.add(swapped(content))
        self.find_text(data)

    def find_text(self, data: bytes) -> None:
        """The same for what has no structure."""
        for found in _ACTIVATION_CODE.finditer(data):
            self._pseudonyms.add_secret(found[1])
            for part in found[1].split(b"$"):
                self._pseudonyms.add_secret(part)
        self._pseudonyms.find(data)

    def redacted_octets(self, data: bytes) -> bytes:
        """As long as before."""
        made = bytearray(data)
        for value in _values(data):
            if value.name in SECRET_FIELDS:
                content = data[value.start : value.end]
                fill = b"x" if _is_text(content) else b"\x00"
                if content[:4].upper() == b"LPA:" or content[:2] == b"1$":
                    continue  # the server's name in it may stay; the rest is found below
                made[value.start : value.end] = fill * len(content)
        return self.redacted_plain(bytes(made))

    def redacted_text(self, text: str) -> str:
        """Words of our own or a peer's."""
        return self.redacted_plain(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def redacted_plain(self, data: bytes) -> bytes:
        """What has no structure, as long as before."""
        made = bytearray(data)
        for found in _ACTIVATION_CODE.finditer(data):
            made[found.start(1) : found.end(1)] = b"x" * len(found[1])
        return self._pseudonyms.replace(bytes(made))

    def _find_in(self, value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                self._find_in(item, str(name).lower())
        elif isinstance(value, list):
            for item in value:
                self._find_in(item, key)
        elif isinstance(value, str):
            decoded = None if key in _NUMBER_KEYS and len(value) != 24 else _decoded(value)
            if key in _SECRET_KEYS:
                self._pseudonyms.add_secret(value.encode("utf-8"))
            if key in _NUMBER_KEYS and decoded is None:
                self._pseudonyms.add(value)
            if decoded is not None:
                if key in ("eidvalue", "eid") and len(decoded) == 16:
                    self._pseudonyms.add_octets(decoded)
                self.find_octets(decoded)
            self.find_text(value.encode("utf-8", "surrogatepass"))

    def _redacted_value(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {
                self._text(str(name)): self._redacted_value(item, str(name).lower()) for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._redacted_value(item, key) for item in value]
        if isinstance(value, str):
            return "x" * len(value) if key in _SECRET_KEYS else self._text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = json.dumps(value)
            text = self._text(shown)
            return value if text == shown else text
        return value

    def _text(self, text: str) -> str:
        decoded = _decoded(text)
        if decoded is not None:
            redacted = self.redacted_octets(decoded)
            if redacted != decoded:
                made = base64.b64encode(redacted).decode("ascii")
                made = made if text.endswith("=") else made.rstrip("=")
                return made.replace("+", "-").replace("/", "_") if "-" in text or "_" in text else made
        return self.redacted_text(text)


def _values(data: bytes) -> frozenset[NamedValue]:
    try:
        return named_values(data)
    except CodecError:
        return frozenset()


def json_document(data: bytes) -> dict[str, Any] | list[Any] | None:
    """An object or a list; None for everything else."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _is_tlv(data: bytes) -> bool:
    try:
        tlv.parse(data)
    except CodecError:
        return False
    return True


def _is_text(data: bytes) -> bool:
    return all(32 <= octet < 127 or octet in (9, 10, 13) for octet in data) and data[:1] not in (b"{", b"[")


def _decoded(text: str) -> bytes | None:
    """Of base64 what it stands for; None for what is none."""
    if _BASE64.fullmatch(text) is None or text.isdigit():
        return None
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
