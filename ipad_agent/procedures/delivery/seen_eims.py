"""The eIMs that were seen on a card, with their entries: a card that forgets an eIM keeps the results for it.

The entry (BF55 element) says where the eIM is and which key it has. Without it nobody could bring such a result home.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.errors import CodecError, StoreError
from ipad_agent.procedures.ports import Memory

DOCUMENT: Final = "seen-eims"
MAX_CARDS: Final = 4
MAX_EIMS: Final = 16
"""So many cards, and eIMs of a card, are remembered; those that were seen first are forgotten first."""


class SeenEims:
    """By EID; on disk after every call that changes it, if the disk takes it. ``taken_up`` are the results for eIMs
    that are gone which this process has looked after, as (EID, number): once each, or a card that cannot remove one
    would have it delivered without end."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.taken_up: set[tuple[str, int]] = set()

    def saw(self, eid: str, configs: Iterable[EimConfigurationData]) -> None:
        """These are on the card now."""
        known = self._of(eid)
        seen = known | {config.eim_id: config.raw for config in configs}
        if seen != known:
            self._save(eid, dict(list(seen.items())[-MAX_EIMS:]))

    def gone(self, eid: str, configs: Iterable[EimConfigurationData]) -> dict[str, EimConfigurationData]:
        """The entries of those that were on the card once and are none of ``configs``."""
        there = {config.eim_id for config in configs}
        found = {}
        for eim_id, raw in self._of(eid).items():
            if eim_id not in there:
                with contextlib.suppress(CodecError):  # written by another version of this program
                    found[eim_id] = EimConfigurationData.parse(raw)
        return found

    def forget(self, eid: str, eim_ids: Iterable[str]) -> None:
        """The card keeps nothing for these any more."""
        known = self._of(eid)
        left = {eim_id: raw for eim_id, raw in known.items() if eim_id not in set(eim_ids)}
        if left != known:
            self._save(eid, left)

    def _of(self, eid: str) -> dict[str, bytes]:
        found = self._memory.load(DOCUMENT).get(eid)
        items = found.items() if isinstance(found, Mapping) else ()
        return {eim_id: raw for eim_id, raw in items if isinstance(raw, bytes)}

    def _save(self, eid: str, eims: Mapping[str, bytes]) -> None:
        others = [(card, found) for card, found in self._memory.load(DOCUMENT).items() if card != eid]
        with contextlib.suppress(StoreError):  # memory has it; the store has said why
            self._memory.save(DOCUMENT, dict([*others[-(MAX_CARDS - 1) :], (eid, dict(eims))]))
