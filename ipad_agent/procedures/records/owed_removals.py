"""Numbers that were acknowledged and are still on the card, because the disk refuses the result they stand for.

One journal entry of kind ``removal`` per card. It is on the disk no later than the end of the order, for a file that
refused something is written anew as a whole: whoever starts after a power cut finds the order still owed, or this.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.procedures.ports import EntryView, Journal

ENTRY_KIND = "removal"


class OwedRemovals:
    """By EID; an acknowledgement that was heard holds at once, whatever the disk says."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, eid: str, numbers: Iterable[int]) -> None:
        """These are to leave this card as soon as the disk allows it."""
        entry = self._entry(eid)
        if entry is None:
            self._journal.adopt(ENTRY_KIND, {"eid": eid, "numbers": sorted(set(numbers))})
        else:
            self._journal.note(entry.id, numbers=sorted(_numbers(entry) | set(numbers)))

    def of(self, eid: str) -> frozenset[int]:
        """What has to leave this card, and is not to be delivered again."""
        entry = self._entry(eid)
        return frozenset() if entry is None else _numbers(entry)

    def done(self, eid: str, numbers: Iterable[int]) -> None:
        """These are off the card."""
        entry = self._entry(eid)
        if entry is None:
            return
        left = _numbers(entry) - set(numbers)
        if not left:
            self._journal.close(entry.id, "off the card")
        elif left != _numbers(entry):
            self._journal.note(entry.id, numbers=sorted(left))

    def _entry(self, eid: str) -> EntryView | None:
        return next((entry for entry in self._journal.entries(ENTRY_KIND) if entry.facts.get("eid") == eid), None)


def _numbers(entry: EntryView) -> frozenset[int]:
    found = entry.facts.get("numbers")
    return frozenset(one for one in found if isinstance(one, int)) if isinstance(found, tuple | list) else frozenset()
