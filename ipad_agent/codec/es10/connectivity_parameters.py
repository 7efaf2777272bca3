"""The APN in the connectivity parameters of a profile.

``httpParams`` of GetConnectivityParameters (SGP.32 v1.2 §5.9.24) holds connection parameters in the way of
ETSI TS 102 226: COMPREHENSION-TLVs (ETSI TS 102 223), bare or in envelopes. Of these only the Network Access Name is
of interest here, so this is a search and no parser: what it cannot make sense of, it passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_NETWORK_ACCESS_NAME: Final = 0x47
# Bit 8 of a COMPREHENSION-TLV's tag is its "comprehension required" flag (ETSI TS 101 220 §7.1.1).
_FLAG: Final = 0x80
# Leaves beside the name: alpha identifier, text string, bearer, buffer size, transport level, other address.
_LEAVES: Final = frozenset({0x05, 0x0D, 0x35, 0x39, 0x3C, 0x3E})
_PADDING: Final = b"\x00\xff"
_MAX_DEPTH: Final = 6
_LONGEST_APN: Final = 100  # 3GPP TS 23.003 §9.1
_LABEL: Final = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def apn_of(http_params: bytes) -> str | None:
    """The APN as text (``iot.example``); None when there is none, or two that differ.

    Raises nothing, whatever the bytes are. A name that is written as plain text instead of labels with their lengths
    (3GPP TS 23.003 §9.1) is taken as well.
    """
    found = {apn.lower(): apn for apn in _search(http_params, 0)}
    return next(iter(found.values())) if len(found) == 1 else None


def _search(data: bytes, depth: int) -> Iterator[str]:
    elements = _elements(data)
    if elements is None or depth > _MAX_DEPTH:
        return
    for tag, value in elements:
        if tag & ~_FLAG == _NETWORK_ACCESS_NAME:
            apn = _name(value)
            if apn is not None:
                yield apn
        elif tag & ~_FLAG not in _LEAVES:
            yield from _search(value, depth + 1)


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
