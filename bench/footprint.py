"""What the daemon costs: memory after its first polls, CPU to the first answer, bytes per poll on the wire.

    python bench/footprint.py

Runs the real daemon against the lab, as the scenarios do. Figures in the README come from here.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ipad_agent.lab.bench.lab_bench import Bench, BenchOptions

POLLS = 5


async def main() -> None:
    options = BenchOptions(personality="eg25", config={"poll": {"interval_s": 1, "first_s": 0}})
    async with Bench(options) as bench:
        await bench.agent.start()
        await bench.agent.event("IPA-4011", deadline_s=60)
        pid = bench.agent.pid
        first = _bytes(bench)
        print(f"CPU until the first poll ended   {_cpu_s(pid):.2f} s")
        for _ in range(POLLS):
            await bench.agent.event("IPA-4011", deadline_s=60)
        print(f"resident memory after {POLLS + 1} polls   {_rss_mb(pid):.1f} MB")
        print(f"first poll, full handshake       {first} bytes of UDP payload, both ways")
        print(f"later polls, resumed handshake   {(_bytes(bench) - first) // POLLS} bytes each")


def _bytes(bench: Bench) -> int:
    return sum(counters.delivered_bytes for counters in bench.proxy.link.counters.values())


def _rss_mb(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _cpu_s(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(main())
