"""Identifiers with their digits, packings and check digits: EID, ICCID, IMEI, PLMN.

Check digits are properties and never a reason to refuse: test cards and prototypes carry wrong ones. EID and ICCID are
octets first: what a card holds there is its identity, also where it is no number. In IMEI and PLMN what is not a digit
raises ``CodecError``.
"""

from __future__ import annotations

import builtins
import re
from typing import Final

from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

_SEPARATORS = str.maketrans("", "", " -")
_HINT = "Check the identifier; it is printed on the card or the device label."
EID_BYTES: Final = 16
ICCID_BYTES: Final = 10
_ICCID_TEXT: Final = re.compile(r"[0-9A-E]{18,20}")
_RAW_TEXT: Final = re.compile(r"0[xX]((?:[0-9A-Fa-f]{2})*)")
_SHORT_ENOUGH: Final = 10
_EID_TEXT: Final = re.compile(r"[0-9A-Fa-f]{32}")
_NIBBLES_SWAPPED: Final = bytes((byte & 0x0F) << 4 | byte >> 4 for byte in range(256))


def _digits(text: str, lengths: tuple[int, ...], what: str) -> str:
    cleaned = text.strip().translate(_SEPARATORS)
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) in lengths):
        allowed = " or ".join(str(length) for length in lengths)
        raise CodecError(f"{what} needs {allowed} digits", hint=_HINT)
    return cleaned


def _swapped(data: bytes) -> str:
    """Bytes as hex with the nibbles of each byte exchanged (TBCD reading order)."""
    return data.translate(_NIBBLES_SWAPPED).hex()


def _to_tbcd(digits: str, size_bytes: int) -> bytes:
    return bytes.fromhex(digits.ljust(size_bytes * 2, "f")).translate(_NIBBLES_SWAPPED)


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
    """The eUICC's identity: 16 octets, 32 digits in reading order (SGP.29), and in the field also other octets.

    The octets are compared and sent, whatever they are; the text is for people. Never without any.
    """

    bytes: builtins.bytes

    def __post_init__(self) -> None:
        if not self.bytes:
            raise CodecError("an EID without any octets")

    @classmethod
    def parse(cls, text: str) -> Eid:
        """From text, as 32 digits or letters A to F; blanks and hyphens between them are ignored."""
        cleaned = text.strip().translate(_SEPARATORS)
        if not _EID_TEXT.fullmatch(cleaned):
            raise CodecError("an EID needs 32 digits", hint=_HINT)
        return cls(bytes.fromhex(cleaned))

    @classmethod
    def from_bytes(cls, data: builtins.bytes) -> Eid:
        """From the octets of tag ``5A``, of any number but none."""
        return cls(data)

    @property
    def regular(self) -> bool:
        """Whether these are 32 decimal digits, as SGP.29 wants."""
        return len(self.bytes) == EID_BYTES and self.bytes.hex().isdecimal()

    @property
    def check_digits_ok(self) -> bool:
        """Whether the number is 1 modulo 97, as ISO/IEC 7064 MOD 97-10 wants; what is no number is not."""
        return self.regular and int(self.bytes.hex()) % 97 == 1

    @property
    def short(self) -> str:
        """For logs: ``8904…7857``."""
        text = str(self)
        return f"{text[:4]}…{text[-4:]}"

    def __str__(self) -> str:
        return self.bytes.hex().upper()


@dataclass(frozen=True, slots=True, order=True)
class Iccid:
    """A profile's identity: 10 octets as in EF.ICCID (ETSI TS 102 221 §13.2), low nibble first, filled up with F.

    Digits by the standard, letters A to E in the field too. What cannot be read so is an identity all the same: it is
    compared by its octets and shown by them (``0x…``). No two different ones have the same text, and ``parse`` reads
    every text that ``str`` writes.
    """

    tbcd: bytes

    @classmethod
    def parse(cls, text: str) -> Iccid:
        """From 18 to 20 digits or letters A to E, or from the octets as ``0x…``. Blanks, hyphens and the padding F
        that modems print are ignored."""
        if (octets := _RAW_TEXT.fullmatch(text.strip())) is not None:
            return cls(bytes.fromhex(octets[1]))
        cleaned = text.strip().translate(_SEPARATORS).upper().rstrip("F")
        if not _ICCID_TEXT.fullmatch(cleaned):
            raise CodecError("an ICCID needs 18 or 19 or 20 digits", hint=_HINT)
        return cls(_to_tbcd(cleaned, ICCID_BYTES))

    @classmethod
    def from_tbcd(cls, data: bytes) -> Iccid:
        """From the octets of tag ``5A`` or EF.ICCID, whatever they are; to 9 readable ones the padding is added."""
        padded = cls(data + b"\xff")
        return padded if len(data) == ICCID_BYTES - 1 and padded.readable else cls(data)

    @property
    def readable(self) -> bool:
        """Whether these are 18 to 20 digits or letters A to E, and then nothing but F."""
        return len(self.tbcd) == ICCID_BYTES and _ICCID_TEXT.fullmatch(self._nibbles) is not None

    @property
    def decimal(self) -> bool:
        """Whether these are digits only, as ITU-T E.118 wants."""
        return self.readable and self._nibbles.isdecimal()

    @property
    def luhn_ok(self) -> bool:
        """Whether the last digit is the Luhn check digit of the others; letters have none."""
        return self.decimal and _luhn_digit(self._nibbles[:-1]) == int(self._nibbles[-1])

    @property
    def turned(self) -> Iccid:
        """The same octets with exchanged nibbles: as some modems print EF.ICCID."""
        return Iccid(bytes(octet >> 4 | (octet & 0x0F) << 4 for octet in self.tbcd))

    @property
    def in_order(self) -> Iccid:
        """For comparing what two sides tell of one card: every ICCID begins with 89 (ITU-T E.118), so what begins
        with 98 was written with exchanged nibbles."""
        return self.turned if self._nibbles.startswith("98") else self

    @property
    def short(self) -> str:
        """For logs: ``8949…0123``."""
        return short_iccid(str(self))

    @property
    def _nibbles(self) -> str:
        return _swapped(self.tbcd).upper().rstrip("F")

    def __str__(self) -> str:
        return self._nibbles if self.readable else f"0x{self.tbcd.hex().upper()}"


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


def same_iccid(one: str, other: str) -> bool:
    """Whether two texts name the same profile, in whatever order of nibbles; what is no ICCID is only equal."""
    try:
        return Iccid.parse(one).in_order == Iccid.parse(other).in_order
    except CodecError:
        return one == other


NO_PROFILE: Final = ""
"""In the place of an ICCID: that no profile is enabled. None says that nobody knows."""


def short_iccid(text: str | None) -> str:
    """An ICCID's text for the log, where it is not known to be one: ``8949…0027``, or "no profile"."""
    if text is None:
        return "no profile"
    return text if len(text) <= _SHORT_ENOUGH else f"{text[:4]}…{text[-4:]}"
