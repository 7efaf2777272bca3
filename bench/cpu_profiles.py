"""Where processor time goes: the daemon's start, an idle poll and a download, and a history of the torture.

python bench/cpu_profiles.py [NAME...] [--polls 100] [--downloads 5] [--seeds 60]

Writes ``profiles/NAME.txt``: what takes most by itself, and what takes most with all that it calls. The profiler's own
cost is in every figure, two to three times the truth where calls are short: what compares is the share. A coroutine
counts as called whenever it goes on. For the real cost see ``agent_cost.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import io
import os
import pstats
import re
import signal
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Final

from agent_cost import DEADLINE_S, DOWNLOAD_BYTES, QUIET, _download, _idle, _pid, _poll
from figures import machine

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.scenarios.support.common_steps import until
from ipad_agent.lab.scenarios.support.download_steps import direct, offer
from ipad_agent.torture.history.features import parse
from ipad_agent.torture.run.history_run import run_seed

FOLDER: Final = Path(__file__).resolve().parent
ROWS: Final = 40
NAMES: Final = ("start", "idle-poll", "download", "torture-seed")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none: all")
    parser.add_argument("--polls", type=int, default=100)
    parser.add_argument("--downloads", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=60)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no profile {', '.join(sorted(unknown))}")
    wanted = arguments.names or NAMES
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as on a device, where the byte code is there
    with tempfile.TemporaryDirectory() as folder:
        if set(wanted) - {"torture-seed"}:
            asyncio.run(_profile_daemon(Path(folder), arguments.polls, arguments.downloads))
        if "torture-seed" in wanted:
            _profile_torture(Path(folder) / "torture-seed", arguments.seeds)
        told = {
            "start": ("from the first line of the program to the end of the first poll, over CoAP", 1),
            "idle-poll": ("polls that bring nothing, over CoAP, from the 11th on", arguments.polls),
            "download": (
                f"profiles of {DOWNLOAD_BYTES // 1000} kB, ordered, downloaded over HTTPS, reported and deleted again",
                arguments.downloads,
            ),
            "torture-seed": ("histories with everything (--with all)", arguments.seeds),
        }
        for name in wanted:
            _write(name, Path(folder) / name, *told[name])
    return 0


async def _profile_daemon(folder: Path, polls: int, downloads: int) -> None:
    offers = [offer(number + 1, size_bytes=DOWNLOAD_BYTES) for number in range(downloads)]
    async with Bench(direct(*offers, config=QUIET, personality="eg25")) as bench:
        agent = bench.agent
        words = agent.command[agent.command.index("run") :]
        agent.command = [sys.executable, str(FOLDER / "profiled_daemon.py"), str(folder), *words]
        await agent.start()
        await agent.event("IPA-1001", deadline_s=DEADLINE_S)
        await _idle(bench)
        await _cut(bench, folder / "0", "start")
        await _poll(bench, 10)
        await _cut(bench, folder / "1", "the polls before, which do not count")
        await _poll(bench, polls)
        await _cut(bench, folder / "2", "idle-poll")
        for wanted in offers:
            await _download(bench, wanted)
        await _cut(bench, folder / "3", "download")


async def _cut(bench: Bench, file: Path, name: str) -> None:
    os.kill(_pid(bench), signal.SIGUSR2)
    await until(file.exists, f"the profile of {name}", deadline_s=DEADLINE_S)
    os.replace(file, file.with_name(name))


def _profile_torture(file: Path, seeds: int) -> None:
    features = parse("all")
    for seed in range(10_000, 10_004):  # what is made once
        run_seed(seed, features=features)
    gc.freeze()
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for seed in range(seeds):
        run_seed(seed, features=features)
    profile.disable()
    profile.dump_stats(file)


def _write(name: str, file: Path, about: str, count: int) -> None:
    out = io.StringIO()
    stats = pstats.Stats(str(file), stream=out)
    total_ms = stats.total_tt * 1000  # type: ignore[attr-defined]
    calls = stats.total_calls  # type: ignore[attr-defined]
    stats.sort_stats("tottime").print_stats(ROWS)
    stats.sort_stats("cumtime").print_stats(ROWS)
    tables = [_short(table) for table in re.findall(r"^ *ncalls.*?(?=\n\n)", out.getvalue(), re.DOTALL | re.MULTILINE)]
    target = FOLDER / "profiles" / f"{name}.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        f"{name}: {about}\n{count} of them, {total_ms / count:.1f} ms and {calls // count:,} calls each, "
        f"the profiler's own time included.\n{machine()}\n\n"
        f"By their own time\n\n{tables[0]}\n\nWith all that they call\n\n{tables[1]}\n",
        encoding="utf-8",
    )
    print(f"{target.relative_to(FOLDER.parent)}: {total_ms / count:.1f} ms, {calls // count:,} calls")


def _short(table: str) -> str:
    """Without the folders of this machine."""
    for folder in (FOLDER.parent, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("stdlib"))):
        table = table.replace(f"{folder}/", "")
    table = re.sub(r"(?<=\s)\S*/(?:site-packages|dist-packages|lib/python[0-9.]+)/", "", table)
    return "\n".join(line.rstrip() for line in table.splitlines())


if __name__ == "__main__":
    sys.exit(main())
