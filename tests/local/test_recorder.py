"""The flight recorder: everything that was said, for a while, into a file for one pair of eyes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.local.flight_recorder import KEPT, MAX_S, Recorder
from ipad_agent.local.local_verbs import Refused
from virtual_time import run


class Taps:
    def __init__(self) -> None:
        self.attached = 0

    def __call__(self, recorder: Recorder) -> Callable[[], None]:
        self.attached += 1

        def detach() -> None:
            self.attached -= 1

        return detach


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_what_is_heard_is_in_the_file_with_its_time(tmp_path: Path) -> None:
    taps = Taps()
    recorder = Recorder(tmp_path, taps, version="0.1.0")

    async def story() -> str:
        path = recorder.start(60)
        assert taps.attached == 1
        recorder.apdu(bytes.fromhex("81E2910003BF2D00"), bytes.fromhex("BF2D009000"))
        recorder.apdu(b"\x00", b"")
        recorder.at("sent", b"AT+CPIN?\r")
        recorder.at("received", b"\xff\r\nOK\r\n")
        recorder.esipa("GetEimPackage", b"\xbf\x4f", None)
        await asyncio.sleep(61)
        return path

    header, *entries = lines(run(story()))
    assert header["recording"] == 1
    assert "identifiers" in header["warning"]
    assert [{name: value for name, value in entry.items() if name != "t"} for entry in entries] == [
        {"apdu": "81e2910003bf2d00", "answer": "bf2d009000"},
        {"apdu": "00", "answer": ""},
        {"at": "sent", "text": "AT+CPIN?\r"},
        {"at": "received", "text": "\\xff\r\nOK\r\n"},
        {"esipa": "GetEimPackage", "request": "bf4f", "answer": None},
    ]
    assert all(entry["t"] >= 0 for entry in entries)
    assert taps.attached == 0
    assert not recorder.recording


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Taps())

    async def story() -> str:
        path = recorder.start(1)
        recorder.stop()
        return path

    before = os.umask(0)
    try:
        assert os.stat(run(story())).st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


@pytest.fixture
def next_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the next recording will be: the clock stands."""
    moment = time.gmtime(1.8e9)
    monkeypatch.setattr("ipad_agent.local.flight_recorder.time.gmtime", lambda *_: moment)
    return tmp_path / time.strftime("recording-%Y%m%dT%H%M%SZ.jsonl", moment)


def test_a_file_that_somebody_left_open_for_others_is_closed_to_them_before_a_word_is_in_it(
    tmp_path: Path, next_path: Path
) -> None:
    next_path.write_text("theirs")
    next_path.chmod(0o666)
    recorder = Recorder(tmp_path, Taps())

    async def story() -> None:
        assert recorder.start(1) == str(next_path)
        recorder.stop()

    run(story())
    assert next_path.stat().st_mode & 0o777 == 0o600
    assert [entry.get("recording") for entry in lines(str(next_path))] == [1]


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path, next_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    next_path.symlink_to(victim)
    recorder = Recorder(tmp_path, Taps())

    async def story() -> None:
        with pytest.raises(Refused, match="cannot be written"):
            recorder.start(1)
        assert not recorder.recording

    run(story())
    assert victim.read_text() == "precious"
    assert victim.stat().st_mode & 0o777 == 0o644


def test_the_folder_is_made_for_its_owner_alone_also_when_somebody_removed_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "state" / "records", Taps())

    async def story() -> None:
        for _ in range(2):
            path = recorder.start(1)
            recorder.stop()
            assert lines(path)
            assert os.stat(tmp_path / "state" / "records").st_mode & 0o777 == 0o700
            shutil.rmtree(tmp_path / "state")

    run(story())


def test_a_second_order_prolongs_the_same_recording(tmp_path: Path) -> None:
    taps = Taps()
    recorder = Recorder(tmp_path, taps)

    async def story() -> None:
        first = recorder.start(10)
        await asyncio.sleep(8)
        assert recorder.start(10) == first
        assert taps.attached == 1
        await asyncio.sleep(8)
        assert recorder.recording
        await asyncio.sleep(3)
        assert not recorder.recording

    run(story())


def test_it_ends_when_the_file_is_as_large_as_it_may_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ipad_agent")
    taps = Taps()
    recorder = Recorder(tmp_path, taps, max_bytes=2000)

    async def story() -> str:
        path = recorder.start(10)
        for _ in range(100):
            recorder.apdu(bytes(50), bytes(50))
        assert not recorder.recording
        await asyncio.sleep(20)
        return path

    path = run(story())
    assert os.path.getsize(path) <= 2000
    assert lines(path)[-1]["apdu"]
    assert taps.attached == 0
    assert sum("as large" in record.getMessage() for record in caplog.records) == 1


def test_a_disk_that_refuses_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taps = Taps()
    recorder = Recorder(tmp_path, taps)

    def refuse(*_: object) -> int:
        raise OSError(28, "no space")

    async def story() -> None:
        recorder.start(10)
        monkeypatch.setattr(os, "write", refuse)
        recorder.apdu(b"\x00", b"\x90\x00")
        assert not recorder.recording
        with pytest.raises(Refused):
            recorder.start(10)

    run(story())
    assert taps.attached == 0


@pytest.mark.parametrize("seconds", [0, -1, MAX_S + 1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(tmp_path: Path, seconds: float) -> None:
    async def story() -> None:
        with pytest.raises(Refused) as refused:
            Recorder(tmp_path, Taps()).start(seconds)
        assert refused.value.error == "InvalidParameter"

    run(story())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def story() -> None:
        with pytest.raises(Refused, match="cannot be written"):
            Recorder(tmp_path / "file" / "records", Taps()).start(5)

    run(story())


def test_old_recordings_give_way(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"recording-2020010{number}T000000Z.jsonl").write_text("old")
    (tmp_path / "precious.txt").write_text("kept")

    async def story() -> None:
        recorder = Recorder(tmp_path, Taps())
        recorder.start(5)
        recorder.stop()

    run(story())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == "precious.txt"
    assert len(names) == KEPT + 1
    assert names[1] == "recording-20200104T000000Z.jsonl"


def test_what_comes_after_the_end_is_not_written(tmp_path: Path) -> None:
    async def story() -> str:
        recorder = Recorder(tmp_path, Taps())
        path = recorder.start(5)
        recorder.stop()
        recorder.stop()
        recorder.apdu(b"\x00", b"\x90\x00")
        return path

    assert len(lines(run(story()))) == 1
