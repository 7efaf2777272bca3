"""The real process: what it says and how it ends when it cannot start, and when it is told to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT_S = 60.0
STARTED, STOPPED, CARD_LOST = "IPA-1001", "IPA-1002", "IPA-1004"


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "ipad_agent", "run", "--config", str(config)]


def run(config: Path) -> subprocess.CompletedProcess[str]:
    """The daemon, expected to end by itself."""
    return subprocess.run(command(config), capture_output=True, text=True, timeout=LIMIT_S, check=False)


def write(folder: Path, *, state_dir: Path | None = None, more: str = "") -> Path:
    config = folder / "config.toml"
    config.write_text(
        f'[modem]\nport = "{folder}/no-such-port"\nlock_dir = "{folder}"\n'
        f'[store]\nstate_dir = "{state_dir or folder / "state"}"\nruntime_dir = "{folder / "run"}"\n'
        f'[log]\nstyle = "json"\n{more}'
    )
    return config


class Daemon:
    """A running daemon whose messages are read one by one."""

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True)

    def until(self, id: str) -> str:
        """Read messages up to this one; its text. Ends with the process, which pytest's limit bounds."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            message = json.loads(line)
            if message["id"] == id:
                return str(message["text"])
        raise AssertionError(f"the daemon ended with {self.process.wait()} before {id}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(write(tmp_path))
    yield started
    started.end()


def test_a_missing_file_is_named_and_ends_with_status_2(tmp_path: Path) -> None:
    ended = run(tmp_path / "nowhere.toml")
    assert ended.returncode == 2
    assert f"{tmp_path / 'nowhere.toml'}: cannot be read: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_problem_of_the_configuration_is_named_and_ends_with_status_2(tmp_path: Path) -> None:
    config = write(tmp_path, more='[modem2]\n[poll]\ninterval_s = "daily"\nintervall_s = 3\n[[eim]]\nport = 70000\n')
    ended = run(config)
    assert ended.returncode == 2
    for place in ("modem2", "poll.interval_s", "poll.intervall_s", "eim[0].port", "eim[0].id"):
        assert f"\n  {place}: " in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_named_in_the_configuration_that_is_missing_ends_with_status_2(tmp_path: Path) -> None:
    ended = run(write(tmp_path, more='[provisioning]\ninitial_eim = "eim.der"\n'))
    assert ended.returncode == 2
    assert f"provisioning.initial_eim: {tmp_path / 'eim.der'} cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("obstacle", "said"), [("file", "IPA-1216"), ("lock", None), ("journal", "IPA-1213")])
def test_a_state_directory_that_cannot_be_used_is_told_and_the_agent_looks_for_its_card_all_the_same(
    tmp_path: Path, obstacle: str, said: str | None
) -> None:
    # None of these depends on permissions, so they hold for root too.
    state_dir = tmp_path / "file" / "state"
    if obstacle == "file":
        (tmp_path / "file").write_text("in the way")
    else:
        (state_dir / obstacle).mkdir(parents=True)
    daemon = Daemon(write(tmp_path, state_dir=state_dir))
    try:
        if said is not None:
            assert str(state_dir) in daemon.until(said)
        daemon.until(CARD_LOST)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(LIMIT_S) == 0
    finally:
        daemon.process.kill()
        daemon.process.wait()


def test_a_recording_that_cannot_begin_is_told_and_the_agent_looks_for_its_modem_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "records").write_text("in the way")
    running = Daemon(write(tmp_path, more="[record]\nenabled = true\n"))
    try:
        assert "cannot be written" in running.until("IPA-4038")
        running.until(CARD_LOST)
    finally:
        running.end()


def test_a_recording_begins_with_the_agent_where_the_configuration_says_so(tmp_path: Path) -> None:
    running = Daemon(write(tmp_path, more="[record]\nenabled = true\n"))
    try:
        running.until("IPA-4039")
        running.process.send_signal(signal.SIGTERM)
        running.until("IPA-1364")
    finally:
        running.end()
    (segment,) = (tmp_path / "state" / "records").glob("segment-*.jsonl")
    assert json.loads(segment.read_text().splitlines()[0])["recording"] == 2


def test_a_second_daemon_on_one_state_directory_is_refused(tmp_path: Path, daemon: Daemon) -> None:
    daemon.until(STARTED)
    ended = run(tmp_path / "config.toml")
    assert ended.returncode == 1
    assert f"another agent uses {tmp_path / 'state'}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert daemon.process.poll() is None


def test_a_call_to_poll_is_no_end_of_the_process_however_early_it_comes(daemon: Daemon) -> None:
    daemon.until(STARTED)
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.until(CARD_LOST)
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.until(CARD_LOST)
    daemon.process.terminate()
    daemon.until(STOPPED)
    assert daemon.process.wait(LIMIT_S) == 0


def test_a_missing_modem_ends_nothing_and_sigterm_ends_well(daemon: Daemon) -> None:
    assert "no-such-port is not there" in daemon.until(CARD_LOST)
    daemon.process.terminate()
    daemon.until(STOPPED)
    assert daemon.process.wait(LIMIT_S) == 0
