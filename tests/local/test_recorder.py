"""The flight recorder: everything that was said, with time and direction, in a ring of bounded size."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent.local.flight_recorder import MAX_S, Recorder
from ipad_agent.local.local_verbs import Refused
from ipad_agent.recording.recording_format import Record, read, read_lines
from ipad_agent.recording.segment_ring import SEGMENTS
from virtual_time import run


class Taps:
    def __init__(self) -> None:
        self.attached = 0

    def __call__(self, recorder: Recorder) -> Callable[[], None]:
        self.attached += 1

        def detach() -> None:
            self.attached -= 1

        return detach


def records(folder: Path) -> list[Record]:
    return read(folder).records


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*.jsonl"))


def test_what_is_heard_is_on_the_disk_with_time_and_direction(tmp_path: Path) -> None:
    taps = Taps()
    recorder = Recorder(tmp_path, taps, version="0.1.0")

    async def story() -> None:
        assert recorder.start(60) == str(tmp_path)
        assert taps.attached == 1
        recorder.apdu("sent", bytes.fromhex("81E2910003BF2D00"))
        recorder.apdu("received", bytes.fromhex("BF2D009000"))
        recorder.apdu("received", b"")
        recorder.at("sent", b"AT+CPIN?\r")
        recorder.at("received", b"\xff\r\nO")
        recorder.at("received", b"K\r\n+CRE")
        recorder.at("sent", b"AT\r")
        recorder.message("esipa", "sent", b"\xbf\x4f", {"function": "GetEimPackage", "path": "/gsma", "status": ""})
        recorder.message("es9", "received", b'{"header":{}}', {"function": "GetBoundProfilePackage", "status": "200"})
        await asyncio.sleep(61)

    run(story())
    found = records(tmp_path)
    assert [(one.kind, one.way, one.data) for one in found] == [
        ("apdu", "sent", bytes.fromhex("81E2910003BF2D00")),
        ("apdu", "received", bytes.fromhex("BF2D009000")),
        ("apdu", "received", b""),
        ("at", "sent", b"AT+CPIN?\r"),
        ("at", "received", b"\xff\r\n"),
        ("at", "received", b"OK\r\n"),
        ("at", "received", b"+CRE"),
        ("at", "sent", b"AT\r"),
        ("esipa", "sent", b"\xbf\x4f"),
        ("es9", "received", b'{"header":{}}'),
    ]
    assert found[-2].facts == {"function": "GetEimPackage", "path": "/gsma"}
    assert found[-1].facts == {"function": "GetBoundProfilePackage", "status": "200"}
    assert all(abs(one.at_s - os.stat(tmp_path).st_mtime) < 3600 for one in found)
    assert taps.attached == 0
    assert not recorder.recording


def test_the_keys_that_authenticate_gives_are_never_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Taps())

    async def story() -> None:
        recorder.start(60)
        recorder.apdu("sent", bytes.fromhex("008800812210" + "AA" * 16 + "10" + "BB" * 16))
        recorder.apdu("received", bytes.fromhex("DB08" + "CC" * 8 + "10" + "DD" * 16 + "9000"))
        recorder.apdu("sent", bytes.fromhex("00B0000009"))
        recorder.stop()

    run(story())
    assert [one.data.hex() for one in records(tmp_path)] == ["00880081", "9000", "00b0000009"]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Taps())

    async def story() -> None:
        recorder.start(1)
        recorder.stop()

    before = os.umask(0)
    try:
        run(story())
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in segments(tmp_path)] == [0o600]


@pytest.mark.parametrize("link", [True, False])
def test_what_lies_where_the_next_segment_belongs_is_not_written_to(
    tmp_path: Path, link: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who is faster than the recorder, with a link or with a file that others have open."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    place = tmp_path / "records" / "segment-00000001.jsonl"
    place.parent.mkdir()
    if link:
        place.symlink_to(victim)
    else:
        os.link(victim, place)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    recorder = Recorder(place.parent, Taps())

    async def story() -> None:
        with pytest.raises(Refused, match="cannot be written"):
            recorder.start(1)
        assert not recorder.recording

    run(story())
    assert victim.read_text() == "precious"
    assert victim.stat().st_mode & 0o777 == 0o644


def test_a_link_of_an_earlier_name_is_only_taken_away(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "segment-00000041.jsonl").symlink_to(victim)
    recorder = Recorder(folder, Taps(), max_bytes=80_000)

    async def story() -> None:
        recorder.start(60)
        for _ in range(400):
            recorder.apdu("sent", bytes(250))
        recorder.stop()

    run(story())
    assert victim.read_text() == "precious"
    assert not any(path.is_symlink() for path in segments(folder))


def test_the_folder_is_made_for_its_owner_alone_also_when_somebody_removed_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "state" / "records", Taps())

    async def story() -> None:
        for _ in range(2):
            recorder.start(1)
            recorder.stop()
            assert segments(tmp_path / "state" / "records")
            assert os.stat(tmp_path / "state" / "records").st_mode & 0o777 == 0o700
            shutil.rmtree(tmp_path / "state")

    run(story())


def test_a_second_order_prolongs_the_same_recording(tmp_path: Path) -> None:
    taps = Taps()
    recorder = Recorder(tmp_path, taps)

    async def story() -> None:
        recorder.start(10)
        await asyncio.sleep(8)
        recorder.start(10)
        assert taps.attached == 1
        await asyncio.sleep(8)
        assert recorder.recording
        assert recorder.state.left_s == pytest.approx(2)
        await asyncio.sleep(3)
        assert not recorder.recording
        assert recorder.state.ended == "its time is over"
        recorder.start(None)
        await asyncio.sleep(10 * MAX_S)
        assert recorder.recording
        assert recorder.state.left_s is None
        recorder.stop()

    run(story())
    assert len(segments(tmp_path)) == 2


def test_the_oldest_gives_way_and_the_ring_never_exceeds_its_bound(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Taps(), max_bytes=80_000)

    async def story() -> None:
        recorder.start(10)
        for number in range(2000):
            recorder.apdu("sent", number.to_bytes(50, "big"))
            if number % 50 == 0:
                assert sum(path.stat().st_size for path in segments(tmp_path)) <= 80_000
        assert recorder.recording
        recorder.stop()

    run(story())
    numbers = [int.from_bytes(one.data, "big") for one in records(tmp_path)]
    assert numbers == list(range(numbers[0], 2000))
    assert 350 < len(numbers) < 800
    assert len(segments(tmp_path)) <= SEGMENTS


def test_a_new_recording_leaves_the_former_one_and_begins_a_segment(tmp_path: Path) -> None:
    async def story() -> None:
        for word in (b"one", b"two"):
            recorder = Recorder(tmp_path, Taps())
            recorder.start(10)
            recorder.apdu("sent", word)
            recorder.stop()

    run(story())
    first, second = records(tmp_path)
    assert (first.data, second.data) == (b"one", b"two")
    assert first.session != second.session


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    async def story() -> None:
        for word in (b"one", b"two"):
            recorder = Recorder(tmp_path, Taps())
            recorder.start(10)
            recorder.apdu("sent", word)
            recorder.apdu("received", word)
            recorder.stop()

    run(story())
    first = segments(tmp_path)[0]
    whole = first.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last + 1, len(whole) - 1):
        first.write_bytes(whole[:end])
        found = read(tmp_path)
        assert [one.data for one in found.records] == [b"one", b"two", b"two"]
        assert found.unreadable_lines == 1
    first.write_bytes(whole[:last] + bytes(512))  # what some file systems leave after a power cut
    assert [one.data for one in records(tmp_path)] == [b"one", b"two", b"two"]


def test_a_body_that_is_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Taps(), max_bytes=80_000)

    async def story() -> None:
        recorder.start(10)
        recorder.message("es9", "received", bytes(50_000), {"function": "GetBoundProfilePackage"})
        recorder.stop()

    run(story())
    (found,) = records(tmp_path)
    assert (len(found.data), found.cut_bytes) == (2500, 50_000)


@pytest.mark.parametrize("written", [-1, 10])
def test_a_disk_that_refuses_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, written: int
) -> None:
    """Also one that takes a part of the line, as a full one does."""
    taps = Taps()
    recorder = Recorder(tmp_path, taps)

    def refuse(*_: object) -> int:
        if written < 0:
            raise OSError(28, "no space")
        return written

    async def story() -> None:
        recorder.start(10)
        monkeypatch.setattr(os, "write", refuse)
        recorder.apdu("sent", b"\x00")
        recorder.apdu("received", b"\x90\x00")
        assert not recorder.recording
        assert "no space" in recorder.state.ended.lower()
        with pytest.raises(Refused):
            recorder.start(10)

    run(story())
    assert taps.attached == 0
    assert sum("the disk refused" in record.getMessage() for record in caplog.records) == 1


def test_the_last_megabyte_of_the_disk_is_left_to_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((real.f_bsize, 1024, 9999, 1100, 1100, *tuple(real)[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)

    async def story() -> None:
        with pytest.raises(Refused, match=os.strerror(errno.ENOSPC)):
            Recorder(tmp_path, Taps()).start(5)

    run(story())
    assert not segments(tmp_path)


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


def test_what_agents_before_the_ring_wrote_goes(tmp_path: Path) -> None:
    (tmp_path / "recording-20200101T000000Z.jsonl").write_text("old")
    (tmp_path / "precious.txt").write_text("kept")

    async def story() -> None:
        recorder = Recorder(tmp_path, Taps())
        recorder.start(5)
        recorder.stop()

    run(story())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.txt", "segment-00000001.jsonl"]


def test_what_comes_after_the_end_is_not_written(tmp_path: Path) -> None:
    async def story() -> None:
        recorder = Recorder(tmp_path, Taps())
        recorder.start(5)
        recorder.at("received", b"unfinished")
        recorder.stop()
        recorder.stop()
        recorder.apdu("sent", b"\x00")
        recorder.at("received", b"more\r\n")

    run(story())
    assert [one.data for one in records(tmp_path)] == [b"unfinished"]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[1]",
        b"nonsense",
        b'{"t":1,"kind":"at","way":"sent"}',
        b'{"t":true,"kind":"at","way":"sent","text":"x"}',
        b'{"t":1,"kind":"fax","way":"sent","text":"x"}',
        b'{"t":1,"kind":"at","way":"up","text":"x"}',
        b'{"t":1,"kind":"apdu","way":"sent","hex":"0"}',
        b'{"t":1,"kind":"apdu","way":"sent","hex":7}',
        '{"t":1,"kind":"at","way":"sent","text":"\u20ac"}'.encode(),
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_record_is_counted(line: bytes) -> None:
    head = b'{"recording":2,"began_s":1000}'
    found = read_lines([head, line, b'{"t":1,"kind":"at","way":"sent","text":"AT"}'])
    assert found is not None
    assert ([one.data for one in found.records], found.unreadable_lines) == ([b"AT"], 1)
    assert found.records[0].at_s == 1001
