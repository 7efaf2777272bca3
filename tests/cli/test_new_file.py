"""Files that commands make for a person."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from ipad_agent.cli.ipactl.errors import CommandError
from ipad_agent.cli.ipactl.output.new_file import READABLE, new_file


def test_only_its_user_reads_a_new_file_unless_it_is_for_others(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        for name, mode in (("mine", None), ("theirs", READABLE)):
            with new_file(tmp_path / name) if mode is None else new_file(tmp_path / name, mode=mode) as file:
                file.write(b"content")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o644
    assert (tmp_path / "mine").read_bytes() == b"content"


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"of somebody")
    with pytest.raises(CommandError, match="exists already") as refused, new_file(there, hint="Take another."):
        raise AssertionError
    assert (refused.value.hint, there.read_bytes()) == ("Take another.", b"of somebody")


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CommandError, match="exists already"), new_file(tmp_path / "link"):
        raise AssertionError
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_left_of_a_file_that_comes_to_nothing(tmp_path: Path) -> None:
    with suppress(KeyError), new_file(tmp_path / "new") as file:
        file.write(b"half")
        raise KeyError
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(CommandError, match=r"nowhere/new cannot be written: No such file"),
        new_file(tmp_path / "nowhere" / "new"),
    ):
        raise AssertionError


def test_a_dash_is_the_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with new_file(Path("-")) as file:
        file.write(b"out")
        file.flush()
    assert capfdbinary.readouterr().out == b"out"
