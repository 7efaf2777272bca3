from __future__ import annotations

import pytest

from ipad_agent.procedures import ports
from ipad_agent.procedures.records.owed_work import WorkKind, WorkList
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.store import Journal, Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut


class StoppedClock:
    def wall(self) -> float:
        return 1_700_000_000.5

    def monotonic(self) -> float:
        return 12.25

    def boot_id(self) -> str:
        return "boot-1"


def journal(disk: MemoryFilesystem) -> ports.Journal:
    return Journal(disk, "/state", StoppedClock())


def memory(disk: MemoryFilesystem) -> ports.Memory:
    return Memory(disk, state_dir="/state", runtime_dir="/run")


def test_work_the_procedures_took_is_their_work_again_after_a_power_cut() -> None:
    disk = MemoryFilesystem()
    work_list = WorkList(journal(disk))
    work = work_list.take("eim.example", b"\x30\x00", WorkKind.PACKAGE, b"\xbf\x51\x00", b"\x01")
    work_list.about_to_load(work)
    work_list.answered(work, b"\xbf\x51\x02\x30\x00")
    disk.power_cut()
    (entry,) = journal(disk).entries("package")
    assert entry.id == work.id
    assert entry.facts["order"] == b"\xbf\x51\x00"
    assert entry.facts["loads"] == 1
    assert entry.facts["result"] == b"\xbf\x51\x02\x30\x00"


def test_the_profiles_the_procedures_learned_are_known_after_a_power_cut() -> None:
    disk = MemoryFilesystem()
    StateChanges(memory(disk)).learn("eid", {"iccid": "enabled"})
    disk.power_cut()
    assert StateChanges(memory(disk)).known_profiles() == {"iccid": "enabled"}


@pytest.mark.parametrize(
    ("allowance", "free", "kept", "error"),
    [(None, None, 5, None), (5, 5, 5, None), (3, None, 3, PowerCut), (None, 3, 3, OSError), (3, 2, 2, OSError),
     (2, 3, 2, PowerCut), (2, 2, 2, PowerCut), (0, 0, 0, PowerCut)],
)  # fmt: skip
def test_a_write_ends_at_the_byte_at_which_power_or_space_ends(
    allowance: int | None, free: int | None, kept: int, error: type[BaseException] | None
) -> None:
    disk = MemoryFilesystem()
    file = disk.create("/f")
    disk.allowance, disk.free_bytes = allowance, free
    if error is None:
        file.write(b"12345")
    else:
        with pytest.raises(error):
            file.write(b"12345")
    disk.allowance = None
    assert disk.read("/f") == b"12345"[:kept]
