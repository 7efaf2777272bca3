"""Downloads that a person on the device ordered, in the journal from before the card is touched.

Nobody but that person waits for the result, so the entry is none of the work that is owed to an eIM; it is there for
the restart after a power cut. The activation code is not in it.
"""

from __future__ import annotations

from typing import Final, cast

from ipad_agent.procedures.ports import EntryView, Journal

from .owed_work import MAX_LOADS, Stage, Work, WorkKind

ENTRY_KIND: Final = "local_download"


class LocalDownloads:
    """At most one is under way. ``WorkList.reached`` and ``installed`` write down how far one is, as for any other."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(self, eid: str) -> Work:
        """Write down that a download begins. Raises ``StoreError`` when the journal cannot take it."""
        id = self._journal.open(ENTRY_KIND, {"eid": eid, "by": "person", "stage": Stage.STORED.value})
        return _work(id)

    def under_way(self, eid: str) -> list[Work]:
        """What was cut off with this card. Entries of another card, and unreadable ones, are closed: nobody can find
        out any more."""
        found = []
        for entry in self._journal.entries(ENTRY_KIND):
            work = _from_entry(entry) if entry.facts.get("eid") == eid else None
            if work is None:
                self._journal.close(entry.id, "not to be found out")
            else:
                found.append(work)
        return found

    def end(self, work: Work, outcome: str) -> None:
        """It is over, and what it changed is noted."""
        self._journal.close(work.id, outcome)


def _work(id: int) -> Work:
    """Of no eIM, without an order: it is never carried out again."""
    return Work(id, "", WorkKind.TRIGGER, b"", None, b"", loads=MAX_LOADS)


def _from_entry(entry: EntryView) -> Work | None:
    facts = entry.facts
    try:
        return Work(
            entry.id,
            "",
            WorkKind.TRIGGER,
            b"",
            None,
            b"",
            loads=MAX_LOADS,
            stage=Stage(cast(str, facts["stage"])),
            session=cast("bytes | None", facts.get("session")),
            installation=cast("bytes | None", facts.get("installation")),
        )
    except (KeyError, ValueError):
        return None
