"""Nothing grows worse than linearly: counted in calls of the agent's own functions and in bytes, never in seconds."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from ipad_agent.agent.poll_timetable import Timetable
from ipad_agent.clock import SystemClock
from ipad_agent.policy import NORMAL, Wake
from ipad_agent.procedures.ports import EntryView
from ipad_agent.procedures.records import owed_work
from ipad_agent.procedures.records.owed_work import Work, WorkKind, WorkList
from ipad_agent.store import Journal
from ipad_agent.store.memory_filesystem import MemoryFilesystem

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = (
    "import json, sys, growth_worlds; "
    "sizes = json.loads(sys.argv[1]); "
    "spent = {work: [getattr(growth_worlds, work)(size) for size in sizes[work]] for work in sizes}; "
    "print(json.dumps({work: [[s.calls, s.written_bytes, s.sent_bytes] for s in spent[work]] for work in sizes}))"
)
DOUBLED: Mapping[str, tuple[int, ...]] = {
    "direct_download": (20_000, 40_000, 80_000),
    "coap_download": (8_000, 16_000, 32_000),
    "start_with_profiles": (5, 10, 20),
    "delivery": (6, 12, 24),
    "status_to_clients": (4, 8, 16),
}
EIMS: Mapping[str, tuple[int, ...]] = {"poll_round": (1, 2, 4, 8)}
SLACK = 1.15
"""By how much more than linear it may look: some things happen once in so many."""
MORE_FOR_EACH = 1.35
"""One file has the schedules of all eIMs: each poll costs a little more when there are twice as many of them."""


def test_twice_as_much_takes_at_most_twice_as_much_more() -> None:
    spent = _spent({**DOUBLED, **EIMS})
    rounds = [calls / count for (calls, *_), count in zip(spent.pop("poll_round"), EIMS["poll_round"], strict=True)]
    assert all(more <= MORE_FOR_EACH * less for less, more in pairwise(rounds)), rounds
    for work, (small, medium, large) in spent.items():
        for name, one, two, four in zip(("calls", "bytes written", "bytes sent"), small, medium, large, strict=True):
            # What it costs anyway is in all three; from each to the next the size grows by one and by two steps.
            assert four - two <= 2 * SLACK * max(two - one, one / 4), f"{name} of {work}: {one}, {two}, {four}"


class _Documents:
    """Counts how often it is written."""

    def __init__(self) -> None:
        self.writes = 0

    def load(self) -> Mapping[str, object]:
        return {}

    def save(self, document: Mapping[str, object]) -> None:
        self.writes += 1


def test_polls_of_all_eims_are_brought_forward_in_one_write() -> None:
    documents = _Documents()
    timetable = Timetable(documents, SystemClock(), NORMAL, random.Random(1), eid=bytes(16))
    timetable.set_eims([f"eim-{number}" for number in range(8)])
    before = documents.writes
    timetable.wake(Wake.COMMAND)
    assert all(due.decision.poll_now for due in timetable.all())
    assert documents.writes == before + 1
    timetable.wake(Wake.BOOT)  # brings nothing forward
    assert documents.writes == before + 1


def test_an_entry_of_the_journal_is_read_again_only_when_it_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(MemoryFilesystem(), "/state", SystemClock())
    work = WorkList(journal)
    taken = [work.take("eim", b"", WorkKind.PACKAGE, bytes([number]), None) for number in range(5)]
    read: list[int] = []
    from_entry = owed_work._from_entry

    def counted(entry: EntryView) -> Work | None:
        read.append(entry.id)
        return from_entry(entry)

    monkeypatch.setattr(owed_work, "_from_entry", counted)
    assert len(work.open()) == len(work.open("eim")) == 5
    assert sorted(read) == sorted(one.id for one in taken)
    read.clear()
    work.answered(taken[2], b"result")
    work.settled(taken[0], "taken")
    assert [one.result for one in work.open()] == [None, b"result", None, None]
    assert read == [taken[2].id]


def _spent(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, list[list[int]]]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(sizes)]
    told = subprocess.run(command, cwd=ROOT / "bench", check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    found: dict[str, list[list[int]]] = json.loads(told.stdout)
    return found
