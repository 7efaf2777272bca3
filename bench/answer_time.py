"""How long `ipactl` takes to answer, with a bare Python beside it: wall clock and processor time.

    python bench/answer_time.py [--socket PATH] [--rounds 30]

Asks the agent at the socket; without one, an agent of its own against the lab. Wall clock means nothing while other
programs compete for the processor; processor time then means a little more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from statistics import median

from figures import Figure, rows

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench

GOAL_MS = 150.0
CASES = {
    "python -c pass": ["-c", "pass"],
    "ipactl status": ["-m", "ipad_agent.cli.ipactl", "status"],
    "ipactl --fields verdict.state": ["-m", "ipad_agent.cli.ipactl", "--fields", "verdict.state"],
    "ipactl status --json": ["-m", "ipad_agent.cli.ipactl", "status", "--json"],
    "ipactl profiles": ["-m", "ipad_agent.cli.ipactl", "profiles"],
    "ipactl history": ["-m", "ipad_agent.cli.ipactl", "history"],
    "ipactl log": ["-m", "ipad_agent.cli.ipactl", "log"],
}


async def measure(rounds: int = 30, socket: str = "") -> list[Figure]:
    """Median wall clock and processor time of each command."""
    if socket:
        return await asyncio.to_thread(_figures, rounds, socket)
    async with Bench(BenchOptions(personality="eg25")) as bench:
        await bench.agent.start()
        await bench.agent.event("IPA-4011", deadline_s=60)
        path = bench.folder / "agent-run" / "io.github.ipadagent"
        return await asyncio.to_thread(_figures, rounds, str(path))


def _figures(rounds: int, socket: str) -> list[Figure]:
    environment = dict(os.environ) | {"IPACTL_SOCKET": socket}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(rounds):  # in turn, so that what else the machine does meets all of them
        for name, words in CASES.items():
            found[name].append(_answered(words, environment))
    figures = []
    for name, times in found.items():
        walls_ms, cpus_ms = [wall for wall, _ in times], [cpu for _, cpu in times]
        about = f"median of {rounds}, best {min(walls_ms):.0f}; {median(cpus_ms):.0f} ms of processor time"
        figures.append(Figure(name, "ms", median(walls_ms), GOAL_MS if name.startswith("ipactl") else None, about))
    return figures


def _answered(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall clock and processor time in ms. Raises ``RuntimeError`` when the command failed."""
    began_s = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    process = os.posix_spawn(sys.executable, [sys.executable, *words], environment, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    wall_s = time.perf_counter() - began_s
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"`{' '.join(words)}` ended with {os.waitstatus_to_exitcode(status)}")
    return wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--socket", metavar="PATH", default="", help="the agent's socket")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    print("\n".join(rows(asyncio.run(measure(arguments.rounds, arguments.socket)))))
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
