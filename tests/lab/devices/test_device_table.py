"""The line of each of many devices: the eIM's view, and what the agent's log says."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.lab.devices.device_table import DeviceRow, summary, table

EID = "89049032000000000000000000100170"
FAILED = b'{"id": "IPA-1005", "level": "warning", "text": "The poll of eim failed.", "facts": {}, "t": 1.0}\n'
OTHER = b'{"id": "IPA-1003", "level": "info", "text": "eim: next poll in 9 s.", "facts": {}, "t": 1.0}\n'


def test_failed_polls_are_counted_once_however_often_the_log_is_read(tmp_path: Path) -> None:
    log, row = tmp_path / "agent.log", DeviceRow(0, EID)
    row.read_log(log)
    assert row.failures == 0
    log.write_bytes(OTHER + FAILED)
    for _ in range(2):
        row.read_log(log)
    assert (row.failures, row.problem) == (1, "The poll of eim failed.")


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    log, row = tmp_path / "agent.log", DeviceRow(0, EID)
    log.write_bytes(FAILED + FAILED[:30])
    row.read_log(log)
    assert row.failures == 1
    log.write_bytes(FAILED + FAILED)
    row.read_log(log)
    assert row.failures == 2


def test_why_an_agent_did_not_start_is_shown(tmp_path: Path) -> None:
    log, row = tmp_path / "agent.log", DeviceRow(0, EID)
    log.write_bytes(b"agent.toml: 1 problem\n  eim: is of the wrong type\n")
    row.read_log(log)
    assert row.problem == "eim: is of the wrong type"


def test_table_has_a_line_for_each_device_and_the_sum() -> None:
    rows = [
        DeviceRow(0, EID, running=True, asked=3, results=1, last_asked_s=995.0),
        DeviceRow(1, EID, started_s=1.0, problem="x" * 99),
    ]
    lines = table(rows, 1000.0).splitlines()
    assert lines[1].split() == ["0", EID, "runs", "3", "5", "s", "ago", "0", "1"]
    assert lines[2].split()[2:5] == ["ended", "0", "never"]
    assert lines[2].endswith("...")
    assert lines[3] == summary(rows)
    assert summary(rows) == "2 devices: 1 run, 1 have asked for work, 3 times in all, 0 polls failed, 1 results"
