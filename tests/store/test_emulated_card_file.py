"""The memory of an emulated card: what is about to be done is on the disk before, and nothing older ever counts."""

from __future__ import annotations

import contextlib
import errno

import pytest

from ipad_agent.store import DiskError, EmulatedCardFile, EmulatedCardFiles, UnstorableValueError
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut

EID = "89049032000000000000000000000163"
PATH = f"/state/emulated-{EID}.json"


def opened(disk: MemoryFilesystem) -> EmulatedCardFile:
    return EmulatedCardFile(disk, "/state", EID)


def test_what_was_written_survives_a_power_cut() -> None:
    disk = MemoryFilesystem()
    opened(disk).write({"counter": 1})
    opened(disk).write({"counter": 2, "raw": b"\x00\xff"})
    disk.power_cut()
    assert opened(disk).load() == {"counter": 2, "raw": b"\x00\xff"}


@pytest.mark.parametrize("allowance", range(0, 160, 3))
def test_a_power_cut_at_any_byte_leaves_one_of_the_two(allowance: int) -> None:
    disk = MemoryFilesystem()
    opened(disk).write({"counter": 1})
    disk.allowance = allowance
    with contextlib.suppress(PowerCut):
        opened(disk).write({"counter": 2})
    disk.power_cut()
    assert opened(disk).load() in ({"counter": 1}, {"counter": 2})


def test_a_disk_that_refuses_is_told_and_the_old_counts_on() -> None:
    disk = MemoryFilesystem()
    file = opened(disk)
    file.write({"counter": 1})
    disk.refuses = errno.EROFS
    with pytest.raises(DiskError):
        file.write({"counter": 2})
    assert file.load() == {"counter": 1}
    assert file.trouble is not None


def test_a_disk_that_takes_things_again_after_a_refused_write_is_trouble_no_longer() -> None:
    disk = MemoryFilesystem()
    files = EmulatedCardFiles(disk, "/state")
    file = files.file(EID)
    file.write({"counter": 1})
    disk.refuses = errno.EROFS
    with pytest.raises(DiskError):
        file.write({"counter": 2})
    disk.refuses = None
    files.look()
    assert files.trouble is None
    disk.power_cut()
    assert opened(disk).load() == {"counter": 1}


def test_what_is_held_counts_at_once_and_reaches_the_disk_when_it_can() -> None:
    disk = MemoryFilesystem()
    files = EmulatedCardFiles(disk, "/state")
    file = files.file(EID)
    file.write({"counter": 1})
    disk.refuses = errno.ENOSPC
    file.hold({"counter": 2})
    assert file.load() == {"counter": 2}
    assert opened(disk).load() == {"counter": 1}
    assert files.trouble is not None
    disk.refuses = None
    files.look()
    assert files.trouble is None
    disk.power_cut()
    assert opened(disk).load() == {"counter": 2}


@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 40])
def test_a_damaged_file_is_set_aside_and_never_answered_from_an_older_one(damage: bytes) -> None:
    disk = MemoryFilesystem()
    opened(disk).write({"counter": 1})
    opened(disk).write({"counter": 2})
    file = disk.create(PATH)
    file.write(damage)
    file.sync()
    again = opened(disk)
    assert again.load() is None
    assert again.lost
    assert disk.read(f"{PATH}.damaged") == damage


def test_one_changed_byte_is_noticed() -> None:
    disk = MemoryFilesystem()
    opened(disk).write({"counter": 5})
    sealed = disk.read(PATH).replace(b'"counter":5', b'"counter":4')
    file = disk.create(PATH)
    file.write(sealed)
    file.sync()
    assert opened(disk).load() is None


def test_a_file_of_a_newer_release_is_neither_read_nor_overwritten() -> None:
    disk = MemoryFilesystem()
    opened(disk).write({"counter": 5})
    newer = disk.read(PATH).replace(b'"emulated-card":1', b'"emulated-card":2')
    file = disk.create(PATH)
    file.write(newer)
    file.sync()
    with pytest.raises(DiskError):
        opened(disk).load()
    assert disk.read(PATH) == newer


def test_a_file_that_is_gone_is_made_anew_from_memory() -> None:
    disk = MemoryFilesystem()
    files = EmulatedCardFiles(disk, "/state")
    files.file(EID).write({"counter": 7})
    disk.remove(PATH)
    files.look(lost=True)
    assert opened(disk).load() == {"counter": 7}


@pytest.mark.parametrize("eid", ["", "../journal", "8904903200000000000000000000016g", EID + "\n"])
def test_a_name_that_is_no_eid_becomes_no_file(eid: str) -> None:
    with pytest.raises(UnstorableValueError):
        EmulatedCardFile(MemoryFilesystem(), "/state", eid)
