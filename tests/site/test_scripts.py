from __future__ import annotations

import asyncio
import os
import select
import time
from pathlib import Path

import pytest

from ipad_agent.site import script_runner

from .conftest import Heard
from .places import script

QUICK_S = 1.0
"""Long enough for a shell to begin, on a busy machine too."""


async def gone(pid: int) -> bool:
    """Whether a killed process ends; that is when the kernel gets to it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ended, _, _ = await asyncio.to_thread(select.select, [handle], [], [], 5)
    finally:
        os.close(handle)
    return bool(ended)


async def test_a_script_sees_only_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/secrets")
    path = script(tmp_path / "d", "10-env", f'env | sort > {tmp_path}/env; echo "$1"; pwd')
    ran = await script_runner.run(path, ("pre-switch",), {"IPAD_ICCID": "8949\0; $(reboot)"}, timeout_s=10)
    assert (ran.ok, ran.last_line) == (True, "/")
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert found.keys() - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LANG", "IPAD_ICCID"}  # those are the shell's own
    assert found["IPAD_ICCID"] == "8949; $(reboot)"
    assert "/usr/bin" in found["PATH"]


async def test_arguments_and_standard_input_are_harmless(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", 'cat; echo "<$1>"')
    ours, writing = os.dup(0), os.memfd_create("input")
    os.write(writing, b"what the agent was given\n")
    os.lseek(writing, 0, os.SEEK_SET)
    try:
        os.dup2(writing, 0)
        ran = await script_runner.run(path, ("a b; exit 7",), {}, timeout_s=10)
        assert os.lseek(0, 0, os.SEEK_CUR) == 0
    finally:
        os.dup2(ours, 0)
        os.close(ours)
        os.close(writing)
    assert ran.last_line == "<a b; exit 7>"


async def test_the_last_line_is_the_reason_short_and_printable(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", "echo first; printf '\\n  tank is \\033[1mempty  \\n\\n' >&2; exit 3")
    ran = await script_runner.run(path, (), {}, timeout_s=10)
    assert (ran.status, ran.ok, ran.reason) == (3, False, "tank is ?[1mempty")
    path = script(tmp_path / "d", "20", "head -c 300 /dev/zero | tr '\\0' x; exit 1")
    assert (await script_runner.run(path, (), {}, timeout_s=10)).reason == "x" * 200
    path = script(tmp_path / "d", "30", "exit 4")
    assert (await script_runner.run(path, (), {}, timeout_s=10)).reason == "ended with status 4"
    path = script(tmp_path / "d", "40", "kill -9 $$")
    assert (await script_runner.run(path, (), {}, timeout_s=10)).reason == "ended by signal 9"


async def test_output_without_end_is_thrown_away_and_holds_nobody_up(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", "head -c 3000000 /dev/zero | tr '\\0' '\\n'; echo done")
    ran = await script_runner.run(path, (), {}, timeout_s=10)
    assert (ran.ok, ran.last_line) == (True, "done")


async def test_a_script_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; wait; wait")
    ran = await script_runner.run(path, (), {}, timeout_s=QUICK_S)
    assert (ran.status, ran.reason, ran.started) == (None, "did not answer in 1 s", True)
    assert await gone(int((tmp_path / "child").read_text()))


async def test_what_a_script_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", f"sleep 60 & echo $! > {tmp_path}/child; echo ready")
    ran = await script_runner.run(path, (), {}, timeout_s=30)
    assert (ran.ok, ran.last_line) == (True, "ready")
    assert await gone(int((tmp_path / "child").read_text()))


async def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", f"setsid sleep 60 & echo $! > {tmp_path}/child; sleep 0.05; echo ready")
    started_s = time.monotonic()
    ran = await script_runner.run(path, (), {}, timeout_s=30)
    assert (ran.ok, ran.last_line) == (True, "ready")
    assert time.monotonic() - started_s < 30
    os.kill(int((tmp_path / "child").read_text()), 9)


async def test_a_script_is_killed_when_its_caller_is_called_off(tmp_path: Path) -> None:
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    path = script(tmp_path / "d", "10", f"echo $$ > {fifo}; sleep 60")
    task = asyncio.create_task(script_runner.run(path, (), {}, timeout_s=30))
    pid = int(await asyncio.to_thread(fifo.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pid)


async def test_what_cannot_be_started_is_a_result_and_no_error(tmp_path: Path) -> None:
    path = script(tmp_path / "d", "10", "echo", shell="#!/nowhere/sh\n")
    ran = await script_runner.run(path, (), {}, timeout_s=10)
    assert (ran.status, ran.started, ran.reason) == (None, False, "cannot be started: No such file or directory")
    path = script(tmp_path / "d", "20", "echo", shell="")
    ran = await script_runner.run(path, (), {}, timeout_s=10)
    assert (ran.started, ran.reason) == (False, "cannot be started: Exec format error")


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    good = script(tmp_path / "d", "10", "echo")
    bad = script(tmp_path / "d", "20", "echo", shell="#!/nowhere/sh\n")
    hangs = script(tmp_path / "d", "30", "sleep 60")
    daemon = script(tmp_path / "d", "40", f"setsid sleep 60 & echo $! > {tmp_path}/child; sleep 0.05")
    await script_runner.run(good, (), {}, timeout_s=10)
    before = sorted(os.listdir("/proc/self/fd"))
    for path, timeout_s in ((good, 10), (bad, 10), (hangs, 0.05), (daemon, 10)):
        await script_runner.run(path, (), {}, timeout_s=timeout_s)
    os.kill(int((tmp_path / "child").read_text()), 9)
    await asyncio.sleep(0)
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_without_a_free_descriptor_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", full)
    ran = await script_runner.run(script(tmp_path / "d", "10", "echo"), (), {}, timeout_s=10)
    assert (ran.ok, ran.started, ran.reason) == (False, False, "cannot be started: Too many open files")


def test_a_folder_that_may_not_be_read_is_reported_once(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    script(tmp_path / "d", "10", "true")
    monkeypatch.setattr(Path, "stat", closed)
    assert script_runner.executables(tmp_path / "d") == ()
    assert script_runner.executables(tmp_path / "d") == ()
    assert heard.all == [("IPA-1401", {"path": str(tmp_path / "d"), "reason": "Permission denied"})]


def test_scripts_are_found_in_order_of_names_without_leftovers(tmp_path: Path, heard: Heard) -> None:
    folder = tmp_path / "d"
    for name in ("20-b", "10-a", "30-c.sh", ".hidden", "10-a~", "10-a.bak", "10-a.dpkg-old", "10-a.rpmnew"):
        script(folder, name, "true")
    (folder / "40-folder").mkdir()
    assert [path.name for path in script_runner.executables(folder)] == ["10-a", "20-b", "30-c.sh"]
    assert heard.all == []


def test_a_folder_that_is_not_there_holds_no_scripts(tmp_path: Path, heard: Heard) -> None:
    assert script_runner.executables(tmp_path / "none") == ()
    script(tmp_path, "file", "true")
    assert script_runner.executables(tmp_path / "file") == ()
    assert heard.all == []


@pytest.mark.parametrize(
    ("mode", "owner", "reason"),
    [
        (0o644, None, "it is not executable"),
        (0o757, None, "everybody may write to it"),
        (0o755, 54321, "it belongs to user 54321"),
    ],
)
def test_a_file_that_may_be_somebody_elses_is_refused_and_reported_once(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int | None, reason: str
) -> None:
    path = script(tmp_path / "d", "10", "true", mode=mode)
    good = script(tmp_path / "d", "20", "true")
    _owned_by(monkeypatch, path, owner)
    assert script_runner.executables(tmp_path / "d") == (good,)
    assert script_runner.executables(tmp_path / "d") == (good,)
    assert heard.all == [("IPA-1401", {"path": str(path), "reason": reason})]


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path, heard: Heard) -> None:
    target = script(tmp_path, "elsewhere", "true", mode=0o777)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "10").symlink_to(target)
    (tmp_path / "d" / "20").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d" / "30").symlink_to("/dev/null")
    assert script_runner.executables(tmp_path / "d") == ()
    assert [facts["reason"] for _, facts in heard.all] == [
        "everybody may write to it",
        "No such file or directory",
        "it is no file",
    ]


def test_a_folder_that_may_be_somebody_elses_is_refused_as_a_whole(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "d", "10", "true")
    (tmp_path / "d").chmod(0o777)
    assert script_runner.executables(tmp_path / "d") == ()
    (tmp_path / "d").chmod(0o755)
    _owned_by(monkeypatch, tmp_path / "d", 54321)
    assert script_runner.executables(tmp_path / "d") == ()
    assert heard.ids() == ["IPA-1401", "IPA-1401"]


def _owned_by(monkeypatch: pytest.MonkeyPatch, path: Path, owner: int | None) -> None:
    """Let the file system say that this belongs to somebody; only root could really give it away."""
    if owner is None:
        return
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(self, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:4], owner, *found[5:10])) if self == path else found

    monkeypatch.setattr(Path, "stat", stat)
