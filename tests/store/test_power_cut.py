"""The real filesystem's own calls under a power cut, and what a process that was killed left to the next one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.store import PACKAGE, SCHEDULE, EntryId, Journal, Memory, RealFilesystem
from ipad_agent.store.journal_format import open_record
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut
from unsynced import PowerCutOs

from .test_contract import StoppedClock


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PowerCutOs]:
    """A machine whose state directory is ``tmp_path``."""
    made = PowerCutOs(tmp_path)
    monkeypatch.setattr("ipad_agent.store.filesystem.os", made)
    yield made
    made.close_kept()


def journal(folder: Path) -> Journal:
    return Journal(RealFilesystem(), str(folder), StoppedClock())


def test_the_model_of_a_power_cut_forgets_what_was_not_synced(machine: PowerCutOs, tmp_path: Path) -> None:
    disk = RealFilesystem()
    for name, syncs in (("nothing", ""), ("content", "c"), ("both", "cn")):
        file = disk.create(str(tmp_path / name))
        file.write(b"1")
        if "c" in syncs:
            file.sync()
        file.close()
    disk.sync_directory(str(tmp_path))
    disk.create(str(tmp_path / "unnamed")).sync()
    machine.power_cut()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "nothing": b"",
        "content": b"1",
        "both": b"1",
    }


def test_a_journal_on_the_real_disk_has_everything_whose_call_returned(machine: PowerCutOs, tmp_path: Path) -> None:
    book = journal(tmp_path)
    first = book.open(PACKAGE, {"order": b"1"})
    machine.power_cut()
    book = journal(tmp_path)
    assert [entry.id for entry in book.entries()] == [first]
    book.update(first, loads=1)
    second = book.open(PACKAGE, {"order": b"2"})
    machine.power_cut()
    book = journal(tmp_path)
    assert book.entry(first).facts == {"order": b"1", "loads": 1}
    book.close(first, "delivered")
    machine.power_cut()
    assert [entry.id for entry in journal(tmp_path).entries()] == [second]


def test_a_journal_that_is_rewritten_on_the_real_disk_is_never_without_its_entries(
    machine: PowerCutOs, tmp_path: Path
) -> None:
    book = journal(tmp_path)
    kept = book.open(PACKAGE, {"order": b"1"})
    for number in range(1000):
        book.note(kept, number=number)
    book.idle()
    machine.power_cut()
    assert journal(tmp_path).entry(kept).facts == {"order": b"1", "number": 999}


def test_a_document_on_the_real_disk_is_there_when_its_call_returned(machine: PowerCutOs, tmp_path: Path) -> None:
    def memory() -> Memory:
        return Memory(RealFilesystem(), state_dir=str(tmp_path), runtime_dir=str(tmp_path / "run"))

    memory().save(SCHEDULE, {"due": 1})
    machine.power_cut()
    assert memory().load(SCHEDULE) == {"due": 1}
    memory().save(SCHEDULE, {"due": 2})
    machine.power_cut()
    assert memory().load(SCHEDULE) == {"due": 2}


def test_a_folder_that_cannot_be_synced_by_its_filesystem_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(code: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(code, "fsync")

        monkeypatch.setattr("ipad_agent.store.filesystem.os.fsync", fsync)

    refuse(errno.EINVAL)
    RealFilesystem().sync_directory(str(tmp_path))
    refuse(errno.EIO)
    with pytest.raises(OSError, match="fsync"):
        RealFilesystem().sync_directory(str(tmp_path))


def test_what_a_killed_process_wrote_and_did_not_sync_survives_the_power_cut_after_it_was_acted_on() -> None:
    tried = 0
    for kill in range(200):
        disk = MemoryFilesystem()
        first = Journal(disk, "/state", StoppedClock())
        disk.allowance = kill
        try:
            first.open(PACKAGE, {"order": b"1"})
        except PowerCut:
            disk.crash()  # of the process: what it wrote is in the kernel's cache
        else:
            break
        found = Journal(disk, "/state", StoppedClock()).entries()
        disk.power_cut()
        again = Journal(disk, "/state", StoppedClock()).entries()
        assert [entry.facts for entry in again] == [entry.facts for entry in found]
        tried += len(found)
    assert tried > 0  # the whole record was written once, and its sync was not reached


def test_on_the_real_disk_too_the_next_process_syncs_what_it_found(machine: PowerCutOs, tmp_path: Path) -> None:
    book = journal(tmp_path)
    entry = replace(book.entry(book.open(PACKAGE, {"order": b"1"})), id=EntryId(2), facts={"order": b"2"})
    with (tmp_path / "journal").open("ab") as file:
        file.write(open_record(2, entry))  # by a process that was killed before its sync
    found = [entry.facts for entry in journal(tmp_path).entries()]
    assert found == [{"order": b"1"}, {"order": b"2"}]
    machine.power_cut()
    assert [entry.facts for entry in journal(tmp_path).entries()] == found
