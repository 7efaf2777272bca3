"""How a profile's packet connection is made, from its connectivity parameters.

``httpParams`` of GetConnectivityParameters (SGP.32 v1.2 §2.4.4, §5.9.24) holds connection parameters in the way of
ETSI TS 102 226: COMPREHENSION-TLVs (ETSI TS 102 223), bare or in envelopes. Of these the bearer description, the
Network Access Name and two text strings, user name and password, are of interest here, so this is a search and no
parser: what it cannot make sense of, it passes over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from ipad_agent.codec.packet_connection import PacketConnection, PdpType
from ipad_agent.printable import is_printable

_BEARER_DESCRIPTION: Final = 0x35
_NETWORK_ACCESS_NAME: Final = 0x47
_TEXT_STRING: Final = 0x0D
# Bit 8 of a COMPREHENSION-TLV's tag is its "comprehension required" flag (ETSI TS 101 220 §7.1.1).
_FLAG: Final = 0x80
# What holds no elements: alpha identifier, text string, bearer description, buffer size, transport level, other
# address, network access name.
_LEAVES: Final = frozenset({0x05, 0x0D, 0x35, 0x39, 0x3C, 0x3E, 0x47})
_PADDING: Final = b"\x00\xff"
_MAX_DEPTH: Final = 6
_LONGEST_APN: Final = 100  # 3GPP TS 23.003 §9.1
_LABEL: Final = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_TEXT: Final = 64
_ANY_IP: Final = "IPV4V6"
# Bearer types of a bearer description (ETSI TS 102 223 §8.52).
_GPRS: Final = 0x02
_EPS: Final = frozenset({0x09, 0x0B})
_NG_RAN: Final = 0x0C
_GPRS_TYPES: Final[dict[int, PdpType]] = {0x02: "IP", 0x07: "Non-IP"}
_EPS_TYPES: Final[dict[int, PdpType]] = {0x21: "IP", 0x57: "IPV6", 0x8D: "IPV4V6"}
_NG_RAN_TYPES: Final[dict[int, PdpType]] = {1: "IP", 2: "IPV6", 3: "IPV4V6", 4: "Unstructured", 5: "Ethernet"}
_DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""3GPP TS 23.038 §6.2.1."""
_T = TypeVar("_T")


def connection_of(http_params: bytes) -> PacketConnection | None:
    """The connection that these parameters describe; None without an APN, or with two that differ.

    Raises nothing, whatever the bytes are. A name that is written as plain text instead of labels with their lengths
    (3GPP TS 23.003 §9.1) is taken as well. Without a bearer description that says more, the PDP type is IPV4V6.
    """
    elements = list(_search(http_params, 0))
    apn = _only(elements, _NETWORK_ACCESS_NAME, _name)
    if apn is None:
        return None
    pdp_type: PdpType | None = _only(elements, _BEARER_DESCRIPTION, _pdp_type)
    texts = [_text(value) for tag, value in elements if tag == _TEXT_STRING][:2]
    user, password = (*texts, "", "")[:2]
    return PacketConnection(apn, pdp_type or _ANY_IP, user or "", (password or "") if user else None)


def _only(
    elements: list[tuple[int, bytes]],
    wanted: int,
    read: Callable[[bytes], _T | None],
) -> _T | None:
    """What all readable elements with this tag agree on, capitals or not."""
    values = (read(data) for tag, data in elements if tag == wanted)
    found = {str(value).lower(): value for value in values if value is not None}
    return next(iter(found.values())) if len(found) == 1 else None


def _search(data: bytes, depth: int) -> Iterator[tuple[int, bytes]]:
    """All leaves with their tags, the flag taken off."""
    elements = _elements(data)
    if elements is None or depth > _MAX_DEPTH:
        return
    for tag, value in elements:
        if tag & ~_FLAG in _LEAVES:
            yield tag & ~_FLAG, value
        else:
            yield from _search(value, depth + 1)


def _pdp_type(value: bytes) -> PdpType | None:
    """From a bearer description: its first byte is the bearer type, the others are that type's parameters."""
    if not value:
        return None
    if value[0] == _GPRS:
        return _GPRS_TYPES.get(value[6]) if len(value) > 6 else None
    if value[0] in _EPS:
        return _EPS_TYPES.get(value[-1]) if len(value) > 1 else None
    if value[0] == _NG_RAN:
        return _NG_RAN_TYPES.get(value[1] & 0x07) if len(value) > 1 else None
    return None


def _text(value: bytes) -> str | None:
    """A text string (ETSI TS 102 223 §8.15): a data coding scheme, then the text. None for what is no printable text of
    sensible length."""
    if not value:
        return ""
    coding, data = value[0] & 0x0C, value[1:]
    if coding == 0x00:
        text = _unpacked(data)
    elif coding == 0x04:
        text = data.decode("latin-1")
    elif coding == 0x08 and len(data) % 2 == 0:
        text = data.decode("utf-16-be", "replace")
    else:
        return None
    return text if len(text) <= _LONGEST_TEXT and is_printable(text) and "\ufffd" not in text else None


def _unpacked(data: bytes) -> str:
    """Seven bits to a character, the first in the lowest bits (3GPP TS 23.038 §6.1.2.1). Eight characters end on a
    whole byte, so a CR or seven zero bits (``@``) in the last place are padding."""
    bits = int.from_bytes(data, "little")
    text = "".join(_DEFAULT_ALPHABET[bits >> 7 * at & 0x7F] for at in range(len(data) * 8 // 7))
    if len(text) % 8 == 0 and text.endswith(("\r", "@")):
        return text[:-1]
    return text


def _elements(data: bytes) -> list[tuple[int, bytes]] | None:
    """(tag, value) of everything in ``data``, None when it is not TLVs from the first byte to the last."""
    found = []
    at = 0
    while at < len(data):
        if data[at] in _PADDING:
            at += 1
            continue
        tag, at = data[at], at + 1
        if tag & 0x1F == 0x1F:  # a longer tag of BER, such as BF5F; no COMPREHENSION-TLV of interest has such
            while at < len(data) and data[at] & 0x80:
                at += 1
            at += 1
        length, at = _length(data, at)
        if length is None or at + length > len(data):
            return None
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _length(data: bytes, at: int) -> tuple[int | None, int]:
    """(length, where the value begins) as in BER and COMPREHENSION-TLV: 00 to 7F, 81 xx, 82 xxxx, 83 xxxxxx."""
    if at >= len(data):
        return None, at
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first - 0x80
    if count not in (1, 2, 3) or at + 1 + count > len(data):
        return None, at
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count


def _name(value: bytes) -> str | None:
    labels = _labels(value)
    if labels is None:
        labels = value.split(b".")
    if not labels or len(value) > _LONGEST_APN or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return b".".join(labels).decode("ascii")


def _labels(value: bytes) -> list[bytes] | None:
    """Labels with their lengths before them; None when they do not end where the value ends."""
    found = []
    at = 0
    while at < len(value):
        end = at + 1 + value[at]
        if end > len(value):
            return None
        found.append(value[at + 1 : end])
        at = end
    return found
