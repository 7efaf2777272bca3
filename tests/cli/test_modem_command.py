"""`ipactl modem` on a real pseudo-terminal: what it prints, how it ends, and that a signal leaves no trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.cli.ipactl import main
from ipad_agent.local.status_model import Modem
from situations import SITUATIONS

from .fake_agent import FakeAgent, shows
from .lab_modem import LabModem

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def modem(tmp_path: Path) -> Iterator[LabModem]:
    with LabModem(tmp_path) as running:
        yield running


@pytest.fixture
def ipactl(modem: LabModem, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """As typed, with this lab's configuration, and no agent unless one is named."""
    monkeypatch.setattr("ipad_agent.cli.ipactl.command_context.NAMED_AGENTS", str(modem.path.parent / "none"))
    monkeypatch.setenv("IPACTL_SOCKET", str(modem.path.parent / "no-socket"))

    def typed(action: str, *words: str) -> int:
        return main(["modem", action, "--config", str(modem.config), *words])

    return typed


def test_the_test_prints_what_it_found_and_writes_the_report(
    modem: LabModem, ipactl: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    before = modem.state()
    assert ipactl("test", str(modem.path), "--report", str(tmp_path / "report.json")) == 0
    shown = capsys.readouterr().out
    assert "Quectel EG25, firmware EG25GGBR07A08M2G" in shown
    assert "✓ Use AT+CGLA: it carried everything that was read." in shown
    assert max(len(line) for line in shown.splitlines()) <= 100
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["recommended"] == "cgla"
    assert modem.state() == before
    assert ipactl("draft", str(tmp_path / "report.json")) == 0
    assert 'base = "quectel-eg25"' in capsys.readouterr().out


def test_the_probe_tells_who_answers(modem: LabModem, ipactl: Callable[..., int], capsys: Capture) -> None:
    assert ipactl("probe", str(modem.path), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ports"][0]["profile"] == "quectel-eg25"
    assert answer["ports"][0]["matched"][0] == "manufacturer quectel.*"
    assert {"command": "AT+CSQ", "verdict": "works"}.items() <= next(
        row for row in answer["commands"] if row["command"] == "AT+CSQ"
    ).items()
    assert modem.engine.options.imei not in json.dumps(answer)


def test_the_probe_of_an_agents_port_asks_the_agent_and_leaves_the_port_alone(
    modem: LabModem, ipactl: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    told = Modem(str(modem.path), "EG25-G", "Quectel", "R07", profile="quectel-eg25", transport="CGLA")
    status = replace(SITUATIONS["ready"], modem=told)
    with FakeAgent(tmp_path / "agent", {"GetStatus": shows(status)}):
        socket = ("--socket", str(tmp_path / "agent"))
        assert ipactl("probe", str(modem.path), *socket) == 0
        assert "the agent (ipad-agent)" in capsys.readouterr().out
        assert ipactl("list", *socket, "-o", "json") == 0
        rows = json.loads(capsys.readouterr().out)["ports"]
        row = next(row for row in rows if row["port"] == str(modem.path))
        assert (row["agent"], row["module"]) == ("ipad-agent", "Quectel EG25-G")
        for words in (("test", str(modem.path)), ("at", str(modem.path), "AT+CSQ")):
            assert ipactl(*words, *socket) == 3
            assert "sudo systemctl stop ipad-agent" in " ".join(capsys.readouterr().err.split())
    assert modem.engine.commands == []


def test_a_port_that_another_program_has_open_is_not_touched(
    modem: LabModem, ipactl: Callable[..., int], capsys: Capture
) -> None:
    opened = f"import os, sys; fd = os.open({str(modem.path)!r}, os.O_RDWR | os.O_NOCTTY)"
    code = f"{opened}; print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert ipactl("test", str(modem.path)) == 3
        assert f"(process {other.pid})" in " ".join(capsys.readouterr().err.split())
        other.communicate("")
    assert modem.engine.commands == []


def test_a_port_that_is_not_there_is_no_modem(ipactl: Callable[..., int], tmp_path: Path, capsys: Capture) -> None:
    assert ipactl("test", str(tmp_path / "ttyUSB9")) == 6
    assert "is not there" in capsys.readouterr().err


def test_a_question_goes_through_and_what_changes_something_needs_force(
    modem: LabModem, ipactl: Callable[..., int], capsys: Capture
) -> None:
    port = str(modem.path)
    assert ipactl("at", port, "AT+CSQ") == 0
    assert capsys.readouterr().out.startswith("+CSQ: ")
    assert ipactl("at", port, "AT+NONE?") == 1
    assert "The modem answered" in capsys.readouterr().out
    assert ipactl("at", port, "AT+CFUN=4") == 3
    assert "With --force it is sent" in capsys.readouterr().err
    assert modem.engine.module.functionality == 1
    assert ipactl("at", port, "AT+CFUN=4", "--force") == 0
    assert modem.engine.module.functionality == 4
    for never in ("ATD112", "AT+CMUX=0", "AT+IPR=9600", "ATE1"):
        assert ipactl("at", port, never, "--force") == 3
    assert ipactl("at", port, "no command") == 2


def test_a_switch_needs_consent(modem: LabModem, ipactl: Callable[..., int], capsys: Capture) -> None:
    with open(os.devnull) as nobody, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", nobody)
        assert ipactl("test", str(modem.path), "--switch-back-and-forth") == 3
    assert "--yes" in capsys.readouterr().err
    assert modem.engine.commands == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_examination_and_leaves_no_trace(
    number: signal.Signals, modem: LabModem, tmp_path: Path
) -> None:
    before = modem.state()
    # As in a terminal: a shell has its background jobs, these tests too, ignore an interrupt.
    terminal = ["env", "--default-signal=INT,HUP"]
    words = [*terminal, sys.executable, "-m", "ipad_agent.cli.ipactl", "modem", "test", "--config", str(modem.config)]
    environment = {**os.environ, "IPACTL_SOCKET": str(tmp_path / "none")}
    with subprocess.Popen([*words, str(modem.path)], env=environment, stdout=subprocess.DEVNULL) as ran:
        assert modem.card.asked.wait(30)
        ran.send_signal(number)
        assert ran.wait(30) == 130
    assert modem.state() == before
