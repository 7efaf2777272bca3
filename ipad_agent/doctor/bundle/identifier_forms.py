"""What must not leave the device, and every form in which it could be written."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final

from ipad_agent.records import dataclass, field

SHORT_SECRET_BYTES: Final = 6
"""A shorter one, such as a confirmation code of four digits, stands for itself only as a whole word."""
LEAST_DIGITS: Final = 8
"""The shortest telephone number; what is shorter is no identifier."""
SEPARATORS: Final = r"[ \-:.·]?"
_MATCHING_ID: Final = re.compile(rb"1\$[^$\x00-\x20]{1,255}\$([^$\x00-\x20\x7f-\xff]{4,255})")
_NIBBLES: Final = re.compile(r"[0-9A-Fa-f]+")
_ICCID_TLV: Final = re.compile(rb"\x5a\x0a(.{10})", re.DOTALL)
_EID_TLV: Final = re.compile(rb"\x5a\x10(.{16})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Known:
    """``identifiers`` are strings of digits (EID, ICCID, IMEI, IMSI, MSISDN), the first two also with letters or as
    octets (``0x…``); they may be shown in part. ``secrets`` are bytes that are never shown: keys, codes, matching
    ids."""

    identifiers: frozenset[str] = frozenset()
    secrets: frozenset[bytes] = field(default=frozenset(), repr=False)

    def __or__(self, other: Known) -> Known:
        return Known(self.identifiers | other.identifiers, self.secrets | other.secrets)

    @property
    def usable(self) -> Known:
        """Without what recognises nobody and would be found everywhere: a modem that tells 0 as its IMEI."""
        identifiers = (text.removeprefix("0x") for text in self.identifiers)
        identifiers = (text.upper() for text in identifiers if _NIBBLES.fullmatch(text))
        return Known(
            frozenset(text for text in identifiers if len(text) >= LEAST_DIGITS), frozenset(filter(None, self.secrets))
        )


def known_in(blobs: Iterable[bytes]) -> Known:
    """The identifiers and matching ids in raw TLVs (tag 5A of ICCID and EID, activation codes)."""
    digits: set[str] = set()
    secrets: set[bytes] = set()
    for blob in blobs:
        digits |= {swapped(found[1]).upper().rstrip("F") for found in _ICCID_TLV.finditer(blob)}
        digits |= {found[1].hex().upper() for found in _EID_TLV.finditer(blob)}
        secrets |= {found[1] for found in _MATCHING_ID.finditer(blob)}
    return Known(frozenset(text for text in digits if len(text) >= 18), frozenset(secrets))


def swapped(data: bytes) -> str:
    """Bytes as hex with the nibbles of each byte exchanged."""
    text = data.hex()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2))


def packed(digits: str) -> frozenset[bytes]:
    """Digits as the bytes of a card: in reading order and with exchanged nibbles, an odd one filled up with F; the last
    byte of an IMEI in deviceInfo is not exchanged (SGP.22 §4.2)."""
    digits = digits.removeprefix("0x")
    even = digits if len(digits) % 2 == 0 else digits + "f"
    plain = bytes.fromhex(even)
    return frozenset({plain, bytes.fromhex(swapped(plain)), bytes.fromhex(swapped(plain[:-1])) + plain[-1:]})


def both_cases(digits: str) -> frozenset[str]:
    """The same where there are no letters."""
    return frozenset({digits, digits.lower()})


def hex_forms(digits: str) -> frozenset[str]:
    """Digits as lower-case hex, other than the digits themselves: packed, and of their ASCII codes."""
    texts = {data.hex() for data in packed(digits)} | {text.encode("ascii").hex() for text in both_cases(digits)}
    return frozenset(text.removesuffix("f") for text in texts)


def base64_forms(data: bytes) -> Iterator[str]:
    """What base64 makes of these bytes wherever they stand in a longer text: without the characters at both ends
    that depend on their neighbours."""
    for before in range(3):
        padded = bytes(before) + data
        whole = base64.b64encode(padded + bytes(-len(padded) % 3)).decode("ascii")
        first = -(-before * 8 // 6)
        last = len(padded) * 8 // 6
        inner = whole[first:last]
        yield inner
        if "+" in inner or "/" in inner:
            yield inner.replace("+", "-").replace("/", "_")
