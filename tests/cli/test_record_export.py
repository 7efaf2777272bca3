"""``ipactl record export``: what it writes, for whom, and when it does not."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from ipad_agent.cli.ipactl import main
from ipad_agent.recording.recording_format import Record, header, read

EID = "89049032000000000000000012345644"
POLL = bytes.fromhex(f"BF4F125A10{EID}")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an agent left, the last line of it torn."""
    made = tmp_path / "state" / "records"
    made.mkdir(parents=True)
    lines = [header(session="s", segment=1, began_s=1.8e9, version="0.1.0")]
    lines += [
        Record(1.8e9 + 1, "at", "sent", b"AT+CGSN\r").line(1.8e9),
        Record(1.8e9 + 2, "esipa", "sent", POLL, facts={"function": "GetEimPackage"}).line(1.8e9),
        b'{"t":3,"kind":"at","way":"rec',
    ]
    (made / "segment-00000001.jsonl").write_bytes(b"\n".join(lines))
    return made


def export(folder: Path, *words: str) -> int:
    return main(["record", "export", *words, "--from", str(folder)])


@pytest.mark.parametrize("form", ["jsonl", "text", "pcapng"])
def test_the_file_is_for_this_user_and_names_nobody(folder: Path, tmp_path: Path, form: str, capsys: Capture) -> None:
    file = tmp_path / "out"
    assert export(folder, str(file), "--format", form) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert EID.encode() not in content
    assert bytes.fromhex(EID) not in content
    assert b"GetEimPackage" in content
    said = " ".join(capsys.readouterr().out.split())
    assert "2 records. 1 torn lines were left out." in said
    assert "are replaced" in said


def test_the_folder_is_that_of_the_configuration(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[store]\nstate_dir = "{folder.parent}"\n')
    file = tmp_path / "out.jsonl"
    assert main(["record", "export", str(file), "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"path": str(file), "records": 2, "unreadable_lines": 1, "redacted": True}
    assert read(file).redacted


def test_an_export_can_be_exported_again_and_stays_what_it_is(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert export(folder, str(first)) == 0
    assert main(["record", "export", str(second), "--from", str(first), "--full"]) == 0
    assert [one.data for one in read(second).records] == [one.data for one in read(first).records]
    assert read(second).redacted


def test_all_numbers_are_written_with_consent_only(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "out"
    assert export(folder, str(file), "--full") == 3
    assert not file.exists()
    assert "--yes" in capsys.readouterr().err
    assert export(folder, str(file), "--full", "--yes") == 0
    assert EID.lower().encode() in file.read_bytes()
    assert not read(file).redacted
    assert "people you trust" in capsys.readouterr().out


def test_no_file_is_written_over(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "out"
    file.write_text("precious")
    assert export(folder, str(file)) == 1
    assert file.read_text() == "precious"
    assert "exists already" in capsys.readouterr().err


def test_where_there_is_no_recording_it_says_how_to_make_one(tmp_path: Path, capsys: Capture) -> None:
    assert export(tmp_path / "nowhere", str(tmp_path / "out")) == 1
    assert "record start" in " ".join(capsys.readouterr().err.split())  # a long path wraps the sentence anywhere
    (tmp_path / "empty").mkdir()
    assert export(tmp_path / "empty", str(tmp_path / "out")) == 1
    assert "no recording" in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_the_agent_asks_for_sudo(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", forbidden)
    assert export(folder, str(tmp_path / "out")) == 3
