"""States of devices as each released version left them, in ``tests/data/state/VERSION/``: a lab's folder.

    PYTHONPATH=tests/support python tests/support/released_states.py VERSION [PROGRAM...]

makes one with the agent of that version (``PROGRAM...`` is how it is started, by default that of this source tree). The
release script does so; a folder that is there is never made anew, for it is what devices in the field hold.

The device is left at the worst moment: it had the order to enable another profile, has executed it, and was killed
before the eIM had the result. Journal, switch, counters and schedule are all in use then.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim import Fault
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, quick

FOLDER: Final = Path(__file__).resolve().parents[1] / "data" / "state"
KEPT: Final = ("agent-state", "pki", "card.json", "eim.json")
"""Of a lab's folder; everything else it makes anew."""
LABEL: Final = "enable of the released version"


def versions() -> list[str]:
    """Every version whose state is kept, oldest first."""
    found = (path.name for path in FOLDER.iterdir() if path.is_dir())
    return sorted(found, key=lambda name: [int(part) for part in name.split(".")])


def options(command: tuple[str, ...] = ()) -> BenchOptions:
    return quick(provision="card", agent_command=command or None)


def copy(version: str, folder: Path) -> Path:
    """A copy of that version's lab that can be gone on with."""
    shutil.copytree(FOLDER / version, folder)
    (folder / "agent-state").chmod(0o700)
    return folder


async def make(folder: Path, command: tuple[str, ...] = ()) -> None:
    """Leave the state of a device at that moment in ``folder``."""
    with tempfile.TemporaryDirectory(prefix="ipad-state-") as name:
        place = Path(name)
        async with Bench(options(command), place) as bench:
            if command:
                bench.agent.command = [*command, "run", "--config", str(place / "agent.toml")]
            await bench.agent.start()
            await bench.agent.event(NO_MORE_WORK, deadline_s=60)
            bench.eim.eim.faults.arm(Fault("result", "lose-request", times=-1))
            order = bench.order("enable", OPERATOR_A, "--rollback")
            order.label = LABEL
            await bench.eim.entry("fault", deadline_s=60)
            await bench.agent.kill()
        _keep(place, folder)


def _keep(place: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for part in KEPT:
        source = place / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("lock*"))
        else:
            shutil.copy(source, folder / part)


if __name__ == "__main__":
    target = FOLDER / sys.argv[1]
    if target.exists():
        sys.exit(f"{target} is there already: it is what devices of that version hold")
    asyncio.run(make(target, tuple(sys.argv[2:])))
    print(target)
