"""One agent for each modem: two real agents on two of the lab's modems, which share neither a lock nor a state nor a
socket, and of which no other can take the port. And how a command says which of them is meant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipad_agent import agent_names
from ipad_agent.cli.ipactl import main, varlink_client
from ipad_agent.errors import ConfigError
from ipad_agent.lab.bench.real_time_limits import scaled
from situations import SITUATIONS

from .fake_agent import FakeAgent, gives, shows
from .lab_modem import LabModem

Capture = pytest.CaptureFixture[str]
START = """
from pathlib import Path
from ipad_agent import agent_names
agent_names.CONFIG_FOLDER = Path({folder!r}) / "etc"
agent_names.STATE_FOLDER = Path({folder!r}) / "state"
agent_names.RUNTIME_FOLDER = Path({folder!r}) / "run"
from ipad_agent.cli.ipad_agent_command import run
raise SystemExit(run(["run", "--modem", {name!r}]))
"""


class NamedAgent:
    """``ipad-agent run --modem NAME``, with its three folders below another one than the root."""

    def __init__(self, folder: Path, name: str, port: Path, locks_in: str = "locks") -> None:
        self.name = name
        (folder / "etc").mkdir(exist_ok=True)
        (folder / locks_in).mkdir(exist_ok=True)
        text = f'[modem]\nport = "{port}"\nlock_dir = "{folder}/{locks_in}"\n[local]\ndbus = "off"\n'
        (folder / "etc" / f"{name}.toml").write_text(text, encoding="utf-8")
        code = START.format(folder=str(folder), name=name)
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()

    def hears(self, *words: str) -> None:
        """Wait until it says a line with all of these words."""
        with self._heard:
            found = self._heard.wait_for(
                lambda: any(all(word in line for word in words) for line in self.said), timeout=scaled(30)
            )
        assert found, "".join(self.said)

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(scaled(20)) == 0
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def ipactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """As typed, on a machine whose named agents have their runtime folders here."""
    for module in ("varlink_client", "command_context"):
        monkeypatch.setattr(f"ipad_agent.cli.ipactl.{module}.NAMED_AGENTS", str(tmp_path / "run"))
    monkeypatch.delenv("IPACTL_SOCKET", raising=False)
    monkeypatch.delenv("IPACTL_MODEM", raising=False)
    return lambda *words: main(list(words))


@pytest.fixture
def modems(tmp_path: Path) -> Iterator[tuple[LabModem, LabModem]]:
    with ExitStack() as stack:
        made = []
        for place, name in (("one", "eg25"), ("two", "sara-r5")):
            (tmp_path / place).mkdir()
            made.append(stack.enter_context(LabModem(tmp_path / place, name)))
        yield made[0], made[1]


def _files(folder: Path) -> set[Path]:
    return {path.resolve() for path in folder.rglob("*") if not path.is_dir()}


def test_two_agents_on_two_modems_share_nothing_and_a_third_cannot_take_a_port(
    modems: tuple[LabModem, LabModem], ipactl: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    agents = [NamedAgent(tmp_path, name, modem.path) for name, modem in zip(("roof", "van"), modems, strict=True)]
    try:
        for agent in agents:
            agent.hears("IPA-4003")
        told = {}
        for name in ("roof", "van"):
            capsys.readouterr()
            ipactl("--modem", name, "status", "--json")
            told[name] = json.loads(capsys.readouterr().out)["modem"]
        assert (told["roof"]["model"], told["van"]["model"]) == ("EG25", "SARA-R510S-01B")
        assert (told["roof"]["port"], told["van"]["port"]) == tuple(str(modem.path) for modem in modems)

        for kind in ("state", "run"):
            mine, others = (_files(tmp_path / kind / name) for name in ("roof", "van"))
            assert mine
            assert others
            assert not mine & others
            assert _files(tmp_path / kind) == mine | others
        assert (tmp_path / "run/roof/io.github.ipadagent").is_socket()
        locks = [path.name for path in (tmp_path / "locks").iterdir()]
        assert len(locks) == len(set(locks)) == 2

        capsys.readouterr()
        ipactl("modem", "list", "--config", str(modems[0].config), "--json")
        rows = json.loads(capsys.readouterr().out)["ports"]
        used = {row["port"]: row["agent"] for row in rows if row["agent"]}
        assert used == {str(modems[0].path): "ipad-agent@roof", str(modems[1].path): "ipad-agent@van"}

        for name, locks_in, refusal in (
            ("thief", "locks", "is locked by process"),
            ("other", "elsewhere", "is in use"),
        ):
            thief = NamedAgent(tmp_path, name, modems[0].path, locks_in)
            agents.append(thief)
            thief.hears("IPA-1004", refusal)
            assert not [line for line in thief.said if "IPA-2002" in line]
            capsys.readouterr()
            ipactl("--modem", name, "status")
            assert refusal in " ".join(capsys.readouterr().out.split())
        ipactl("--modem", "roof", "eid")
        assert len(capsys.readouterr().out.strip()) == 32
    finally:
        for agent in agents:
            agent.end()


def test_the_same_name_twice_is_refused(tmp_path: Path, modems: tuple[LabModem, LabModem]) -> None:
    first = NamedAgent(tmp_path, "roof", modems[0].path)
    try:
        first.hears("IPA-4003")
        code = START.format(folder=str(tmp_path), name="roof")
        again = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(30), check=False
        )
        assert again.returncode == 1
        assert "state" in again.stderr
    finally:
        first.end()


# -- which one is meant ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_command_asks_the_agent_that_is_named(
    way: str, tmp_path: Path, ipactl: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "roof").mkdir(parents=True)
    with FakeAgent(
        tmp_path / "run/roof/io.github.ipadagent", {"Poll": gives(), "GetStatus": shows(SITUATIONS["ready"])}
    ) as agent:
        if way == "variable":
            monkeypatch.setenv("IPACTL_MODEM", "roof")
            assert ipactl("poll") == 0
        else:
            assert ipactl("poll", "--modem", "roof") == 0
        assert len(agent.asked("Poll")) == 1


def test_a_socket_that_is_named_goes_before_the_variable(
    tmp_path: Path, ipactl: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPACTL_MODEM", "roof")
    with FakeAgent(tmp_path / "other", {"Poll": gives(), "GetStatus": shows(SITUATIONS["ready"])}) as agent:
        assert ipactl("--socket", str(tmp_path / "other"), "poll") == 0
        assert len(agent.asked("Poll")) == 1


@pytest.mark.parametrize("name", ["", "config", "../x", "a b", "9to5", "x" * 33, "ä", "a-b"])
def test_what_can_be_no_name_is_refused_by_both_programs(
    name: str, ipactl: Callable[..., int], capsys: Capture
) -> None:
    assert ipactl("--modem", name, "status") == 2
    assert "is no name of an agent" in capsys.readouterr().err
    with pytest.raises(ConfigError):
        agent_names.checked(name)


def test_two_ways_of_saying_it_at_once_are_one_too_many(ipactl: Callable[..., int], capsys: Capture) -> None:
    assert ipactl("--modem", "roof", "--socket", "/x", "status") == 2
    assert "Name one of them" in capsys.readouterr().err


def test_an_agent_that_does_not_run_is_named_by_its_unit(ipactl: Callable[..., int], capsys: Capture) -> None:
    assert ipactl("--modem", "roof", "status") == 8
    assert "systemctl start ipad-agent@roof`" in " ".join(capsys.readouterr().err.split())


def test_both_programs_mean_the_same_folders() -> None:
    assert Path(varlink_client.NAMED_AGENTS) == agent_names.RUNTIME_FOLDER
