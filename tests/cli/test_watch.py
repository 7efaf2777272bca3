"""``ipactl watch``: on paper, on a terminal, and while the agent comes and goes."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.cli.ipactl import main
from ipad_agent.cli.ipactl.commands import watch_command
from ipad_agent.cli.ipactl.commands.watch_command import Follower
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput
from ipad_agent.local.status_model import Operation, to_plain
from situations import HAPPENINGS, SITUATIONS, ago

from .fake_agent import Answer, FakeAgent, gives, refuses, streams

Capture = pytest.CaptureFixture[str]
READY: dict[str, Any] = {"status": to_plain(SITUATIONS["ready"])}
NO_CARD: dict[str, Any] = {"status": to_plain(SITUATIONS["no-card"])}
EVENT: dict[str, Any] = {"event": to_plain(HAPPENINGS[0])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


def interrupt_after(pauses: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Ctrl-C instead of that many-th pause; returns the pauses that were made."""
    made: list[float] = []

    def pause(seconds: float) -> None:
        made.append(seconds)
        if len(made) >= pauses:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch_command.watch, "__defaults__", (pause,))
    return made


def test_what_happens_is_told_line_by_line(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    interrupt_after(1, monkeypatch)
    with FakeAgent(path, {"Subscribe": streams(READY, EVENT, NO_CARD)}):
        assert main(["watch", "--socket", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [" ready: " in lines[0], "(IPA-4020)" in lines[1], " no-card: " in lines[2]] == [True, True, True]


def test_an_agent_that_goes_away_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pauses = interrupt_after(3, monkeypatch)
    said = iter([streams(READY), b"", streams(NO_CARD)])
    with FakeAgent(path, {"Subscribe": lambda _: next(said)}):
        assert main(["watch", "--socket", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("! ") == 3
    assert " no-card: " in out
    assert pauses == [watch_command.AGAIN_S] * 3


def test_past_events_are_told_once_and_not_again_after_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(2, monkeypatch)
    with FakeAgent(path, {"Subscribe": streams(READY)}) as agent:
        main(["watch", "--socket", str(path)])
        assert [asked["recent"] for asked in agent.asked("Subscribe")] == [watch_command.RECENT, 0]


def test_an_agent_of_another_world_ends_the_watch(path: Path) -> None:
    with FakeAgent(path, {"Subscribe": streams({"status": {"verdict": 5}})}):
        assert main(["watch", "--socket", str(path)]) == 1


def test_an_agent_that_is_not_there_at_first_is_told_at_once(path: Path) -> None:
    assert main(["watch", "--socket", str(path)]) == 8


def test_a_refusal_ends_the_watch(path: Path) -> None:
    with FakeAgent(path, {"Subscribe": refuses("NotAuthorized")}):
        assert main(["watch", "--socket", str(path)]) == 3


def test_json_is_one_reply_per_line_as_it_came(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    interrupt_after(1, monkeypatch)
    with FakeAgent(path, {"Subscribe": streams(READY, EVENT)}):
        assert main(["watch", "--json", "--socket", str(path)]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        json.loads(json.dumps(READY)),
        json.loads(json.dumps(EVENT)),
    ]


def test_a_screen_wants_a_terminal(path: Path, capsys: Capture) -> None:
    with FakeAgent(path, {"Subscribe": streams(READY)}):
        assert main(["watch", "--screen", "--socket", str(path)]) == 2
    assert "terminal" in capsys.readouterr().err


def test_the_same_verdict_is_not_told_twice() -> None:
    follower = Follower(TerminalOutput())
    assert len(follower.take(READY)) == 1
    assert follower.take(READY) == []


@pytest.mark.parametrize("shares", [(10, 30, 60, 80, 100), (0, 99), (24, 25, 49, 50, 74, 75)])
def test_a_download_is_told_at_each_quarter_once(shares: tuple[int, ...]) -> None:
    follower = Follower(TerminalOutput())
    told = []
    for share in shares:
        operation = Operation("download", ago(1), done=share, total=100, unit="bytes")
        told += follower.take({"status": to_plain(replace(SITUATIONS["downloading"], operation=operation))})
    quarters = [line.rsplit(": ", 1)[1] for line in told if "download: " in line]
    assert quarters == ["75 %"] if shares == (0, 99) else quarters == ["25 %", "50 %", "75 %"]


def test_the_next_download_is_told_from_its_beginning() -> None:
    follower = Follower(TerminalOutput())
    for situation in ("downloading", "ready"):
        follower.take({"status": to_plain(SITUATIONS[situation])})
    assert any("50 %" in line for line in follower.take({"status": to_plain(SITUATIONS["downloading"])}))


def test_events_that_were_left_out_are_owned_up_to() -> None:
    assert "7 events were left out" in Follower(TerminalOutput()).take({"lost": 7})[0]
    assert Follower(TerminalOutput()).take({"lost": 0}) == []


def test_the_screen_fits_into_the_terminal() -> None:
    follower = Follower(TerminalOutput())
    for event in HAPPENINGS * 20:
        follower.take({"event": to_plain(event)})
    assert follower.screen(0.0, 20) == ["waiting for the agent", "", *follower.screen(0.0, 20)[2:]]
    follower.take({"status": to_plain(SITUATIONS["switch-armed"])})
    for height in (5, 20, 30, 60):
        assert len(follower.screen(0.0, height)) <= height
    assert "IPA-1005" in follower.screen(0.0, 60)[-1] + follower.screen(0.0, 60)[-2]


# -- on a real terminal ----------------------------------------------------------------------------------------------


def _heed_interrupts() -> None:
    """As in a terminal: a shell starts what it runs in the background with SIGINT ignored, these tests too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """``ipactl`` on a pseudo-terminal of 80 by 24."""

    def __init__(self, *words: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipad_agent.cli.ipactl", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - no thread of this process holds a lock that the child needs
        )
        os.close(slave)
        self.seen = b""

    def until(self, expected: str) -> None:
        while expected.encode() not in self.seen:
            ready, _, _ = select.select([self.master], [], [], 30)
            assert ready, self.seen
            self.seen += os.read(self.master, 65_536)

    def interrupt(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        exit = self.process.wait(30)
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.seen += os.read(self.master, 65_536)
            except OSError:
                break
        return exit

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        os.close(self.master)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*words: str) -> Terminal:
        made.append(Terminal(*words))
        return made[-1]

    yield start
    for item in made:
        item.close()


def forever(*replies: dict[str, Any]) -> Answer:
    """Replies after which the agent goes on."""
    return [{"parameters": given, "continues": True} for given in replies]


def test_a_terminal_shows_a_bar_in_a_line_that_lives(path: Path, terminal: Callable[..., Terminal]) -> None:
    with FakeAgent(path, {"Subscribe": forever(READY, {"status": to_plain(SITUATIONS["downloading"])})}):
        shown = terminal("watch", "--socket", str(path))
        shown.until("███████████░░░░░░░░░ 53 % (32 kB of 58 kB)")
        assert shown.interrupt() == 0
    assert shown.seen.endswith(b"\r\x1b[K")


def test_the_screen_is_left_as_it_was_found(path: Path, terminal: Callable[..., Terminal]) -> None:
    with FakeAgent(path, {"Subscribe": forever(READY, EVENT)}):
        shown = terminal("watch", "--screen", "--socket", str(path))
        shown.until("(IPA-4020)")
        assert shown.interrupt() == 0
    assert shown.seen.startswith(b"\x1b[?1049h\x1b[?25l")
    assert shown.seen.endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_termination_leaves_the_screen_too(path: Path, terminal: Callable[..., Terminal]) -> None:
    with FakeAgent(path, {"Subscribe": forever(READY, EVENT)}):
        shown = terminal("watch", "--screen", "--socket", str(path))
        shown.until("(IPA-4020)")
        assert shown.interrupt(signal.SIGTERM) == 143
    assert shown.seen.endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_terminal_sees_colours(path: Path, terminal: Callable[..., Terminal]) -> None:
    with FakeAgent(path, {"GetStatus": gives(**READY)}):
        shown = terminal("status", "--socket", str(path))
        shown.until("\x1b[32m● ready")
