"""The lab's PKI folder for tests that make many benches of one: what is in it is read and checked once."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

from ipad_agent.lab.pki import Pki


def opened_pki(folder: Path) -> Pki:
    """``Pki.load``, with a dictionary of its own: an entry that one test adds is not there for another.

    For folders that nobody changes any more; keys and certificates themselves are never changed.
    """
    pki = _opened(folder)
    return replace(pki, entries=dict(pki.entries))


@functools.cache
def _opened(folder: Path) -> Pki:
    return Pki.load(folder)
