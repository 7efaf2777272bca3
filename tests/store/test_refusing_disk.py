"""A disk that refuses, cannot be read, or is taken away: what is so already holds in memory, and is on the disk as
soon as it takes anything again; what is about to be done is not done."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent.store import (
    PACKAGE,
    SCHEDULE,
    SWITCH,
    DiskError,
    Journal,
    Limits,
    Memory,
    RealFilesystem,
    StateDirectory,
    StateDirectoryBusyError,
    StateLock,
    UnknownEntryError,
)
from ipad_agent.store.journal import UNREAD_PATIENCE_S
from ipad_agent.store.journal_format import open_record, read_journal
from ipad_agent.store.memory_filesystem import MemoryFilesystem

PATH = "/state/journal"
REFUSALS = (errno.EROFS, errno.EIO, errno.ENOSPC)


class Clock:
    def __init__(self) -> None:
        self.at_s = 12.25

    def wall(self) -> float:
        return 1_700_000_000.5

    def monotonic(self) -> float:
        return self.at_s

    def boot_id(self) -> str:
        return "boot-1"


def journal(disk: MemoryFilesystem, clock: Clock | None = None) -> Journal:
    return Journal(disk, "/state", clock or Clock())


def memory(disk: MemoryFilesystem) -> Memory:
    return Memory(disk, state_dir="/state", runtime_dir="/run")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


# -- what is so already ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("code", REFUSALS)
def test_what_happened_already_holds_in_memory_and_reaches_the_disk_with_the_next_write(code: int) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    first, second = book.open(PACKAGE, {"order": b"1"}), book.open(PACKAGE, {"order": b"2"})
    disk.refuses = code
    book.note(first, result=b"r")
    book.close(second, "delivered")
    third = book.adopt(SWITCH, {"phase": "proving"})
    assert [entry.id for entry in book.entries()] == [first, third]
    assert book.entry(first).facts == {"order": b"1", "result": b"r"}
    assert book.unwritten(PACKAGE)
    assert book.trouble is not None
    with pytest.raises(UnknownEntryError):
        book.close(second, "delivered")
    disk.refuses = None
    book.note(first, loads=1)
    assert not book.unwritten(PACKAGE)
    assert book.trouble is None
    disk.power_cut()
    again = journal(disk)
    assert [(entry.id, entry.facts) for entry in again.entries()] == [
        (first, {"order": b"1", "result": b"r", "loads": 1}),
        (third, {"phase": "proving"}),
    ]


def test_until_the_disk_takes_it_a_power_cut_finds_what_was_written_last() -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    first = book.open(PACKAGE, {"order": b"1"})
    disk.refuses = errno.EROFS
    book.note(first, result=b"r")
    disk.refuses = None
    disk.power_cut()
    assert journal(disk).entry(first).facts == {"order": b"1"}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_look_writes_what_the_disk_refused_when_nothing_else_does(code: int) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    first = book.open(PACKAGE, {"order": b"1"})
    disk.refuses = code
    book.close(first, "delivered")
    book.look()
    assert book.trouble is not None
    disk.refuses = None
    book.look()
    assert book.trouble is None
    disk.power_cut()
    assert journal(disk).entries() == ()


@pytest.mark.parametrize("code", REFUSALS)
def test_what_is_about_to_be_done_is_refused_and_memory_stays_as_it_was(code: int) -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    first = book.open(PACKAGE, {"order": b"1"})
    disk.refuses = code
    with pytest.raises(DiskError):
        book.open(PACKAGE, {"order": b"2"})
    with pytest.raises(DiskError):
        book.update(first, loads=1)
    assert [(entry.id, entry.facts) for entry in book.entries()] == [(first, {"order": b"1"})]


def test_a_result_is_noted_beyond_the_caps() -> None:
    book = Journal(MemoryFilesystem(), "/state", Clock(), limits=Limits(size_bytes=1000, reserve_bytes=500))
    first = book.open(PACKAGE, {"raw": bytes(600)})
    book.note(first, result=bytes(3000))
    assert book.entry(first).facts["result"] == bytes(3000)


# -- a journal that cannot be read -------------------------------------------------------------------------------------
def test_a_journal_that_can_be_read_later_is_known_then_and_nothing_was_overwritten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryFilesystem()
    owed = journal(disk).open(PACKAGE, {"order": b"1"})
    disk.crash()
    disk.unreadable = errno.EIO
    book = journal(disk)
    assert book.entries() == ()
    with pytest.raises(DiskError):
        book.open(PACKAGE, {"order": b"2"})
    mine = book.adopt(SWITCH, {"phase": "proving"})
    assert not book.look()
    disk.unreadable = None
    assert book.look()
    assert [entry.id for entry in book.entries()] == [owed, mine]
    assert book.trouble is None
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [owed, mine]
    assert said(caplog) == ["IPA-1213", "IPA-1214"]


def test_an_idle_moment_leaves_a_journal_alone_that_cannot_be_read() -> None:
    """To rewrite it would be to lose what is owed: memory does not know what is in it."""
    disk = MemoryFilesystem()
    owed = journal(disk).open(PACKAGE, {"order": b"1"})
    disk.crash()
    disk.unreadable = errno.EIO
    book = journal(disk)
    book.idle()
    disk.unreadable = None
    assert book.look()
    assert [entry.id for entry in book.entries()] == [owed]


def test_a_journal_that_cannot_be_read_for_an_hour_is_set_aside_so_that_orders_can_be_taken_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk, clock = MemoryFilesystem(), Clock()
    journal(disk).open(PACKAGE, {"order": b"1"})
    image = disk.read(PATH)
    disk.crash()
    disk.unreadable = errno.EIO
    book = journal(disk, clock)
    clock.at_s += UNREAD_PATIENCE_S - 1
    book.look()
    assert book.trouble is not None
    clock.at_s += 1
    book.look()
    assert book.trouble is None
    book.open(PACKAGE, {"order": b"2"})
    disk.unreadable = None
    assert disk.read(PATH + ".unread") == image
    assert said(caplog) == ["IPA-1213", "IPA-1215"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"", "empty"), (bytes(4096), "empty"), (b"\n0000", "without its beginning"), (b"garbage\n", "without")],
)
def test_a_journal_without_its_header_is_damage_and_is_told(
    data: bytes, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk = MemoryFilesystem()
    disk.create(PATH).write(data)
    book = journal(disk)
    assert book.lost
    assert "IPA-1212" in said(caplog)
    assert fault in caplog.text
    assert read_journal(disk.read(PATH)).headed
    book.open(PACKAGE, {})


def test_entries_behind_a_lost_header_are_used_and_marked_as_damaged() -> None:
    disk = MemoryFilesystem()
    book = journal(disk)
    owed = book.open(PACKAGE, {"order": b"1"})
    record = open_record(owed, book.entry(owed))
    disk.create(PATH).write(record)
    again = journal(disk)
    assert [(entry.id, entry.damaged) for entry in again.entries()] == [(owed, True)]
    assert again.lost


def test_a_journal_that_is_there_and_whole_has_lost_nothing_and_a_first_one_may_have() -> None:
    disk = MemoryFilesystem()
    assert journal(disk).lost
    assert not journal(disk).lost


# -- a state directory that is taken away ------------------------------------------------------------------------------
@pytest.mark.parametrize("removal", ["remove_directory", "empty_directory"])
def test_a_removed_journal_is_made_anew_with_what_is_in_memory(removal: str, caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    book, remembered = journal(disk), memory(disk)
    owed = book.open(PACKAGE, {"order": b"1"})
    remembered.save(SCHEDULE, {"due": 7})
    getattr(disk, removal)("/state")
    StateDirectory(book, remembered).look()
    disk.power_cut()
    assert [entry.id for entry in journal(disk).entries()] == [owed]
    assert memory(disk).load(SCHEDULE) == {"due": 7}
    assert said(caplog) == ["IPA-1211"]


def test_a_record_is_not_written_into_a_file_that_was_removed() -> None:
    disk = MemoryFilesystem()
    book, remembered = journal(disk), memory(disk)
    state = StateDirectory(book, remembered)
    owed = book.open(PACKAGE, {"order": b"1"})
    remembered.save(SCHEDULE, {"due": 7})
    disk.remove_directory("/state")
    book.update(owed, loads=1)
    disk.power_cut()
    assert journal(disk).entry(owed).facts == {"order": b"1", "loads": 1}
    state.look()  # the documents too are made anew, although it was the journal that noticed
    assert memory(disk).load(SCHEDULE) == {"due": 7}


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _replaced(folder: Path) -> None:
    folder.rename(folder.with_name("former"))
    folder.mkdir()


@pytest.mark.parametrize("away", [shutil.rmtree, _emptied, _replaced])
def test_on_the_real_disk_a_state_directory_that_was_taken_away_is_made_anew_and_locked_again(
    away: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    disk = RealFilesystem()
    with StateLock(str(folder), str(tmp_path / "run")) as lock:
        book = Journal(disk, str(folder), Clock())
        remembered = Memory(disk, state_dir=str(folder), runtime_dir=str(tmp_path / "run"))
        state = StateDirectory(book, remembered, lock)
        owed = book.open(PACKAGE, {"order": b"1"})
        remembered.save(SCHEDULE, {"due": 7})
        state.look()
        assert said(caplog) == []
        away(folder)
        state.look()
        assert said(caplog) == ["IPA-1217", "IPA-1211"]
        state.look()
        assert said(caplog) == ["IPA-1217", "IPA-1211"]
        assert (folder / "schedule.json").exists()
        assert [entry.id for entry in Journal(disk, str(folder), Clock()).entries()] == [owed]
        with pytest.raises(StateDirectoryBusyError):
            StateLock(str(folder))


# -- one agent ---------------------------------------------------------------------------------------------------------
def test_a_second_agent_is_kept_away_although_somebody_removed_the_state_directory(tmp_path: Path) -> None:
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    with StateLock(state, run):
        shutil.rmtree(state)
        with pytest.raises(StateDirectoryBusyError):
            StateLock(state, run)
    StateLock(state, run).release()


def test_an_agent_that_was_refused_holds_nothing(tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    with StateLock(first), pytest.raises(StateDirectoryBusyError):
        StateLock(second, first)
    StateLock(second).release()


@pytest.mark.parametrize("read_only", ["from the start", "with a lock file", "while it is locked"])
def test_a_read_only_state_directory_is_locked_too(read_only: str, tmp_path: Path) -> None:
    remount = f"mount -o remount,ro {tmp_path}"
    before = {"from the start": remount, "with a lock file": f"touch {tmp_path}/lock; {remount}"}.get(read_only, ":")
    program = (
        "import subprocess, sys; from ipad_agent.store import StateLock, StateDirectoryBusyError\n"
        "first = StateLock(sys.argv[1])\n"
        f"if {read_only!r} == 'while it is locked': subprocess.run({remount.split()}, check=True)\n"
        "try: StateLock(sys.argv[1])\n"
        "except StateDirectoryBusyError: print('busy')"
    )
    namespace = ["unshare", "-m" if os.geteuid() == 0 else "-rm"]
    shell = ["sh", "-ec", f'mount -t tmpfs none {tmp_path}; {before}; exec "$@"', "sh"]
    done = subprocess.run(
        [*namespace, *shell, sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "busy\n"


def test_a_state_directory_that_cannot_be_locked_is_told_and_does_not_keep_the_agent_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING), StateLock(str(tmp_path / "file" / "state")) as lock:
        assert said(caplog) == ["IPA-1216"]
        assert not lock.look()
        assert said(caplog) == ["IPA-1216"]
        (tmp_path / "file").unlink()
        lock.look()
        with pytest.raises(StateDirectoryBusyError):
            StateLock(str(tmp_path / "file" / "state"))


def test_a_directory_that_another_agent_took_meanwhile_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    with StateLock(str(folder)) as lock:
        shutil.rmtree(folder)
        folder.mkdir()
        other = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert lock.look()
        assert said(caplog) == ["IPA-1217", "IPA-1218"]
        os.close(other)


def test_no_file_is_held_open_for_writing_so_that_the_file_system_can_be_remounted_read_only(tmp_path: Path) -> None:
    def written() -> list[str]:
        held = []
        for descriptor in Path("/proc/self/fd").iterdir():
            name = os.readlink(descriptor) if descriptor.exists() else ""
            if name.startswith(str(tmp_path)):
                flags = (Path("/proc/self/fdinfo") / descriptor.name).read_text().split("flags:")[1].split()[0]
                held += [name] if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY else []
        return held

    with StateLock(str(tmp_path)):
        book = Journal(RealFilesystem(), str(tmp_path), Clock())
        assert written() == []
        book.note(book.open(PACKAGE, {"order": b"1"}), result=b"r")
        assert written() == []
        book.idle()
        book.detach()
    file = RealFilesystem().append(str(tmp_path / "journal"))
    file.write(b"x")
    assert written() == [str(tmp_path / "journal")]  # the look sees what it looks for
    file.close()
