"""The recording in a support bundle: with nobody's numbers in it, and never a reason for no bundle."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ipad_agent.doctor.bundle import bundled_recording
from ipad_agent.doctor.bundle.identifier_forms import Known
from ipad_agent.doctor.bundle.support_bundle import Sources, build
from ipad_agent.recording.recording_format import Record, header, read_lines
from ipad_agent.recording.redacted_recording import Redacted, redact

EID, IMEI = "89049032000000000000000012345644", "356938035643809"
POLL = bytes.fromhex(f"BF4F125A10{EID}")


def recorded(folder: Path, *records: Record, segment: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [header(session="s", segment=segment, began_s=0, version="1"), *(record.line(0) for record in records)]
    (folder / f"segment-{segment:08d}.jsonl").write_bytes(b"\n".join([*lines, b""]))
    return folder


def files(sources: Sources) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(build(sources)), mode="r:gz") as archive:
        return {
            member.name.rpartition("/")[2]: file.read()
            for member in archive
            if (file := archive.extractfile(member)) is not None
        }


def test_a_recording_is_in_the_bundle_without_numbers(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "records", Record(1, "esipa", "sent", POLL, facts={"function": "GetEimPackage"}))
    found = files(Sources(now_s=0, records_folder=folder, known=Known(frozenset({EID}))))
    recording = read_lines(found["recording.jsonl"].split(b"\n"))
    assert recording is not None
    assert recording.redacted
    (record,) = recording.records
    assert record.data[:5] == POLL[:5]
    assert len(record.data) == len(POLL)
    assert not any(EID.encode() in content or bytes.fromhex(EID) in content for content in found.values())
    assert b"recording.jsonl" in found["README.txt"]


def test_what_the_bundle_knows_is_replaced_also_where_nothing_shows_what_it_is(tmp_path: Path) -> None:
    """A number of 12 digits in the words of a modem looks like nothing."""
    folder = recorded(tmp_path / "records", Record(1, "at", "received", b"+X: 123456789012,7\r\n"))
    found = files(Sources(now_s=0, records_folder=folder, known=Known(frozenset({"123456789012"}))))
    assert b"123456789012" not in found["recording.jsonl"]


@pytest.mark.parametrize("there", [True, False])
def test_without_a_recording_there_is_no_such_file(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "records"
    if there:
        recorded(folder)
    assert "recording.jsonl" not in files(Sources(now_s=0, records_folder=folder))


def test_a_recording_that_cannot_be_cleaned_is_left_out_and_the_bundle_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path / "records", Record(1, "esipa", "sent", POLL))

    def broken(records: list[Record], **_: object) -> Redacted:
        return Redacted(records, redact(records).numbers, frozenset())

    monkeypatch.setattr(bundled_recording, "redact", broken)
    found = files(Sources(now_s=0, records_folder=folder))
    assert found["recording.jsonl"].startswith(b"Left out: the file would hold an identifier")
    assert EID.encode() not in b"".join(found.values())


def test_of_a_long_recording_the_end_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "records"
    for segment in range(1, 5):
        recorded(folder, Record(segment, "at", "sent", b"AT+X=%d\r" % segment), segment=segment)
    size = (folder / "segment-00000001.jsonl").stat().st_size
    monkeypatch.setattr(bundled_recording, "MAX_BYTES", 2 * size + 10)
    recording = read_lines(files(Sources(now_s=0, records_folder=folder))["recording.jsonl"].split(b"\n"))
    assert recording is not None
    assert [record.data for record in recording.records] == [b"AT+X=3\r", b"AT+X=4\r"]
