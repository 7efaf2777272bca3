"""Texts and documents without what must not leave the device.

What is known to be an identifier is found in every form; what only looks like one is shortened too. Equal stays
equal: behind the digits that are left comes a hash with a salt that is made for one bundle and not kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from ipad_agent.printable import printable, printable_lines

from .identifier_forms import (
    LEAST_DIGITS,
    SEPARATORS,
    SHORT_SECRET_BYTES,
    Known,
    base64_forms,
    both_cases,
    hex_forms,
    packed,
)

REMOVED: Final = "[removed]"
_SECRET_NAMES: Final = re.compile(
    r"(?i)(matching_?id|activation|confirmation_?code|token|password|secret|psk$|psk_key$|(^|_)key$|(^|_)pin$)"
)
_ACTIVATION_CODE: Final = re.compile(r"(?i)(?:LPA:)?1\$[^$\s\"']{1,255}\$[^\s\"',;]*")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9A-Fa-f]{2}){8,}[0-9A-Fa-f]?(?![0-9A-Za-z])")
_SPACED_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :]){7,}[0-9A-Fa-f]{2}(?![0-9A-Za-z])")
# EID, ICCID, IMEI and IMSI with or without separators; a telephone number only with its plus.
_DIGITS: Final = re.compile(rf"(?<![0-9A-Za-z])[0-9](?:{SEPARATORS}[0-9]){{13,31}}[Ff]?(?![0-9A-Za-z])")
_TELEPHONE: Final = re.compile(r"\+[0-9](?:[ \-]?[0-9]){7,14}(?![0-9])")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?")


class Redactor:
    """For one bundle. ``salt`` is random; whoever has it can guess identifiers by trying."""

    def __init__(self, known: Known, *, salt: bytes) -> None:
        self._salt = salt
        self._patterns = [
            *((_secret_pattern(secret), REMOVED) for secret in sorted(known.secrets, key=len, reverse=True) if secret),
            *((_pattern(digits), self.short(digits)) for digits in sorted(known.identifiers, key=len, reverse=True)),
        ]

    def short(self, digits: str) -> str:
        """``8904…1235#1f2e3d``."""
        ends = 4 if len(digits) >= 15 else 2
        tag = hmac.new(self._salt, digits.encode("ascii"), hashlib.sha256).hexdigest()[:6]
        return f"{digits[:ends]}…{digits[-ends:]}#{tag}"

    def text(self, text: str) -> str:
        """A text as it may be shown. It is made printable first: what divides an identifier must not hide it."""
        text = printable_lines(text)
        for pattern, replacement in self._patterns:
            text = pattern.sub(replacement.replace("\\", r"\\"), text)
        text = _ACTIVATION_CODE.sub("[activation code removed]", text)
        text = _TELEPHONE.sub(lambda found: self.short(re.sub(r"\D", "", found[0])), text)
        text = _DIGITS.sub(self._looks_like_one, text)
        text = _SPACED_HEX.sub(lambda found: f"[{(len(found[0]) + 1) // 3} bytes]", text)
        return _HEX.sub(lambda found: f"[{len(found[0]) // 2} bytes]", text)

    def _looks_like_one(self, found: re.Match[str]) -> str:
        """A time is left; what stands behind it may be the beginning of an identifier."""
        time = _TIME.match(found[0])
        kept = time[0] if time else ""
        digits = re.sub(r"\D", "", found[0][len(kept) :])
        return kept + (self.short(digits) if len(digits) >= LEAST_DIGITS else found[0][len(kept) :])

    def plain(self, value: object) -> object:
        """Data as it may be shown: the same shape, without secrets by their names, without raw bytes."""
        if isinstance(value, Mapping):
            return {
                self.text(printable(str(name))): REMOVED
                if _SECRET_NAMES.search(str(name)) and item is not None
                else self.plain(item)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        if isinstance(value, bytes | bytearray):
            return f"[{len(value)} bytes]"
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            shown = self.text(str(value))
            return value if shown == str(value) else shown
        return self.text(printable(str(value)))


def _pattern(digits: str) -> re.Pattern[str]:
    """An identifier in every form that text can have. The forms are long, so they may stand within longer words."""
    forms = [SEPARATORS.join(digits) + "[Ff]?"]
    forms += [SEPARATORS.join(text) + "[Ff]?" for text in hex_forms(digits)]
    for data in (*(text.encode("ascii") for text in both_cases(digits)), *packed(digits)):
        forms += [f"(?-i:{re.escape(text)}[A-Za-z0-9+/_-]?)=*" for text in base64_forms(data)]
    return re.compile("(?i:" + "|".join(forms) + ")")


def _secret_pattern(secret: bytes) -> re.Pattern[str]:
    try:
        word = re.escape(secret.decode("utf-8"))
    except UnicodeDecodeError:
        word = re.escape(secret.hex())
    if len(secret) < SHORT_SECRET_BYTES:
        return re.compile(f"(?<![0-9A-Za-z]){word}(?![0-9A-Za-z])")
    encoded = (re.escape(text) + "[A-Za-z0-9+/_-]?=*" for text in base64_forms(secret))
    return re.compile("|".join([word, f"(?i:{secret.hex()})", *encoded]))
