from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ipad_agent.openwrt import uci_command

GOOD = "config poll 'poll'\n\toption interval_s '3600'\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def run(text: str | bytes, target: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    content = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    return uci_command.main(["--output", str(target)])


def test_the_configuration_file_is_made(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(GOOD, target, monkeypatch) == 0
    assert "interval_s = 3600" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "text",
    [
        "config poll\n\toption interval_s 'often'\n",
        "config poll\n\toption interval_s '1\n",
        "",
        "# nothing but a comment\n",
        b"config poll\n\toption preset '\xff'\n",
    ],
    ids=["value", "syntax", "empty", "comment", "bytes"],
)
def test_a_mistake_leaves_the_file_as_it_is(
    text: str | bytes, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(GOOD, target, monkeypatch) == 0
    before = target.read_bytes()
    assert run(text, target, monkeypatch) == 2
    assert target.read_bytes() == before
    assert capsys.readouterr().err.startswith("ipad")


def test_a_file_that_would_stay_the_same_is_not_written(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(GOOD, target, monkeypatch)
    os.utime(target, ns=(1, 1))
    inode = target.stat().st_ino
    assert run(GOOD, target, monkeypatch) == 0
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == (1, inode)
    assert run(GOOD.replace("3600", "7200"), target, monkeypatch) == 0
    assert target.stat().st_ino != inode, "replaced in one step, not written into"


def test_a_disk_that_refuses_is_told_apart_from_a_mistake(
    target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(GOOD, target.parent / "missing" / "config.toml", monkeypatch) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_file_that_is_not_there_yet_is_named_and_hinders_nothing(
    target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("config provisioning\n\toption initial_eim 'eim.der'\n", target, monkeypatch) == 0
    assert f"ipad.provisioning.initial_eim: {target.parent}/eim.der: No such file" in capsys.readouterr().err


def test_without_an_output_it_only_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ipad"
    file.write_text(GOOD)
    assert uci_command.main(["--input", str(file)]) == 0
    assert capsys.readouterr().out == "ipad: fine\n"
    assert list(tmp_path.iterdir()) == [file]
    assert uci_command.main(["--input", str(tmp_path / "none")]) == 2
