from __future__ import annotations

import errno
import logging
import os
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.store.document_file import DocumentFile
from ipad_agent.store.errors import UnstorableValueError
from ipad_agent.store.filesystem import MAX_FILE_BYTES, RealFilesystem
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut
from ipad_agent.store.state_documents import BLOCK_SIZES, CHANNELS, PROFILES, RADIO, SCHEDULE, SESSIONS, Memory

PATH = "/state/schedule.json"


def document(disk: MemoryFilesystem, schema: int = 1) -> DocumentFile:
    return DocumentFile(disk, PATH, schema=schema)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event.id for record in caplog.records if hasattr(record, "event")]


def test_a_document_that_was_never_written_is_empty_and_nothing_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert document(MemoryFilesystem()).load() == {}
    assert said(caplog) == []


def test_a_saved_document_reads_back_after_the_power_went() -> None:
    disk = MemoryFilesystem()
    document(disk).save({"due": 7, "raw": b"\x00\xff"})
    disk.power_cut()
    assert document(disk).load() == {"due": 7, "raw": b"\x00\xff"}


def test_the_format_on_disk_is_one_readable_line_with_version_and_checksum() -> None:
    disk = MemoryFilesystem()
    document(disk, schema=3).save({"a": 1})
    # CRC-32 of the seven bytes {"a":1}, from `printf '{"a":1}' | gzip -c | tail -c8 | od -A n -t x4 -N4`.
    assert disk.read(PATH) == b'{"schema":3,"crc32":"561bacaf","data":{"a":1}}\n'


@pytest.mark.parametrize("offset", range(0, 60, 3))
def test_a_damaged_byte_makes_the_previous_generation_come_back(offset: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"generation": 1, "filler": "x" * 40})
    stored.save({"generation": 2, "filler": "x" * 40})
    disk.corrupt(PATH, offset, bytes([disk.read(PATH)[offset] ^ 0x20]))
    assert document(disk).load()["generation"] == 1
    assert said(caplog) == ["IPA-1201"]


def test_when_both_generations_are_damaged_the_document_is_empty_and_that_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"generation": 1})
    stored.save({"generation": 2})
    disk.corrupt(PATH, 30, b"????")
    disk.corrupt(PATH + ".bak", 30, b"????")
    assert document(disk).load() == {}
    assert said(caplog) == ["IPA-1202"]


def test_a_damaged_file_never_replaces_the_good_backup() -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"generation": 1})
    stored.save({"generation": 2})
    disk.corrupt(PATH, 30, b"????")
    document(disk).save({"generation": 3})
    disk.corrupt(PATH, 30, b"????")
    assert document(disk).load() == {"generation": 1}


def test_a_file_of_another_schema_is_not_misread(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    document(disk, schema=1).save({"interval": 5})
    assert document(disk, schema=2).load() == {}
    assert said(caplog) == ["IPA-1202"]


def test_a_file_of_a_newer_version_is_kept_aside_untouched_and_said(caplog: pytest.LogCaptureFixture) -> None:
    disk = MemoryFilesystem()
    document(disk, schema=2).save({"interval": 5})
    image = disk.read(PATH)
    stored = document(disk, schema=1)
    assert stored.load() == {}
    assert said(caplog) == ["IPA-1292"]
    stored.save({"interval": 7})
    stored.save({"interval": 8})
    disk.power_cut()
    assert disk.read(PATH + ".v2") == image
    assert document(disk, schema=1).load() == {"interval": 8}
    assert said(caplog) == ["IPA-1292"]


def test_beside_a_file_of_a_newer_version_the_generation_that_can_be_read_is_used() -> None:
    disk = MemoryFilesystem()
    document(disk, schema=1).save({"interval": 5})
    disk.rename(PATH, PATH + ".bak")  # what saving keeps of the generation before
    document(disk, schema=2).save({"interval": 6})
    assert document(disk, schema=1).load() == {"interval": 5}


class Unmovable(MemoryFilesystem):
    """A disk that does not let go of a file's name."""

    stuck = True

    def rename(self, source: str, target: str) -> None:
        if self.stuck and target.endswith(".v2"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), source)
        super().rename(source, target)


def test_a_file_of_a_newer_version_is_not_overwritten_by_a_disk_that_cannot_set_it_aside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Unmovable()
    document(disk, schema=2).save({"interval": 5})
    image = disk.read(PATH)
    stored = document(disk, schema=1)
    assert stored.load() == {}
    stored.save({"interval": 7})
    assert disk.read(PATH) == image
    assert said(caplog) == ["IPA-1208"]
    disk.stuck = False
    stored.retry()
    assert disk.read(PATH + ".v2") == image
    assert document(disk, schema=1).load() == {"interval": 7}


def test_a_file_of_a_newer_version_that_somebody_removed_keeps_nothing_from_being_written() -> None:
    disk = Unmovable()
    document(disk, schema=2).save({"interval": 5})
    stored = document(disk, schema=1)
    stored.load()
    disk.remove(PATH)
    disk.stuck = False
    stored.save({"interval": 7})
    assert document(disk, schema=1).load() == {"interval": 7}


def test_saving_what_is_already_there_writes_nothing() -> None:
    disk = MemoryFilesystem()
    document(disk).save({"a": 1})
    again = document(disk)
    again.load()
    disk.allowance = 0
    again.save({"a": 1})


def test_a_change_of_type_alone_is_written() -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"a": 1})
    stored.save({"a": True})
    assert document(disk).load()["a"] is True


def test_changing_what_load_returned_does_not_change_what_is_remembered() -> None:
    stored = document(MemoryFilesystem())
    stored.save({"a": {"b": 1}})
    inner = stored.load()["a"]
    assert isinstance(inner, dict)
    inner["b"] = 2
    assert stored.load() == {"a": {"b": 1}}


def test_what_a_full_disk_refuses_is_remembered_and_the_previous_document_stays_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"a": 1})
    disk.free_bytes = 5
    stored.save({"a": 2})
    assert stored.load() == {"a": 2}
    assert stored.trouble == f"{PATH} could not be written: No space left on device"
    assert document(disk).load() == {"a": 1}
    stored.save({"a": 3})  # no news: it is said once
    disk.free_bytes = None
    stored.retry()
    assert stored.trouble is None
    disk.power_cut()
    assert document(disk).load() == {"a": 3}
    assert said(caplog) == ["IPA-1208", "IPA-1210"]


@pytest.mark.parametrize("step", ["sync_error", "sync_directory_error", "refuses"])
def test_a_disk_that_fails_at_any_step_of_a_save_is_told_of_and_gets_it_later(step: str) -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"a": 1})
    setattr(disk, step, errno.EIO)
    stored.save({"a": 2})
    assert stored.trouble is not None
    setattr(disk, step, None)
    stored.save({"a": 2})
    disk.power_cut()
    assert document(disk).load() == {"a": 2}
    assert stored.trouble is None


def test_a_document_that_could_not_be_read_is_not_overwritten_by_what_is_remembered_instead() -> None:
    disk = MemoryFilesystem()
    document(disk).save({"a": 1, "b": 1})
    disk.unreadable = errno.EIO
    stored = document(disk)
    assert stored.load() == {}
    assert stored.trouble == f"{PATH} is unreadable (Input/output error)"
    disk.refuses = errno.EROFS
    stored.save({"b": 2})
    assert stored.load() == {"b": 2}
    disk.unreadable = disk.refuses = None
    stored.retry()
    assert stored.load() == document(disk).load() == {"a": 1, "b": 2}
    assert stored.trouble is None


def test_a_document_that_can_be_read_later_is_known_then() -> None:
    disk = MemoryFilesystem()
    document(disk).save({"a": 1})
    disk.unreadable = errno.EIO
    stored = document(disk)
    assert stored.load() == {}
    stored.retry()
    assert stored.load() == {}
    disk.unreadable = None
    stored.retry()
    assert stored.load() == {"a": 1}
    assert stored.trouble is None


def test_a_document_whose_file_was_removed_can_be_saved_all_the_same() -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"a": 1})
    disk.empty_directory("/state")
    stored.save({"a": 2})
    assert document(disk).load() == {"a": 2}


def test_after_a_failed_save_the_old_data_can_be_saved_again() -> None:
    disk = MemoryFilesystem()
    stored = document(disk)
    stored.save({"a": 1})
    disk.sync_directory_error = errno.EIO
    stored.save({"a": 2})
    disk.sync_directory_error = None
    stored.save({"a": 1})
    assert document(disk).load() == {"a": 1}


def test_what_is_no_plain_data_is_refused_and_nothing_is_written() -> None:
    disk = MemoryFilesystem()
    with pytest.raises(UnstorableValueError):
        document(disk).save({"a": object()})
    assert disk.names() == frozenset()


def _save_generations(disk: MemoryFilesystem, count: int) -> int:
    """Save documents 1..count until the power goes; returns the last one whose call returned."""
    saved = 0
    try:
        for generation in range(1, count + 1):
            document(disk).save({"generation": generation})
            saved = generation
    except PowerCut:
        pass
    return saved


def _generation(disk: MemoryFilesystem) -> int:
    value = document(disk).load().get("generation", 0)
    assert isinstance(value, int)
    return value


@given(cut=st.integers(0, 700), seed=st.integers(0, 2**32))
def test_after_a_cut_at_any_byte_the_last_saved_generation_or_the_one_under_way_is_there(cut: int, seed: int) -> None:
    disk = MemoryFilesystem(allowance=cut)
    saved = _save_generations(disk, 5)
    disk.power_cut(random.Random(seed))
    assert saved <= _generation(disk) <= saved + 1
    document(disk).save({"generation": 9})
    disk.power_cut()
    assert _generation(disk) == 9


def test_the_cut_test_notices_a_disk_that_does_not_sync() -> None:
    losses = 0
    for seed in range(50):
        disk = MemoryFilesystem(allowance=400)
        disk.honest_sync = False
        saved = _save_generations(disk, 5)
        disk.power_cut(random.Random(seed))
        losses += _generation(disk) < saved
    assert losses > 0


@given(st.binary(max_size=200))
def test_any_bytes_in_the_file_are_survived(data: bytes) -> None:
    disk = MemoryFilesystem()
    file = disk.create(PATH)
    file.write(data)
    assert document(disk).load() == {}


def test_on_the_real_disk_files_are_private_and_leave_no_temporary_behind(tmp_path: Path) -> None:
    memory = Memory(RealFilesystem(), state_dir=str(tmp_path / "state"), runtime_dir=str(tmp_path / "run"))
    memory.save(SCHEDULE, {"a": 1})
    memory.save(SCHEDULE, {"a": 2})
    memory.save(CHANNELS, {"open": [1, 2]})
    again = Memory(RealFilesystem(), state_dir=str(tmp_path / "state"), runtime_dir=str(tmp_path / "run"))
    assert again.load(SCHEDULE) == {"a": 2}
    assert again.load(CHANNELS) == {"open": (1, 2)}
    assert again.load(PROFILES) == {}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "schedule.json",
        "schedule.json.bak",
        "channels.json",
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("state", "run")} == {0o700}


def test_volatile_documents_live_in_the_runtime_directory_only() -> None:
    disk = MemoryFilesystem()
    memory = Memory(disk, state_dir="/state", runtime_dir="/run")
    for name in (SCHEDULE, PROFILES, RADIO, BLOCK_SIZES, CHANNELS, SESSIONS):
        memory.save(name, {"a": 1})
    assert {path for path in disk.names() if path.startswith("/run/")} == {"/run/channels.json", "/run/sessions.json"}


def test_what_means_nothing_after_a_reboot_is_never_synced_and_outlives_the_process() -> None:
    disk = MemoryFilesystem()
    disk.sync_error = disk.sync_directory_error = errno.EIO  # whoever syncs is told
    memory = Memory(disk, state_dir="/state", runtime_dir="/run")
    memory.save(CHANNELS, {"open": 1})
    memory.save(CHANNELS, {"open": 2})
    assert memory.trouble is None
    assert disk.names() == {"/run/channels.json"}
    disk.crash()
    assert Memory(disk, state_dir="/state", runtime_dir="/run").load(CHANNELS) == {"open": 2}


def test_a_symbolic_link_in_place_of_a_state_file_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"schema":1,"crc32":"561bacaf","data":{"a":1}}\n')
    os.symlink(secret, tmp_path / "schedule.json")
    stored = DocumentFile(RealFilesystem(), str(tmp_path / "schedule.json"))
    assert stored.load() == {}
    stored.save({"a": 5})
    assert "561bacaf" in secret.read_text()
    assert stored.load() == {"a": 5}


def test_a_file_that_grew_without_bound_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert DocumentFile(RealFilesystem(), str(path)).load() == {}


@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", "a.json", "x" * 60])
def test_a_document_name_cannot_leave_the_state_directory(name: str) -> None:
    memory = Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")
    with pytest.raises(UnstorableValueError):
        memory.load(name)
    with pytest.raises(UnstorableValueError):
        memory.save(name, {})


def test_a_document_deeper_than_can_be_written_again_counts_as_damaged() -> None:
    text = b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"
    disk = MemoryFilesystem()
    disk.create(PATH).write(b'{"schema":1,"crc32":"%08x","data":%s}\n' % (zlib.crc32(text), text))
    assert document(disk).load() == {}


def test_a_file_that_is_far_too_large_is_refused_and_not_taken_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - by its number
        RealFilesystem().read(str(path))
    assert refused.value.errno == errno.EFBIG
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    assert len(RealFilesystem().read(str(path))) == MAX_FILE_BYTES
