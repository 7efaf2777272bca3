"""How long `ipactl` takes to answer, with a bare Python beside it: wall clock and processor time, median and best.

    python bench/answer_time.py [--socket PATH] [--rounds 30]

To be run on a quiet machine with an agent at the socket (``ipad-agent lab up`` and ``ipad-agent run``). Wall clock
means nothing while other programs compete for the processor; processor time then means a little more.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from statistics import median

CASES = {
    "python -c pass": ["-c", "pass"],
    "ipactl status": ["-m", "ipad_agent.cli.ipactl", "status"],
    "ipactl --fields verdict.state": ["-m", "ipad_agent.cli.ipactl", "--fields", "verdict.state"],
    "ipactl status --json": ["-m", "ipad_agent.cli.ipactl", "status", "--json"],
    "ipactl profiles": ["-m", "ipad_agent.cli.ipactl", "profiles"],
    "ipactl history": ["-m", "ipad_agent.cli.ipactl", "history"],
    "ipactl log": ["-m", "ipad_agent.cli.ipactl", "log"],
}


def measured(words: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Wall clock and processor time in ms, and the exit status."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000, process.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--socket", metavar="PATH", help="the agent's socket")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    environment = dict(os.environ) | ({"IPACTL_SOCKET": arguments.socket} if arguments.socket else {})
    found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in CASES}
    for _ in range(arguments.rounds):  # in turn, so that what else the machine does meets all of them
        for name, words in CASES.items():
            found[name].append(measured(words, environment))
    print(f"{'':32}  wall ms: median  best   cpu ms: median  best   exit   (load {os.getloadavg()[0]:.1f})")
    for name, times in found.items():
        walls, cpus = [wall for wall, _, _ in times], [cpu for _, cpu, _ in times]
        figures = f"{median(walls):15.0f} {min(walls):5.0f}  {median(cpus):15.0f} {min(cpus):5.0f}"
        print(f"{name:32}  {figures}   {times[-1][2]:4}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
