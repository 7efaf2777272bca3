"""``ipactl setup``: asks, tries, shows, and writes only what a person wants written, losing nothing."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.cli.ipactl import main
from ipad_agent.cli.ipactl.commands import setup_command
from ipad_agent.config import Config, load
from ipad_agent.config.configuration_text import PLACES, changed, fresh
from ipad_agent.errors import ConfigError
from ipad_agent.local.status_model import DoctorItem

Capture = pytest.CaptureFixture[str]
Person = Callable[[str], None]
GOOD = DoctorItem("verdict", "Nothing is wrong as far as was checked.", True)
BAD = DoctorItem("port", "There is no port.", False, "Plug it in.")
OLD = """\
# Ours.
[log]
level = "debug"   # for a while

[modem]
  port = "/dev/ttyUSB2"  # the second one
baud = 9600

[[eim]]
id = "eim.example.net"
psk_identity = "x"
psk_key_file = "key"
"""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """With which configurations the device was examined; nothing was wrong."""
    seen: list[Config] = []

    def examine(config: Config) -> Iterator[DoctorItem]:
        seen.append(config)
        yield GOOD

    monkeypatch.setattr(setup_command, "_tried", examine)
    return seen


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody at a terminal, who types these lines."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return lambda lines: monkeypatch.setattr(sys, "stdin", Terminal(lines))


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_person_is_asked_shown_the_file_and_asked_again_before_it_is_written(
    tmp_path: Path, tried: list[Config], person: Person, capsys: Capture
) -> None:
    path = tmp_path / "new" / "config.toml"
    person("/dev/ttyUSB7\n\n\n\nnbiot\ny\n")
    assert main(["setup", "--config", str(path)]) == 0
    config = load(path)
    assert (config.modem.port, config.poll.preset, config.provisioning.initial_eim) == ("/dev/ttyUSB7", "nbiot", None)
    assert tried[0].modem.port == "/dev/ttyUSB7"
    out = capsys.readouterr().out
    assert (
        out.index("Nothing is wrong")
        < out.index('port = "/dev/ttyUSB7"')
        < out.index("[y/N]")
        < out.index("comes next")
    )


@pytest.mark.parametrize("answer", ["\n", "n\n", "yes please\n", ""])
def test_without_a_yes_nothing_is_written(tmp_path: Path, tried: list[Config], person: Person, answer: str) -> None:
    path = tmp_path / "config.toml"
    person("\n\n\n\n\n" + answer)
    assert main(["setup", "--config", str(path)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_answers_that_end_too_soon_write_nothing(tmp_path: Path, tried: list[Config], person: Person) -> None:
    person("/dev/ttyUSB7\n")
    assert main(["setup", "--config", str(tmp_path / "config.toml")]) == 2
    assert (list(tmp_path.iterdir()), tried) == ([], [])


def test_a_wrong_answer_is_told_and_asked_for_again(
    tmp_path: Path, tried: list[Config], person: Person, capsys: Capture
) -> None:
    person(f"ttyUSB2\nauto\n{tmp_path}/none\n\n\n\nfast\nnormal\ny\n")
    assert main(["setup", "--config", str(tmp_path / "config.toml")]) == 0
    out = capsys.readouterr().out
    assert out.count("✗") == 3
    assert load(tmp_path / "config.toml").modem.port == "auto"


def test_what_is_there_keeps_all_else_it_says_and_stays_as_a_copy(
    tmp_path: Path, tried: list[Config], capsys: Capture
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OLD)
    path.chmod(0o640)
    assert main(["setup", "--config", str(path), "--port", "auto", "--preset", "nbiot", "--yes"]) == 0
    text = path.read_text()
    assert text == OLD.replace('  port = "/dev/ttyUSB2"  # the second one', 'port = "auto"  # the second one') + (
        '\n[poll]\npreset = "nbiot"\n'
    )
    (copy,) = [file for file in tmp_path.iterdir() if file != path]
    assert copy.read_text() == OLD
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert str(copy) in "".join(capsys.readouterr().out.split())


def test_a_second_copy_takes_no_other_s_place(tmp_path: Path, tried: list[Config]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OLD)
    for port in ("/dev/ttyUSB1", "/dev/ttyUSB3", "/dev/ttyUSB4"):
        assert main(["setup", "--config", str(path), "--port", port, "--yes"]) == 0
    assert len(list(tmp_path.iterdir())) == 4
    assert sum(file.read_text() == OLD for file in tmp_path.iterdir()) == 1


def test_what_is_so_already_is_not_written_again(tmp_path: Path, tried: list[Config], capsys: Capture) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OLD)
    assert main(["setup", "--config", str(path), "--port", "/dev/ttyUSB2", "--yes"]) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert "already" in capsys.readouterr().out


def test_a_dry_run_shows_the_file_and_writes_nothing(tmp_path: Path, tried: list[Config], capsys: Capture) -> None:
    assert main(["setup", "--config", str(tmp_path / "c.toml"), "--port", "/dev/ttyUSB3", "--dry-run"]) == 0
    assert 'port = "/dev/ttyUSB3"' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_can_be_asked_nothing_is_written_without_yes(
    tmp_path: Path, tried: list[Config], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\ny\ny\n"))
    assert main(["setup", "--config", str(tmp_path / "config.toml")]) == 2
    assert "--yes writes it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_leaves_what_was_there(
    tmp_path: Path, tried: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OLD)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["setup", "--config", str(path), "--port", "auto", "--yes"]) == 1
    assert path.read_text() == OLD
    assert not (tmp_path / "config.toml.new").exists()


def test_a_file_with_mistakes_is_not_touched(tmp_path: Path, tried: list[Config]) -> None:
    path = tmp_path / "config.toml"
    for text in ("[modem\n", "[modem]\nprot = 1\n"):
        path.write_text(text)
        assert main(["setup", "--config", str(path), "--port", "auto", "--yes"]) == 2
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


# -- trying ------------------------------------------------------------------------------------------------------------


def test_what_does_not_work_is_told_and_the_exit_status_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(setup_command, "_tried", lambda config: iter([BAD]))
    assert main(["setup", "--config", str(tmp_path / "c.toml"), "--yes", "--json"]) == 6
    answer = json.loads(capsys.readouterr().out)
    assert (answer["written"], answer["backup"], answer["items"][0]["sentence"]) == (True, None, "There is no port.")


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        ("--initial-eim", b"\x30\x03\x02\x01\x05", "EimConfigurationData"),
        ("--initial-eim", b"not at all", "neither DER nor hex"),
        ("--ca-file", b"no certificate", "ca_file"),
    ],
)
def test_the_files_are_looked_into_on_a_device_without_agent_and_modem(
    tmp_path: Path, option: str, content: bytes, says: str
) -> None:
    (tmp_path / "config.toml").write_text(f'[store]\nstate_dir = "{tmp_path}/state"\nruntime_dir = "{tmp_path}/run"\n')
    (tmp_path / "file").write_bytes(content)
    words = ["setup", "--config", str(tmp_path / "config.toml"), "--port", str(tmp_path / "no-port"), "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-m", "ipad_agent.cli.ipactl", *words, option, str(tmp_path / "file"), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    items = json.loads(done.stdout)["items"]
    wrong = [item["sentence"] for item in items if item["ok"] is False and item["layer"] == "config"]
    assert any(says in sentence for sentence in wrong), done.stdout + done.stderr
    assert items[-1]["layer"] == "verdict"
    assert done.returncode != 0


# -- the text ----------------------------------------------------------------------------------------------------------


def test_a_new_file_says_everything_and_means_nothing_but_the_answers(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(fresh({}))
    assert load(tmp_path / "c.toml").modem == Config().modem
    uncommented = fresh({}).replace("# port", "port").replace("# preset", "preset").replace("# web_pki", "web_pki")
    for place in PLACES:
        assert place.rpartition(".")[2] in uncommented


@pytest.mark.parametrize(
    "text",
    [
        'modem = {port = "/dev/ttyUSB1"}\n',
        '[modem]\nport = """\n/dev/ttyUSB1"""\n',
        '"modem".port = "/dev/ttyUSB1"\n',
        '[modem]\n"port" = "/dev/ttyUSB1"\n',
        "modem = 3\n",
    ],
)
def test_what_is_written_unusually_is_refused_rather_than_broken(text: str) -> None:
    with pytest.raises(ConfigError):
        changed(text, {"modem.port": "auto"})


@given(
    port=st.text(max_size=30),
    before=st.sampled_from([OLD, "", "[modem]\n", "[modem]\nport=1", '[ modem ] # x\nport = "a#b" # c\n', "[poll]\n"]),
)
def test_any_text_that_is_written_means_the_same_when_read(port: str, before: str) -> None:
    import tomllib

    try:
        text = changed(before, {"modem.port": port})
    except ConfigError:
        return
    meaning, old = tomllib.loads(text), tomllib.loads(before)
    assert meaning.pop("modem") == {**old.pop("modem", {}), "port": port}
    assert meaning == old
    assert tomllib.loads(fresh({"modem.port": port}))["modem"]["port"] == port
