"""An SMS as a modem hands it out in PDU mode (3GPP TS 23.040 §9.2.2.1, TS 27.005 §3.1): sender and text of SMS-DELIVER.

Only what a call for a poll can be: one part, in the default alphabet, eight bits or UCS2.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

_DIGITS: Final = "0123456789*#abc"
_INTERNATIONAL: Final = 0x91
_ALPHANUMERIC: Final = 0x50
_KIND_OF_NUMBER: Final = 0x70
_HEADER_INDICATOR: Final = 0x40
_TIME_STAMP_BYTES: Final = 7
_LONGEST_BYTES: Final = 176
# TS 23.038 §6.2.1 where it is not ASCII; what has no place in a keyword is a question mark.
_GSM: Final = (
    "@?$???????\n??\r???_?????????\x1b????"
    " !\"#?%&'()*+,-./0123456789:;<=>?"
    "?ABCDEFGHIJKLMNOPQRSTUVWXYZ?????"
    "?abcdefghijklmnopqrstuvwxyz?????"
)


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """``sender`` is ``+4915…`` or digits, or letters where a service sent it."""

    sender: str
    text: str


def parse_short_message(pdu: bytes) -> ShortMessage:
    """From service centre address to user data. Raises ``CodecError`` for everything that is no whole SMS-DELIVER."""
    if len(pdu) > _LONGEST_BYTES:
        raise CodecError("longer than any SMS")
    try:
        return _parse(pdu)
    except (IndexError, UnicodeDecodeError) as error:
        raise CodecError(f"no SMS: {type(error).__name__}") from None


def _parse(pdu: bytes) -> ShortMessage:
    at = 1 + pdu[0]
    first = pdu[at]
    if first & 0x03:
        raise CodecError("no SMS-DELIVER")
    digits, kind = pdu[at + 1], pdu[at + 2]
    at += 3
    size = (digits + 1) // 2
    sender, at = _address(_part(pdu, at, size), digits, kind), at + size
    coding, at = pdu[at + 1], at + 2 + _TIME_STAMP_BYTES
    length = pdu[at]
    data = pdu[at + 1 :]
    if first & _HEADER_INDICATOR:
        raise CodecError("an SMS of several parts, or with a header")
    return ShortMessage(sender, _text(data, length, coding))


def _part(pdu: bytes, at: int, size: int) -> bytes:
    if at + size > len(pdu):
        raise CodecError("the SMS is cut off")
    return pdu[at : at + size]


def _address(value: bytes, digits: int, kind: int) -> str:
    if kind & _KIND_OF_NUMBER == _ALPHANUMERIC:
        return _septets(value, digits * 4 // 7)
    nibbles = [nibble for byte in value for nibble in (byte & 0x0F, byte >> 4)][:digits]
    return ("+" if kind == _INTERNATIONAL else "") + "".join(_DIGITS[nibble] for nibble in nibbles)


def _text(data: bytes, length: int, coding: int) -> str:
    alphabet = _alphabet(coding)
    if alphabet == 0:
        if len(data) * 8 // 7 < length:
            raise CodecError("the SMS is cut off")
        return _septets(data, length)
    value = _part(data, 0, length)
    return value.decode("utf-16-be") if alphabet == 2 else value.decode("latin-1")


def _alphabet(coding: int) -> int:
    """0 the default one, 1 eight bits, 2 UCS2 (TS 23.038 §4)."""
    if coding < 0x40:
        return (coding >> 2) & 3
    if coding & 0xF4 == 0xF4:  # message classes
        return 1
    return 2 if coding & 0xF0 == 0xE0 else 0  # waiting marks


def _septets(data: bytes, count: int) -> str:
    number = int.from_bytes(data, "little")
    return "".join(_GSM[(number >> (7 * index)) & 0x7F] for index in range(count))
