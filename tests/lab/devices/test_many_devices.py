"""``ipad-agent lab up --devices N``: real agents in processes of their own against one eIM, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.command.lab_socket import send_order
from ipad_agent.lab.errors import ControlError
from ipad_agent.lab.euicc import OPERATOR_A

COUNT = 3
STOPPED = "IPA-1002"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A lab with a few devices: its folder and its process."""
    folder = tmp_path / "lab"
    words = ["lab", "up", "--json", "--dir", str(folder), "--devices", str(COUNT), "--interval", "5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ipad_agent", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["folder"] == str(folder)
        yield folder, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def rows(folder: Path) -> list[dict[str, Any]]:
    """What ``ipad-agent lab devices --json`` prints."""
    try:
        found = send_order(folder, ["lab", "devices"]).data
    except ControlError:
        return []  # not there yet
    assert isinstance(found, list)
    return found


def wait(happened: Callable[[], bool], what: str) -> None:
    """Real processes: a limit for what is stuck, not for what is slow."""
    until_s = time.monotonic() + 120.0
    while not happened():
        assert time.monotonic() < until_s, what
        time.sleep(0.2)


def said_last(folder: Path, number: int) -> str:
    """The id of the last message in a device's log."""
    log = folder / "devices" / f"{number:04d}" / "agent.log"
    return str(json.loads(log.read_text().splitlines()[-1])["id"])


def test_each_device_asks_for_work_carries_out_its_own_orders_and_ends_with_the_lab(
    lab: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    folder, process = lab
    wait(lambda: len(found := rows(folder)) == COUNT and all(row["asked"] for row in found), "a device did not ask")
    first, second, third = rows(folder)
    assert len({row["eid"] for row in (first, second, third)}) == COUNT
    send_order(folder, ["eim", "queue", "--eid", second["eid"], "enable", OPERATOR_A])
    send_order(folder, ["eim", "queue", "--eid", "all", "list-profiles"])
    wait(lambda: [row["results"] for row in rows(folder)] == [1, 2, 1], "results did not come")
    assert [(row["running"], row["failures"]) for row in rows(folder)] == [(True, 0)] * COUNT
    assert "3 devices: 3 run, 3 have asked for work" in send_order(folder, ["lab", "devices"]).text
    enabled = [
        next(one["iccid"] for one in json.loads(path.read_text())["profiles"] if one["enabled"])
        for path in sorted((folder / "devices").glob("*/card.json"))
    ]
    assert [iccid == OPERATOR_A for iccid in enabled] == [False, True, False]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0
    assert [said_last(folder, number) for number in range(COUNT)] == [STOPPED] * COUNT
    assert process.stdout is not None
    assert b"3 devices: " in process.stdout.read()  # how they did, once more


def test_agents_end_with_a_lab_that_is_killed(lab: tuple[Path, subprocess.Popen[bytes]]) -> None:
    folder, process = lab
    with pytest.raises(ControlError, match="no device with EID"):
        send_order(folder, ["eim", "queue", "--eid", "89049032000000000000000000999963", "list-profiles"])
    wait(lambda: len(found := rows(folder)) == COUNT and all(row["asked"] for row in found), "a device did not ask")
    process.kill()
    wait(lambda: [said_last(folder, number) for number in range(COUNT)] == [STOPPED] * COUNT, "an agent goes on")
