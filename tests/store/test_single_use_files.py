"""What must not be used twice is nowhere any more when it is given away."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ipad_agent.store.errors import UnstorableValueError
from ipad_agent.store.filesystem import RealFilesystem
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.store.single_use_files import SingleUseFiles
from ipad_agent.store.state_documents import CONNECTIONS, Memory


class Refusing(RealFilesystem):
    """A disk that does not do one thing."""

    def __init__(self, refused: str) -> None:
        self.refused = refused

    def rename(self, source: str, target: str) -> None:
        self._ask("rename")
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self._ask("remove")
        super().remove(path)

    def _ask(self, what: str) -> None:
        if what == self.refused:
            raise OSError(errno.EROFS, "read-only")


def test_what_was_put_is_given_once_and_no_copy_stays(tmp_path: Path) -> None:
    files = SingleUseFiles(RealFilesystem(), str(tmp_path / "connections"))
    files.put("a", b"first")
    files.put("a", b"second")
    assert files.take("a") == b"second"
    assert files.take("a") is None
    assert os.listdir(tmp_path / "connections") == []


def test_it_outlives_the_process_and_is_for_the_agents_user_only(tmp_path: Path) -> None:
    SingleUseFiles(RealFilesystem(), str(tmp_path / "c")).put("a", b"x")
    assert (tmp_path / "c" / "a").stat().st_mode & 0o777 == 0o600
    assert SingleUseFiles(RealFilesystem(), str(tmp_path / "c")).take("a") == b"x"


def test_what_the_disk_does_not_let_go_of_is_not_given(tmp_path: Path) -> None:
    SingleUseFiles(RealFilesystem(), str(tmp_path)).put("a", b"x")
    assert SingleUseFiles(Refusing("remove"), str(tmp_path)).take("a") is None


def test_a_disk_that_refuses_keeps_what_it_had_and_nobody_is_troubled(tmp_path: Path) -> None:
    SingleUseFiles(RealFilesystem(), str(tmp_path)).put("a", b"old")
    SingleUseFiles(Refusing("rename"), str(tmp_path)).put("a", b"new")
    assert SingleUseFiles(RealFilesystem(), str(tmp_path)).take("a") == b"old"


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(UnstorableValueError):
        SingleUseFiles(MemoryFilesystem(), "/run").put("../x", b"")


def test_they_live_in_the_runtime_folder() -> None:
    disk = MemoryFilesystem()
    Memory(disk, state_dir="/state", runtime_dir="/run/agent").single_use(CONNECTIONS).put("a", b"x")
    assert disk.read("/run/agent/connections/a") == b"x"
