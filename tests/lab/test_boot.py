"""A device that boots: what a program can see of it changes, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipad_agent.lab.bench import boot_simulation
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.boot_simulation import PowerSupply
from ipad_agent.lab.bench.lab_bench import Bench

LOOK = """
import json, sys, time
from pathlib import Path
with open("/proc/sys/kernel/random/boot_id") as file:
    by_open = file.read()
by_path = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
clocks = [time.clock_gettime(time.CLOCK_BOOTTIME), time.time()]
print(json.dumps([by_open, by_path, clocks, sys.argv[1:]]))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that tells what it sees, in the agent's place."""
    (tmp_path / "looker.py").write_text(LOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(boot_simulation, "PROGRAM", "looker")
    return "looker"


def look(supply: PowerSupply) -> tuple[str, str, list[float], list[str]]:
    command = supply.command("run", "x")
    if "ipad_agent.lab.bench.boot_simulation" in command:
        at = command.index("ipad_agent.lab.bench.boot_simulation")
        start = "import sys; from ipad_agent.lab.bench import boot_simulation as boot; "
        start += "boot.PROGRAM = 'looker'; boot.main(sys.argv)"
        command = [sys.executable, "-c", start, *command[at + 1 :]]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    by_open, by_path, clocks, arguments = json.loads(shown.stdout)
    return by_open, by_path, clocks, arguments


def test_before_the_first_power_cut_the_program_sees_the_machine_itself(tmp_path: Path, program: str) -> None:
    real = Path("/proc/sys/kernel/random/boot_id").read_text()
    by_open, by_path, clocks, arguments = look(PowerSupply(tmp_path))
    assert by_open == by_path == real
    assert abs(clocks[0] - time.clock_gettime(time.CLOCK_BOOTTIME)) < 30
    assert arguments == ["run", "x"]


def test_after_each_power_cut_there_is_another_boot_id_and_a_young_clock(tmp_path: Path, program: str) -> None:
    supply = PowerSupply(tmp_path)
    seen = {Path("/proc/sys/kernel/random/boot_id").read_text()}
    for _ in range(2):
        supply.power_on()
        by_open, by_path, (uptime_s, wall_s), arguments = look(supply)
        assert by_open == by_path
        assert by_open not in seen
        seen.add(by_open)
        assert 0 <= uptime_s < 30
        assert abs(wall_s - time.time()) < 30
        assert arguments == ["run", "x"]
    assert look(supply)[0] == by_open


async def test_power_back_is_a_boot_and_another_start_of_the_agent_is_none() -> None:
    modem = {"reboot_s": 0.05, "card_init_s": 0.01, "attach_s": 0.01}
    async with Bench(BenchOptions(provision="card", modem=modem)) as bench:
        assert bench.agent.command[1:3] == ["-m", "ipad_agent"]
        await bench.power_cut()
        await bench.power_back(start_agent=False)
        assert bench.agent.command[1:3] == ["-m", "ipad_agent.lab.bench.boot_simulation"]
        first = (bench.folder / "boot-id").read_text()
        await bench.power_back(start_agent=False)
        assert (bench.folder / "boot-id").read_text() != first
