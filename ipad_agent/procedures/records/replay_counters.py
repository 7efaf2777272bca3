"""Which package counters were seen: what a card forgets when it forgets an eIM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.procedures.ports import Memory

COUNTERS: Final = "counters"
MAX_CARDS: Final = 64
"""So many cards are remembered; the one that was not seen for longest is forgotten first."""


class Counters:
    """The highest package counter this device ever saw of each eIM, card by card.

    A card forgets an eIM's counter with the eIM. An old file would set it back, and every order that was ever signed
    for this card could be replayed (SGP.32 v1.2 §2.11.1.1). That holds too when another card was in the device
    meanwhile.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def saw(self, eid: str, configs: Iterable[EimConfigurationData]) -> None:
        """Remember what the card says now; never goes down."""
        self._note(eid, {config.eim_id: config.counter for config in configs if config.counter is not None})

    def used(self, eid: str, eim_id: str, counter: int | None) -> None:
        """The card took a package with this counter, perhaps the one that deletes the eIM."""
        if counter is not None:
            self._note(eid, {eim_id: counter})

    def _note(self, eid: str, counters: Mapping[str, int]) -> None:
        cards = self._cards()
        known = cards.pop(eid, {})
        seen = known | {eim_id: max(counter, known.get(eim_id, 0)) for eim_id, counter in counters.items()}
        if seen != known:
            kept = list(cards.items())[-(MAX_CARDS - 1) :]
            self._memory.save(COUNTERS, dict([*kept, (eid, seen)]))

    def stale(self, eid: str, request: bytes) -> tuple[str, int, int] | None:
        """The first eIM in an AddInitialEim request that would begin again below what was seen, with its counter and
        the one seen; None when there is none. An association token makes an old counter harmless: the card gives a
        new one, and no old order carries it."""
        known = self._cards().get(eid, {})
        for element in tlv.parse(request).require(0xA0, "the list of eIMs").children():
            config = EimConfigurationData.parse(element.raw)
            counter, seen = config.counter or 0, known.get(config.eim_id, 0)
            if config.association_token is None and counter < seen:
                return config.eim_id, counter, seen
        return None

    def _cards(self) -> dict[str, dict[str, int]]:
        """EID -> eIM -> counter, the card that changed last at the end."""
        document = self._memory.load(COUNTERS)
        match document:
            case {"eid": str() as eid, "counters": Mapping() as counters}:  # as written when there was one card only
                document = {eid: counters}
        return {eid: _counters(found) for eid, found in document.items() if isinstance(found, Mapping)}


def _counters(found: Mapping[object, object]) -> dict[str, int]:
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, int)}
