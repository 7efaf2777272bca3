"""Durations as people say them."""

from __future__ import annotations

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def spell_duration(duration_s: float) -> str:
    """The two largest units that are not zero: ``45 s``, ``5 h 12 min``, ``3 d``. Never less than ``1 s``."""
    rest = max(1, round(duration_s))
    words: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
        if words and (len(words) == 2 or not count):
            break
    return " ".join(words)
