"""The bench of the serial line: that it runs and that its bound is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ipad_agent.lab.bench.real_time_limits import LONGEST_FACTOR

ROOT = Path(__file__).resolve().parents[2]


def test_the_share_of_the_line_is_told_for_both_ways_and_never_over_the_bound() -> None:
    command = [sys.executable, "bench/serial_line.py", "--blocks", "3", "--rounds", "1", "--baud", "115200"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30 * LONGEST_FACTOR)
    assert shown.returncode == 0, shown.stderr
    rows = [[cell.strip() for cell in line.split("|")] for line in shown.stdout.splitlines()[3:]]
    assert [row[1] for row in rows] == [f"serial line used, 115200 baud, AT+{way}" for way in ("CGLA", "CSIM")]
    for _, _, share, *_, about, _ in rows:
        # 3 blocks: some 540 bytes to the modem and 24 back each, ten bits for every byte
        assert 130 < float(about.split()[1]) < 160
        assert 0 < float(share.rstrip(" %")) < 100
