"""Locks of a port among neighbours who cannot be seen, and among those who mean no good."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ipad_agent import events
from ipad_agent.modem.errors import PortBusy
from ipad_agent.modem.port import port_lock as lock
from ipad_agent.modem.port.port_lock import FIRST_PID_NAMESPACE, PortLock, proven_dead, sees_every_process
from ipad_agent.modem.port.serial_port import SerialSettings, SerialStream

NOBODY_HAS_THIS = 2_000_000_000


@dataclass(frozen=True)
class Place:
    """A port, the folder of locks that everybody writes to, the agent's own folder, and a ``/proc`` that hides."""

    device: Path
    shared: Path
    own: Path
    hiding: Path

    def lock(self) -> PortLock:
        return PortLock(self.device, self.shared, self.own, proc=self.hiding)

    @property
    def uucp(self) -> Path:
        return self.shared / f"LCK..pts_{self.device.name}"

    @property
    def own_file(self) -> Path:
        return self.own / f"ipad-agent.pts_{self.device.name}.lock"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    master, slave = pty.openpty()
    names = [tmp_path / name for name in ("shared", "own", "proc")]
    for name in names:
        name.mkdir()
    show_namespace(names[2], FIRST_PID_NAMESPACE)
    yield Place(Path(os.ttyname(slave)), *names)
    os.close(master)
    os.close(slave)


@pytest.fixture
def said() -> Iterator[list[str]]:
    found: list[str] = []
    end = events.listen(lambda event, facts: found.append(event.id))
    yield found
    end()


def show_namespace(proc: Path, name: str) -> None:
    here = proc / "self" / "ns"
    here.mkdir(parents=True, exist_ok=True)
    (here / "pid").unlink(missing_ok=True)
    (here / "pid").symlink_to(name)


def others_file(monkeypatch: pytest.MonkeyPatch, *, may_open: bool) -> None:
    """Files made in this test count as those of another user, who may or may not open the port."""
    monkeypatch.setattr(lock, "_may_open", lambda uid, device: may_open)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)


def test_a_holder_that_proc_does_not_show_is_alive(place: Place) -> None:
    place.uucp.write_text(f"{os.getppid():10d}\n")
    with pytest.raises(PortBusy, match=f"process {os.getppid()} .its name cannot be seen."):
        place.lock().acquire()
    assert place.uucp.exists()


def test_a_holder_that_is_proven_dead_does_not_hold_and_that_is_said(place: Place, said: list[str]) -> None:
    place.uucp.write_text(f"{NOBODY_HAS_THIS:10d}\n")
    held = place.lock()
    held.acquire()
    assert int(place.uucp.read_text()) == os.getpid()
    assert said == ["IPA-2036"]
    held.release()
    assert not place.uucp.exists()


def test_in_a_container_no_number_proves_a_death(place: Place) -> None:
    show_namespace(place.hiding, "pid:[4026532999]")
    place.uucp.write_text(f"{NOBODY_HAS_THIS:10d}\n")
    with pytest.raises(PortBusy):
        place.lock().acquire()
    assert place.uucp.exists()


def test_death_is_asked_of_the_kernel() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not proven_dead(child.pid)
    child.communicate(b"\n")
    assert proven_dead(child.pid) == (os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE)
    assert not proven_dead(1), "another user's process, unless root runs this"


def test_the_lock_that_we_left_behind_when_killed_is_ours_whoever_has_our_number_now(place: Place) -> None:
    place.own_file.write_text(f"{os.getppid():10d}\n")
    place.uucp.write_text(f"{os.getppid():10d}\n")
    held = place.lock()
    held.acquire()
    assert int(place.uucp.read_text()) == os.getpid()
    held.release()


def test_a_lock_of_somebody_who_may_not_open_the_port_is_not_heeded_and_not_removed(
    place: Place, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.uucp.write_text("         1\n")
    others_file(monkeypatch, may_open=False)
    held = place.lock()
    held.acquire()
    assert "IPA-2035" in said
    held.release()
    assert place.uucp.read_text() == "         1\n"


def test_a_lock_of_another_user_who_may_open_the_port_is_heeded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.uucp.write_text("         1\n")
    others_file(monkeypatch, may_open=True)
    with pytest.raises(PortBusy):
        place.lock().acquire()


@pytest.mark.parametrize(
    ("uid", "mode", "expected"),
    [(0, 0o600, True), (64_000, 0o600, False), (64_000, 0o660, False), (64_000, 0o666, True)],
)
def test_who_may_open_a_port_is_told_by_owner_mode_and_group(
    uid: int, mode: int, expected: bool, tmp_path: Path
) -> None:
    node = tmp_path / "node"
    node.touch()
    node.chmod(mode)
    assert lock._may_open(uid, node) is expected
    assert lock._may_open(os.geteuid(), node)


def test_a_lock_that_cannot_be_read_is_held(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.uucp.write_text("")
    real_open = os.open

    def refusing(path: os.PathLike[str] | str, flags: int, mode: int = 0o777) -> int:
        if Path(path) == place.uucp and not flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PortBusy, match="cannot be told"):
        place.lock().acquire()
    assert place.uucp.exists()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "socket"])
def test_what_is_no_file_is_no_lock(kind: str, place: Place, said: list[str], tmp_path: Path) -> None:
    match kind:
        case "link":
            target = tmp_path / "target"
            target.write_text("         1\n")
            place.uucp.symlink_to(target)
        case "folder":
            place.uucp.mkdir()
        case "pipe":
            os.mkfifo(place.uucp)
        case _:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(place.uucp))
    held = place.lock()
    held.acquire()
    held.release()
    assert "IPA-2035" in said
    assert place.uucp.is_symlink() or place.uucp.exists()


def test_a_squatted_lock_of_ours_in_the_shared_folder_stops_nobody(place: Place) -> None:
    squatted = place.shared / place.own_file.name
    squatted.touch()
    with squatted.open("rb") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        held = place.lock()
        held.acquire()
        held.release()


@pytest.mark.parametrize("kind", ["stranger's file", "folder", "link", "no folder"])
def test_the_port_is_opened_without_a_lock_file_of_our_own_and_that_is_said(
    kind: str, place: Place, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SerialSettings(place.device, lock_folder=place.shared, own_lock_folder=place.own)
    match kind:
        case "stranger's file":
            place.own_file.touch()
            monkeypatch.setattr(os, "geteuid", lambda: 64_000)
            real = os.fstat

            def of_stranger(fd: int) -> os.stat_result:
                found = list(real(fd))
                found[4] = 64_001  # st_uid
                return os.stat_result(found)

            monkeypatch.setattr(os, "fstat", of_stranger)
        case "folder":
            place.own_file.mkdir()
        case "link":
            place.own_file.symlink_to(place.device)
        case _:
            place.own.rmdir()
            place.own.touch()
    stream = SerialStream.open(settings, baud_rate=115_200)
    assert "IPA-2037" in said
    with pytest.raises(PortBusy, match="in use"):  # by the lock on the device
        SerialStream.open(
            SerialSettings(place.device, lock_folder=place.hiding, own_lock_folder=place.own), baud_rate=115_200
        )
    stream._lose("the test is over")


def test_who_has_locked_the_device_itself_keeps_us_out(place: Place) -> None:
    with place.device.open("rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PortBusy, match="in use"):
            SerialStream.open(
                SerialSettings(place.device, lock_folder=place.shared, own_lock_folder=place.own), baud_rate=115_200
            )
    held = place.lock()
    held.acquire()  # nothing was left behind
    held.release()


def test_others_can_read_our_lock_whatever_our_umask_is(place: Place) -> None:
    before = os.umask(0o077)
    try:
        held = place.lock()
        held.acquire()
    finally:
        os.umask(before)
    assert place.uucp.stat().st_mode & 0o777 == 0o644
    held.release()


def test_what_another_put_in_the_place_of_our_lock_is_not_removed(place: Place) -> None:
    held = place.lock()
    held.acquire()
    theirs = place.shared / "new"
    theirs.write_text("         1\n")
    theirs.replace(place.uucp)
    held.release()
    assert place.uucp.read_text() == "         1\n"


def test_whether_everybody_is_seen_is_told_by_what_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sees_every_process(tmp_path), "process 1 is always there"
    (tmp_path / "1" / "fd").mkdir(parents=True)
    (tmp_path / "self" / "fd").mkdir(parents=True)
    assert sees_every_process(tmp_path)
    (tmp_path / "77").mkdir()
    assert sees_every_process(tmp_path), "that one ended meanwhile"
    real = os.listdir

    def refusing(path: Path) -> list[str]:
        if "77" in str(path):
            raise PermissionError
        return real(path)

    monkeypatch.setattr(os, "listdir", refusing)
    assert not sees_every_process(tmp_path)
