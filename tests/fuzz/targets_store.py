"""What the agent wrote itself, before the disk, an older version or a person had it in hands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ipad_agent.policy.guardian import guardian_document
from ipad_agent.policy.polling import schedule_document
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.switch_record import Switches
from ipad_agent.store import DocumentFile, Journal, JournalFullError
from ipad_agent.store.journal_format import read_journal
from ipad_agent.store.json_values import UnreadableValueError, Value, dumps, loads
from ipad_agent.store.memory_filesystem import MemoryFilesystem

from .fakes import Still
from .target import Kind, Target

_DOCUMENT: Final = "/state/document"
_JOURNAL: Final = "/state/journal"


def _values(data: bytes) -> object:
    value = loads(data)
    if loads(dumps(value)) != value:
        raise AssertionError("what was read is written as something else")
    return value


def _disk(path: str, data: bytes) -> MemoryFilesystem:
    disk = MemoryFilesystem()
    file = disk.create(path)
    file.write(data)
    file.close()
    return disk


def _document(data: bytes) -> Mapping[str, Value]:
    return DocumentFile(_disk(_DOCUMENT, data), _DOCUMENT).load()


def _schedule(data: bytes) -> object:
    found = schedule_document.from_document(_document(data))
    return found if found is None else schedule_document.to_document(found)


def _watch(data: bytes) -> object:
    found = guardian_document.from_document(_document(data))
    return found if found is None else guardian_document.to_document(found)


def _journal(data: bytes) -> Journal:
    return Journal(_disk(_JOURNAL, data), "/state", Still())


def _reopened(data: bytes) -> object:
    """A journal is written anew after damage; what is owed must read back as it stood, and take one more."""
    disk = _disk(_JOURNAL, data)
    first = Journal(disk, "/state", Still())
    before = first.entries()
    try:
        for _ in range(2):
            first.open("package", {"eim_id": "eim.example"})
    except JournalFullError:
        return before
    after = {entry.id: (entry.kind, entry.facts) for entry in Journal(disk, "/state", Still()).entries()}
    if any(after.get(entry.id) != (entry.kind, entry.facts) for entry in before):
        raise AssertionError("other entries changed")
    return before


def _work(data: bytes) -> object:
    return WorkList(_journal(data)).open()


def _switches(data: bytes) -> object:
    return Switches(_journal(data), Still()).open()


def targets() -> Iterator[Target]:
    """Values, documents and journals."""
    yield Target("values", Kind.JSON, {"loads": _values}, (UnreadableValueError,))
    yield Target(
        "documents", Kind.SEALED, {"load": _document, "schedule": _schedule, "guardian": _watch}, (), examples=600
    )
    yield Target(
        "journal",
        Kind.SEALED,
        {"read_journal": read_journal, "reopened": _reopened, "work": _work, "switches": _switches},
        (),
        examples=600,
    )
