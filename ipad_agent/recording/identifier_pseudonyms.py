"""Numbers that name card, profile, modem or subscriber, and others of the same length in their place.

The same number gets the same pseudonym within one export, in whatever form it is written, and another one in every
other export: the salt is made for one and not kept. Check digits that were right stay right, so that who reads a
pseudonym finds no fault in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

LEAST_DIGITS: Final = 8
"""The shortest telephone number; what is shorter is no identifier."""
_NUMBER: Final = re.compile(r"[0-9A-F]{8,32}")
_ICCID_TLV: Final = re.compile(rb"\x5a\x0a(.{10})", re.DOTALL)
_EID_TLV: Final = re.compile(rb"\x5a\x10(.{16})", re.DOTALL)
_IMEI_TLV: Final = re.compile(rb"[\x14\x94]\x08([\x0a\x1a\x2a\x3a\x4a\x5a\x6a\x7a\x8a\x9a].{7})", re.DOTALL)
_DIGITS: Final = re.compile(rb"(?<![0-9])(?:[0-9]{32}|[0-9]{18,20}|[0-9]{15,16})(?![0-9])")
_TELEPHONE: Final = re.compile(rb"(?<![0-9A-Za-z+/])\+([0-9]{8,15})(?![0-9])")
"""Not within base64, which knows the plus too."""


def swapped(data: bytes) -> str:
    """Bytes as upper-case hex with the nibbles of each byte exchanged."""
    text = data.hex().upper()
    return "".join(text[at + 1] + text[at] for at in range(0, len(text), 2))


def _packed(digits: str) -> bytes:
    return bytes.fromhex(digits if len(digits) % 2 == 0 else digits + "F")


def _swap(digits: str) -> bytes:
    return bytes.fromhex(swapped(_packed(digits)))


def forms(number: str) -> list[bytes]:
    """Every form in which a number is written, in an order that depends on its length alone: as text, as UTF-16, packed
    with nibbles in order or exchanged (with the odd ends of IMSI and IMEI), and each of these as hex text."""
    plain, exchanged = _packed(number), _swap(number)
    # deviceInfo does not exchange the last byte of an IMEI (SGP.22 §4.2); EF_IMSI begins with a nibble for the parity
    # (TS 31.102 §4.2.2), a mobile identity with its kind (TS 24.008 §10.5.1.4).
    octets = [plain, exchanged, exchanged[:-1] + plain[-1:]]
    octets += [_swap(first + number) for first in (("9", "A") if len(number) % 2 else ("1", "2"))]
    texts = [number.encode("ascii"), number.lower().encode("ascii"), number.encode("utf-16-be")]
    # The filling of an odd number is no part of it, and the neighbour may be another digit.
    hexed = [text.hex().upper().encode("ascii") for text in (*octets, texts[0], texts[2])]
    return [*texts, *octets, *hexed, *(text.lower() for text in hexed)]


class Pseudonyms:
    """The numbers found so far, and the secrets; ``replace`` puts others in their place, each as long as before."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._numbers: dict[str, str] = {}
        self._secrets: set[bytes] = set()
        self._table: list[tuple[bytes, bytes]] | None = None

    @property
    def numbers(self) -> frozenset[str]:
        """What was found, as digits or upper-case hex."""
        return frozenset(self._numbers)

    @property
    def secrets(self) -> frozenset[bytes]:
        """The codes that were found."""
        return frozenset(self._secrets)

    def add(self, number: str) -> None:
        """An identifier as text; what fills it up at its end is no part of it. What identifies nobody is left."""
        text = number.strip().upper().rstrip("F")
        if len(text) in (19, 20) and text.startswith("98"):  # some modems show an ICCID as it is on the card
            text = swapped(_packed(text)).rstrip("F")
        if _NUMBER.fullmatch(text) and len(set(text)) > 1 and text not in self._numbers:
            self._numbers[text] = self.pseudonym(text)
            self._table = None

    def add_secret(self, secret: bytes) -> None:
        """A code that is removed wherever it stands; what is very short only where its field says what it is."""
        if len(secret) >= 4 and len(set(secret)) > 1:
            self._secrets.add(secret)
            self._table = None

    def find(self, data: bytes) -> None:
        """Take note of the numbers that stand in bytes by their TLV, or as long runs of digits in ASCII."""
        for found in _ICCID_TLV.finditer(data):
            if len(swapped(found[1]).rstrip("F")) >= 18:
                self.add(swapped(found[1]))
        for found in _EID_TLV.finditer(data):
            self.add_octets(found[1])
        for found in _IMEI_TLV.finditer(data):
            number = swapped(found[1])[1:]
            if number.isdigit():
                self.add(number)
        for found in _DIGITS.finditer(data):
            self.add(found[0].decode("ascii"))
        for found in _TELEPHONE.finditer(data):
            self.add(found[1].decode("ascii"))

    def add_octets(self, eid: bytes) -> None:
        """An EID, whose octets may be anything."""
        text = eid.hex().upper()
        if len(set(text)) > 1 and text not in self._numbers:
            self._numbers[text] = self.pseudonym(text)
            self._table = None

    def pseudonym(self, number: str) -> str:
        """Digits of the same length; the first two of EID and ICCID, which are the same for all, stay."""
        seed = hmac.new(self._salt, number.encode("ascii"), hashlib.sha512).digest()
        digits = str(int.from_bytes(seed, "big"))[-len(number) :].rjust(len(number), "7")
        if not number.isdigit():
            return digits
        if number.startswith("89") and len(number) >= 18:
            digits = "89" + digits[2:]
        if len(number) == 32 and int(number) % 97 == 1:
            body = digits[:30] + "00"
            return digits[:30] + f"{98 - int(body) % 97:02d}"
        if len(number) in (15, 19, 20) and _luhn(number[:-1]) == number[-1]:
            return digits[:-1] + _luhn(digits[:-1])
        return digits

    def replace(self, data: bytes) -> bytes:
        """The same with pseudonyms and without secrets, as long as before."""
        for old, new in self._replacements():
            if old in data:
                data = data.replace(old, new)
        return data

    def _replacements(self) -> list[tuple[bytes, bytes]]:
        if self._table is None:
            table: dict[bytes, bytes] = {}
            for secret in self._secrets:
                for text in (secret, secret.hex().encode(), secret.hex().upper().encode()):
                    table[text] = b"x" * len(text) if text == secret else b"0" * len(text)
            for number, other in self._numbers.items():
                for old, new in zip(forms(number), forms(other), strict=True):
                    if len(old) >= LEAST_DIGITS // 2:
                        table.setdefault(old, new)
            self._table = sorted(table.items(), key=lambda pair: len(pair[0]), reverse=True)
        return self._table


def _luhn(digits: str) -> str:
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return str(-total % 10)
