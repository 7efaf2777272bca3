"""On real pseudo-terminals, in real time; every wait is for an event."""

from __future__ import annotations

import asyncio
import os
import pty
import stat
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession
from ipad_agent.modem.errors import PortBusy, PortLost, PortUnavailable
from ipad_agent.modem.port import port_lock
from ipad_agent.modem.port.port_lock import PortLock, holders, is_same_device, plays_modem
from ipad_agent.modem.port.serial_port import SerialPortOpener, SerialSettings, SerialStream, tell_of_others


class Line:
    """A pty whose master side the test plays."""

    def __init__(self, folder: Path) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.device = Path(os.ttyname(slave))
        self._slave: int | None = slave
        self.link = folder / "modem"
        self.link.symlink_to(self.device)
        self.settings = SerialSettings(self.link, lock_folder=folder)

    def hang_up(self) -> None:
        self.close_slave()
        os.close(self.master)
        self.master = -1

    def close_slave(self) -> None:
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.close_slave()
    if line.master >= 0:
        os.close(line.master)


async def test_a_command_goes_through_a_real_tty(line: Line) -> None:
    loop = asyncio.get_running_loop()
    received = bytearray()

    def serve() -> None:
        received.extend(os.read(line.master, 4096))
        if received.endswith(b"\r"):
            os.write(line.master, b"\r\nACME\r\n\r\nOK\r\n")

    loop.add_reader(line.master, serve)
    session = AtSession(await SerialPortOpener(line.settings).open())
    assert await session.run(commands.text_query("AT+CGMI")) == ("ACME",)
    assert bytes(received) == b"AT+CGMI\r"
    loop.remove_reader(line.master)
    await session.close()


async def test_a_hang_up_is_a_lost_port_and_not_silence(line: Line) -> None:
    session = AtSession(await SerialPortOpener(line.settings).open())
    task = asyncio.ensure_future(session.run(commands.ping(deadline_s=60)))
    await asyncio.sleep(0)
    line.hang_up()
    with pytest.raises(PortLost):
        await asyncio.wait_for(task, 60)


async def test_a_lost_port_gives_its_locks_back(line: Line) -> None:
    stream = SerialStream.open(line.settings, baud_rate=115200)
    lost: asyncio.Future[ModemError] = asyncio.get_running_loop().create_future()
    stream.start(lambda data: None, lost.set_result)
    line.hang_up()
    assert isinstance(await asyncio.wait_for(lost, 60), PortLost)
    with pytest.raises(PortLost):
        await stream.write(b"AT\r")
    PortLock(line.device, line.settings.lock_folder).acquire()


async def test_a_write_that_does_not_fit_waits_for_room_and_arrives_whole(line: Line) -> None:
    stream = SerialStream.open(line.settings, baud_rate=115200)
    stream.start(lambda data: None, lambda error: None)
    data = bytes(range(32, 96)) * 2000
    task = asyncio.ensure_future(stream.write(data))
    received = bytearray()
    done = asyncio.Event()

    def read() -> None:
        received.extend(os.read(line.master, 65536))
        if len(received) >= len(data):
            done.set()

    await asyncio.sleep(0)
    assert not task.done()
    asyncio.get_running_loop().add_reader(line.master, read)
    await asyncio.wait_for(task, 60)
    await asyncio.wait_for(done.wait(), 60)
    asyncio.get_running_loop().remove_reader(line.master)
    assert bytes(received) == data
    await stream.close()


async def test_a_write_that_waits_for_room_ends_when_the_port_is_lost(line: Line) -> None:
    stream = SerialStream.open(line.settings, baud_rate=115200)
    stream.start(lambda data: None, lambda error: None)
    task = asyncio.ensure_future(stream.write(b"x" * 1_000_000))
    await asyncio.sleep(0)
    line.hang_up()
    with pytest.raises(PortLost):
        await asyncio.wait_for(task, 60)


async def test_one_port_under_two_names_is_opened_once(line: Line) -> None:
    first = SerialStream.open(line.settings, baud_rate=115200)
    other_name = SerialSettings(line.device, lock_folder=line.settings.lock_folder)
    with pytest.raises(PortBusy):
        SerialStream.open(other_name, baud_rate=115200)
    await first.close()
    second = SerialStream.open(other_name, baud_rate=115200)
    await second.close()


async def test_a_program_that_only_knows_exclusive_opens_is_kept_out_and_keeps_out(line: Line, tmp_path: Path) -> None:
    first = SerialStream.open(line.settings, baud_rate=115200)
    elsewhere = tmp_path / "other-locks"
    elsewhere.mkdir()
    with pytest.raises(PortBusy):
        SerialStream.open(SerialSettings(line.device, lock_folder=elsewhere), baud_rate=115200)
    await first.close()


def test_a_missing_port_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(PortUnavailable, match="is not there: the modem is unplugged"):
        SerialStream.open(SerialSettings(tmp_path / "none", lock_folder=tmp_path), baud_rate=115200)


def test_a_file_that_is_no_tty_is_unavailable_and_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(PortUnavailable):
        SerialStream.open(SerialSettings(path, lock_folder=tmp_path), baud_rate=115200)
    PortLock(path, tmp_path).acquire()


def test_a_uucp_lock_of_a_living_process_is_respected_and_names_it(line: Line, tmp_path: Path) -> None:
    name = f"LCK..pts_{line.device.name}"
    (tmp_path / name).write_text("         1\n")
    with pytest.raises(PortBusy, match="process 1 "):
        PortLock(line.device, tmp_path).acquire()


@pytest.mark.parametrize(
    "content", [b"%10d\n" % 2_000_000_000, (1_999_999_999).to_bytes(4, "little"), b"nonsense", b""]
)
def test_a_uucp_lock_of_a_dead_process_does_not_hold_the_port(
    line: Line, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a container nothing is known of processes outside: tests run there too.
    monkeypatch.setattr(port_lock, "FIRST_PID_NAMESPACE", os.readlink("/proc/self/ns/pid"))
    (tmp_path / f"LCK..pts_{line.device.name}").write_bytes(content)
    lock = PortLock(line.device, tmp_path)
    lock.acquire()
    lock.release()


def test_locks_can_be_taken_again_after_release(line: Line, tmp_path: Path) -> None:
    lock = PortLock(line.device, tmp_path)
    lock.acquire()
    with pytest.raises(PortBusy):
        PortLock(line.device, tmp_path).acquire()
    lock.release()
    again = PortLock(line.device, tmp_path)
    again.acquire()
    again.release()
    assert not (tmp_path / f"LCK..pts_{line.device.name}").exists()


def _device(major: int, minor: int, *, filesystem: int) -> os.stat_result:
    fields: dict[str, int] = {"st_rdev": os.makedev(major, minor)}
    return os.stat_result((0o020660, 1, filesystem, 1, 0, 0, 0, 0, 0, 0), fields)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (_device(188, 2, filesystem=5), _device(188, 2, filesystem=77), True),  # ttyUSB2, under a container's name
        (_device(188, 2, filesystem=5), _device(188, 3, filesystem=5), False),
        (_device(136, 3, filesystem=24), _device(136, 3, filesystem=24), True),
        (_device(136, 3, filesystem=24), _device(136, 3, filesystem=91), False),  # a container's own /dev/pts/3
    ],
)
def test_a_port_is_told_from_another_by_its_number_and_not_by_its_name(
    one: os.stat_result, other: os.stat_result, same: bool
) -> None:
    assert is_same_device(one, other) is same


def test_nobody_holds_a_port_that_is_not_there(tmp_path: Path) -> None:
    assert holders(tmp_path / "ttyUSB9") == ()


def test_who_else_holds_the_port_is_found(line: Line) -> None:
    with line.device.open("rb+", buffering=0) as port:
        command = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
        child = subprocess.Popen(command, pass_fds=[port.fileno()], stdout=subprocess.PIPE)
        try:
            assert child.stdout is not None
            child.stdout.readline()
            assert child.pid in [pid for pid, _ in holders(line.device)]
        finally:
            child.kill()
            child.communicate()


def _node(major: int, minor: int, *, device: int, mode: int = stat.S_IFCHR | 0o660) -> os.stat_result:
    return os.stat_result((mode, 7, device, 1, 0, 5, 0, 0, 0, 0), {"st_rdev": os.makedev(major, minor)})


def test_a_port_is_known_by_its_device_and_not_by_its_name() -> None:
    modem = _node(188, 2, device=5)
    assert is_same_device(modem, _node(188, 2, device=99))  # a container's node for the same port
    assert not is_same_device(modem, _node(188, 3, device=5))
    # /dev/pts/5 of a container is another terminal than /dev/pts/5 outside
    assert is_same_device(_node(136, 5, device=24), _node(136, 5, device=24))
    assert not is_same_device(_node(136, 5, device=24), _node(136, 5, device=77))
    assert not is_same_device(modem, _node(188, 2, device=5, mode=stat.S_IFREG | 0o600))


def test_whoever_else_has_the_opened_port_is_named_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    tell_of_others(Path("/dev/ttyUSB2"), Path("/dev/ttyUSB2"), lambda _: ((812, "ModemManager"), (913, "cat")))
    (record,) = caplog.records
    assert "ModemManager (process 812), cat (process 913)" in record.getMessage()
    assert "hw/99-ipad-agent.rules" in record.getMessage()


def test_nothing_is_said_of_a_port_for_oneself(caplog: pytest.LogCaptureFixture) -> None:
    tell_of_others(Path("/dev/ttyUSB2"), Path("/dev/ttyUSB2"), lambda _: ())
    assert caplog.records == []


def test_whoever_plays_the_modem_on_a_pseudo_terminal_is_no_rival_and_another_program_is(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    player = (os.getpid(), "python")
    tell_of_others(line.device, line.device, lambda _: (player,))
    assert caplog.records == []
    tell_of_others(line.device, line.device, lambda _: (player, (1, "ModemManager")))
    (record,) = caplog.records
    assert "too: ModemManager (process 1)." in record.getMessage()


def test_who_plays_the_modem_is_told_by_the_number_of_the_terminal_and_not_by_its_name(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.stat(line.device)
    bound = tmp_path / "ttyUSB2"  # as a container or a mount of one file shows it
    look = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: found if path == bound else look(path, **how))
    assert plays_modem(os.getpid(), bound)
    assert not plays_modem(1, bound)
    assert not plays_modem(os.getpid(), Path("/dev/null"))
