"""``ipactl log``: from the agent, from the systemd journal where the agent knows no more, and as it goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.cli.ipactl import argument_values, command_context, command_line, main
from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.commands import log_command
from ipad_agent.local.status_model import Happening, to_plain
from situations import HAPPENINGS, NOW_S

from .fake_agent import FakeAgent, gives, streams

Capture = pytest.CaptureFixture[str]
Journal = Callable[[str], None]
OTHER = Happening("IPA-4010", "info", "Asking eim.other.net for work.", NOW_S - 30, (("eim", "eim.other.net"),))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Has a program called journalctl write these lines; what it was asked is in ``asked``."""

    def made(lines: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "lines").write_text(lines)
        program = folder / "journalctl"
        program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat {folder}/lines\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeAgent]]:
    """An agent at the usual place, with these events."""
    running: list[FakeAgent] = []
    monkeypatch.setattr(command_context, "DEFAULT_SOCKET", str(tmp_path / "usual"))
    monkeypatch.setattr(command_context, "DEFAULT_CONFIG", tmp_path / "none")

    def start(*events: Happening, **answers: Any) -> FakeAgent:
        agent = FakeAgent(tmp_path / "usual", {"ListEvents": gives(events=to_plain(events)), **answers})
        running.append(agent)
        return agent.__enter__()

    yield start
    for agent in running:
        agent.__exit__()


def entry(text: str, at_s: float, priority: object = "6") -> str:
    stamp = str(int(at_s * 1_000_000))
    return json.dumps({"MESSAGE": text, "PRIORITY": priority, "__REALTIME_TIMESTAMP": stamp}) + "\n"


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_only_what_is_about_one_manager(here: Callable[..., FakeAgent], capsys: Capture) -> None:
    here(*HAPPENINGS, OTHER)
    assert main(["log", "--eim", "eim.other.net"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "Asking eim.other.net" in line


def test_only_what_is_newer(here: Callable[..., FakeAgent], capsys: Capture) -> None:
    agent = here(*(replace(event, at_s=int(time.time()) - 100 + number) for number, event in enumerate(HAPPENINGS)))
    assert main(["--socket", str(agent.path), "log", "--since", "98s"]) == 0
    assert 1 <= len(capsys.readouterr().out.splitlines()) <= 4
    assert main(["--socket", str(agent.path), "log", "--since", "10s"]) == 0
    assert "Nothing like that" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "x", "10", "10w", "-5m", "24:30", "2026-02-30", "14:30:99", "9999999d", "\u0663m"]
)
def test_a_time_that_is_none_is_told(text: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["log", f"--since={text}"])
    assert end.value.code == 2
    assert "is no time such as" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["14:30", "14:30:05", "2026-11-20", "2026-11-20 14:30", "2026-11-20T14:30:00"])
def test_a_time_is_local(text: str) -> None:
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(argument_values.since(text)))
    assert ("14:30" in shown) == (":" in text)
    assert shown.startswith("2026-11-20") or "-" not in text


# -- the journal -------------------------------------------------------------------------------------------------------


def test_what_the_agent_no_longer_knows_comes_from_the_journal_and_nothing_twice(
    here: Callable[..., FakeAgent], journal: Journal, capsys: Capture, tmp_path: Path
) -> None:
    now = time.time()
    here(Happening("IPA-1001", "info", "ipad-agent 1 starts.", int(now) - 60))
    journal(
        entry("IPA-1002 ipad-agent stops.", now - 3000)
        + entry("Started ipad-agent.service.", now - 2000)
        + entry("IPA-1005 The poll failed.", now - 1000, "4")
        + entry("IPA-1001 ipad-agent 1 starts.", now - 60)
        + "no json\n[]\n"
        + json.dumps({"MESSAGE": [1, 2], "__REALTIME_TIMESTAMP": "1"})
    )
    assert main(["log", "--since", "1h", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["id"] for event in told] == ["IPA-1002", "IPA-1005", "IPA-1001"]
    assert told[1]["level"] == "warning"
    assert f"--since @{int(now) - 3600}"[:-2] in (tmp_path / "bin" / "asked").read_text()


def test_what_the_agent_said_before_it_ended_is_shown_without_one(
    here: Callable[..., FakeAgent], journal: Journal, capsys: Capture
) -> None:
    journal(entry("IPA-1006 An error nobody expected.", NOW_S, "3"))
    assert main(["log"]) == 0
    out, err = capsys.readouterr()
    assert "(IPA-1006)" in out
    assert "This is what the systemd journal has." in " ".join(err.split())


def test_without_agent_and_with_an_empty_journal_the_agent_is_not_running(
    here: Callable[..., FakeAgent], journal: Journal, capsys: Capture
) -> None:
    journal("")
    assert main(["log"]) == 8


def test_the_journal_of_this_machine_is_not_that_of_a_named_agent(journal: Journal, tmp_path: Path) -> None:
    journal(entry("IPA-1006 An error nobody expected.", NOW_S, "3"))
    assert main(["--socket", str(tmp_path / "nobody"), "log"]) == 8


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Asking eim.one for work.", True),
        ("eim.one: in 5 min.", True),
        ("Asking not-eim.one for work.", False),
        ("Asking eim.one-two for work.", False),
        ("Asking xeim.one for work.", False),
    ],
)
def test_lines_of_the_journal_are_chosen_by_the_whole_name(text: str, about: bool) -> None:
    assert log_command.about(Happening("IPA-4010", "info", text, NOW_S), "eim.one") is about


# -- following ---------------------------------------------------------------------------------------------------------


def test_following_shows_the_past_once_then_what_comes_and_waits_for_an_agent_that_goes_away(
    here: Callable[..., FakeAgent], capsys: Capture
) -> None:
    agent = here(
        *HAPPENINGS,
        Subscribe=streams({"event": to_plain(HAPPENINGS[-1])}, {"event": to_plain(OTHER)}),
    )
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    command = CommandContext(command_line.build().parse_args(["log", "-f"]))
    assert log_command.log(command, pause) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    # The past, what came meanwhile once, and after the new connection what came then.
    assert [line.partition("(IPA")[0] != "" for line in lines] == [True] * len(lines)
    told = "\n".join(lines)
    assert told.count("Asking eim.other.net") == 2
    assert told.count("The poll of eim.example.net") == 2
    assert len(agent.asked("ListEvents")) == 1


def test_following_chooses_too(here: Callable[..., FakeAgent], capsys: Capture) -> None:
    here(*HAPPENINGS, Subscribe=streams({"event": to_plain(HAPPENINGS[0])}, {"event": to_plain(OTHER)}))

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    command = CommandContext(command_line.build().parse_args(["log", "-f", "--eim", "eim.other.net"]))
    assert log_command.log(command, stop) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "Asking eim.other.net" in line


def test_following_nobody_is_told_at_once(here: Callable[..., FakeAgent]) -> None:
    assert main(["log", "-f"]) == 8


# -- the socket and the bare command -----------------------------------------------------------------------------------


def test_the_socket_may_be_named_by_the_environment_and_the_option_comes_first(
    here: Callable[..., FakeAgent], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    agent = here(OTHER)
    monkeypatch.setattr(command_context, "DEFAULT_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("IPACTL_SOCKET", str(agent.path))
    assert main(["log"]) == 0
    assert "Asking eim.other.net" in capsys.readouterr().out
    assert main(["log", "--socket", str(tmp_path / "nobody")]) == 8
    monkeypatch.setenv("IPACTL_SOCKET", "")
    assert main(["log", "--socket", str(agent.path)]) == 0
