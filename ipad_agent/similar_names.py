"""The name that was probably meant by one that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LONGEST: Final = 64
"""A longer name is like none; strangers choose how long it is."""


def plain(name: str) -> str:
    """Without what differs between spellings of one name: ``AddInitialEim`` and ``add-initial-eim`` are the same."""
    return name.casefold().replace("-", "").replace("_", "")


def near(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of these names that is most like it, or the same in another spelling; None when none is."""
    if len(name) > LONGEST:
        return None
    spelt = {plain(each): each for each in known}
    if plain(name) in spelt:
        return spelt[plain(name)]
    import difflib  # only for what is wrong

    found = difflib.get_close_matches(plain(name), list(spelt), n=1, cutoff=cutoff)
    return spelt[found[0]] if found else None
