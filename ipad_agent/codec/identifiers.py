"""Identifiers with their digits, packings and check digits: EID, ICCID, IMEI, PLMN.

Check digits are properties and never a reason to refuse: test cards and prototypes carry wrong ones. What is not a
digit raises ``CodecError``.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from ipad_agent.errors import CodecError

_SEPARATORS = str.maketrans("", "", " -")
_HINT = "Check the identifier; it is printed on the card or the device label."


def _digits(text: str, lengths: tuple[int, ...], what: str) -> str:
    cleaned = text.strip().translate(_SEPARATORS)
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) in lengths):
        allowed = " or ".join(str(length) for length in lengths)
        raise CodecError(f"{what} needs {allowed} digits", hint=_HINT)
    return cleaned


def _swapped(data: bytes) -> str:
    """Bytes as hex with the nibbles of each byte exchanged (TBCD reading order)."""
    text = data.hex()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2))


def _to_tbcd(digits: str, size_bytes: int) -> bytes:
    padded = digits.ljust(size_bytes * 2, "f")
    return bytes.fromhex("".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2)))


def _luhn_digit(digits: str) -> int:
    """The check digit that belongs behind ``digits`` (ISO/IEC 7812-1)."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character)
        if position % 2 == 0:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return -total % 10


@dataclass(frozen=True, slots=True, order=True)
class Eid:
    """The eUICC's identity: 32 digits, on the wire 16 bytes in reading order (SGP.29)."""

    digits: str

    def __post_init__(self) -> None:
        _digits(self.digits, (32,), "an EID")

    @classmethod
    def parse(cls, text: str) -> Eid:
        """From text; blanks and hyphens between the digits are ignored."""
        return cls(_digits(text, (32,), "an EID"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Eid:
        """From the 16 bytes of tag ``5A``."""
        if len(data) != 16:
            raise CodecError(f"an EID of {len(data)} bytes instead of 16")
        return cls(_digits(data.hex(), (32,), "an EID"))

    @property
    def bytes(self) -> builtins.bytes:
        """The 16 bytes of the wire."""
        return bytes.fromhex(self.digits)

    @property
    def check_digits_ok(self) -> bool:
        """Whether the number is 1 modulo 97, as ISO/IEC 7064 MOD 97-10 wants."""
        return int(self.digits) % 97 == 1

    @property
    def short(self) -> str:
        """For logs: ``8904…7857``."""
        return f"{self.digits[:4]}…{self.digits[-4:]}"

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True, order=True)
class Iccid:
    """A profile's identity: 18 to 20 digits, on the wire 10 bytes TBCD padded with F (as in EF.ICCID)."""

    digits: str

    def __post_init__(self) -> None:
        _digits(self.digits, (18, 19, 20), "an ICCID")

    @classmethod
    def parse(cls, text: str) -> Iccid:
        """From text; blanks, hyphens and the padding F that modems print are ignored."""
        return cls(_digits(text.strip().rstrip("fF"), (18, 19, 20), "an ICCID"))

    @classmethod
    def from_tbcd(cls, data: bytes) -> Iccid:
        """From the 10 bytes of tag ``5A`` or EF.ICCID (9 bytes are taken too when the padding byte is missing)."""
        if len(data) not in (9, 10):
            raise CodecError(f"an ICCID of {len(data)} bytes instead of 10")
        return cls(_digits(_swapped(data).rstrip("f"), (18, 19, 20), "an ICCID"))

    @property
    def tbcd(self) -> bytes:
        """The 10 bytes of the wire, padded with F."""
        return _to_tbcd(self.digits, 10)

    @property
    def luhn_ok(self) -> bool:
        """Whether the last digit is the Luhn check digit of the others."""
        return _luhn_digit(self.digits[:-1]) == int(self.digits[-1])

    @property
    def short(self) -> str:
        """For logs: ``8949…0123``."""
        return f"{self.digits[:4]}…{self.digits[-4:]}"

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True, order=True)
class Imei:
    """The device's identity: 15 digits, the last being the check digit (3GPP TS 23.003)."""

    digits: str

    def __post_init__(self) -> None:
        _digits(self.digits, (15,), "an IMEI")

    @classmethod
    def parse(cls, text: str) -> Imei:
        """From 15 digits, from 14 (the check digit is added) or from the 16 of an IMEISV (its version is dropped)."""
        digits = _digits(text, (14, 15, 16), "an IMEI")
        return cls(digits if len(digits) == 15 else digits[:14] + str(_luhn_digit(digits[:14])))

    @property
    def tbcd(self) -> bytes:
        """The 8 bytes of deviceInfo: 14 digits with exchanged nibbles; the last byte holds the check digit in the high
        nibble and F in the low one, unlike ordinary TBCD (SGP.22 v2.5 §4.2)."""
        return _to_tbcd(self.digits[:14], 7) + bytes.fromhex(self.digits[14] + "f")

    @property
    def tac(self) -> bytes:
        """The type allocation code, the first 4 bytes of ``tbcd`` (35290611 is ``53 92 60 11``)."""
        return self.tbcd[:4]

    @property
    def check_digit_ok(self) -> bool:
        """Whether the 15th digit is the Luhn digit of the 14 before it."""
        return _luhn_digit(self.digits[:-1]) == int(self.digits[-1])

    @property
    def short(self) -> str:
        """For logs: the type and nothing of the serial number."""
        return f"{self.digits[:8]}…"

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True, order=True)
class Plmn:
    """A network: MCC of 3 digits and MNC of 2 or 3 (3GPP TS 24.008 §10.5.1.3; 262/01 is ``62 F2 10``)."""

    mcc: str
    mnc: str

    def __post_init__(self) -> None:
        _digits(self.mcc, (3,), "an MCC")
        _digits(self.mnc, (2, 3), "an MNC")

    @classmethod
    def parse(cls, text: str) -> Plmn:
        """From ``26201``, ``262-01`` or ``310410``."""
        digits = _digits(text, (5, 6), "a PLMN")
        return cls(digits[:3], digits[3:])

    @classmethod
    def from_bytes(cls, data: bytes) -> Plmn:
        """From the 3 bytes of the wire."""
        if len(data) != 3:
            raise CodecError(f"a PLMN of {len(data)} bytes instead of 3")
        nibbles = _swapped(data)  # MCC1 MCC2 | MCC3 MNC3 | MNC1 MNC2
        third = "" if nibbles[3] == "f" else nibbles[3]
        return cls(nibbles[:3], nibbles[4:] + third)

    @property
    def bytes(self) -> builtins.bytes:
        """The 3 bytes of the wire."""
        third = self.mnc[2] if len(self.mnc) == 3 else "f"
        return _to_tbcd(self.mcc + third + self.mnc[:2], 3)

    def __str__(self) -> str:
        return f"{self.mcc}-{self.mnc}"


def short_iccid(digits: str | None) -> str:
    """An ICCID's digits for the log, where it is not known to be one: ``8949…0027``, or "no profile"."""
    return "no profile" if digits is None else f"{digits[:4]}…{digits[-4:]}"
