"""EIDs with right check digits (the last two make the number 1 modulo 97, SGP.02 §2.2.2 / SGP.29)."""

from __future__ import annotations

TEST_PREFIX = "89049032"
"""Issuer digits of the SGP.26 test EIDs."""


def make_eid(number: int = 1, prefix: str = TEST_PREFIX) -> str:
    """32 digits: ``prefix``, ``number`` filled up to digit 30, two check digits. ``ValueError`` if it does not fit."""
    room = 30 - len(prefix)
    if not prefix.isdecimal() or room < 1 or not 0 <= number < 10**room:
        raise ValueError(f"no EID with prefix {prefix!r} and number {number}")
    body = f"{prefix}{number:0{room}d}"
    return f"{body}{98 - int(body) * 100 % 97:02d}"


def check_digits_ok(eid: str) -> bool:
    """Whether 32 digits end with the check digits that belong to them."""
    return len(eid) == 32 and eid.isdecimal() and int(eid) % 97 == 1
