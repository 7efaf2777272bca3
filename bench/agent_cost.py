"""What the daemon costs: memory, processor time and writes to the disk, as a real process against the lab.

python bench/agent_cost.py [--polls 1000] [--downloads 20]
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

from figures import Figure, rows

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.scenarios.support.common_steps import until
from ipad_agent.lab.scenarios.support.download_steps import direct, offer, poll_now

NOTHING_WAITS, WAITING = "IPA-4011", "IPA-1003"
DEADLINE_S = 120.0
DOWNLOAD_BYTES = 60_000
QUIET: dict[str, Any] = {
    "poll": {"interval_s": 24 * 3600, "first_s": 0, "phase_window_s": 0, "fast_phase_s": 0, "max_packages": 16},
}
"""Nothing is polled that is not asked for."""


async def measure(polls: int = 1000, downloads: int = 20) -> list[Figure]:
    """Both: an agent that uses all it has, and one that knows HTTPS only."""
    return [*await _everything(polls, downloads), *await _https_only()]


async def _everything(polls: int, downloads: int) -> list[Figure]:
    offers = [offer(number + 1, size_bytes=DOWNLOAD_BYTES) for number in range(downloads)]
    options = direct(*offers, config=QUIET, personality="eg25")
    async with Bench(options) as bench:
        await bench.agent.start()
        await bench.agent.event("IPA-1001", deadline_s=DEADLINE_S)
        await _idle(bench)
        pid = _pid(bench)
        first_cpu_s, ready_mb = _cpu_s(pid), _resident_mb(pid)
        await _poll(bench, 10)
        begun_cpu_s, begun_writes = _cpu_s(pid), _written_bytes(pid)
        few = max(polls // 10, 1)
        await _poll(bench, few)
        early_ms = (_cpu_s(pid) - begun_cpu_s) / few * 1000
        writes = (_written_bytes(pid) - begun_writes) / few
        await _poll(bench, polls - 2 * few)
        late_cpu_s = _cpu_s(pid)
        await _poll(bench, few)
        late_ms = (_cpu_s(pid) - late_cpu_s) / few * 1000
        polled_mb = _resident_mb(pid)
        before_s = _cpu_s(pid)
        for wanted in offers:
            await _download(bench, wanted)
        download_s = (_cpu_s(pid) - before_s) / max(downloads, 1)
        used_mb = _resident_mb(pid)
    return [
        Figure("CPU to the end of the first poll", "s", first_cpu_s, 0.30, "with the start of the interpreter"),
        Figure("memory at ready", "MB", ready_mb, 38, "resident, after the first poll over CoAP"),
        Figure(f"memory after {polls:,} polls", "MB", polled_mb, None, "resident"),
        Figure(
            f"memory after {downloads} downloads more",
            "MB",
            used_mb,
            42,
            f"of {DOWNLOAD_BYTES // 1000} kB each, over HTTPS from the SM-DP+",
        ),
        Figure("CPU of an idle poll", "ms", early_ms, 8, f"mean of {few}, from the 11th on"),
        Figure("CPU of an idle poll, much later", "ms", late_ms, 8, f"mean of the last {few} of {polls:,}"),
        Figure("written by an idle poll", "bytes", writes, None, "to the disk, in whole pages"),
        Figure("CPU of a download", "s", download_s, None, f"{DOWNLOAD_BYTES // 1000} kB, authentication included"),
    ]


async def _https_only() -> list[Figure]:
    async with Bench(direct(config=QUIET, personality="eg25", carrier="https")) as bench:
        await bench.agent.start()
        await bench.agent.event("IPA-1001", deadline_s=DEADLINE_S)
        await _idle(bench)
        resident_mb = _resident_mb(_pid(bench))
    return [Figure("memory at ready, HTTPS only", "MB", resident_mb, 34, "resident, after the first poll")]


async def _poll(bench: Bench, count: int = 1) -> None:
    for _ in range(count):
        bench.agent.skip()
        poll_now(bench)
        await _idle(bench)


async def _idle(bench: Bench) -> None:
    await bench.agent.event(NOTHING_WAITS, deadline_s=DEADLINE_S)
    await bench.agent.event(WAITING, deadline_s=DEADLINE_S)


async def _download(bench: Bench, wanted: Offer) -> None:
    """Downloaded, and deleted again: how much fits onto the card is not what is measured."""
    for words in (("trigger", bench.rsp.code(wanted)), ("delete", wanted.iccid)):
        order = bench.order(*words)
        await _poll(bench)
        await until(lambda order=order: order.state == "done", order.label, deadline_s=DEADLINE_S)  # type: ignore[misc]


def _pid(bench: Bench) -> int:
    assert bench.agent.pid is not None
    return bench.agent.pid


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _cpu_s(pid: int) -> float:
    """User and system time of all threads, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _written_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--polls", type=int, default=1000)
    parser.add_argument("--downloads", type=int, default=20)
    arguments = parser.parse_args()
    print("\n".join(rows(asyncio.run(measure(arguments.polls, arguments.downloads)))))


if __name__ == "__main__":
    main()
