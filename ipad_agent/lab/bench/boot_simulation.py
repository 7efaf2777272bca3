"""A program as after a boot: another boot id, and a boot-time clock that has just begun.

    python -m ipad_agent.lab.bench.boot_simulation FOLDER run --config agent.toml

``FOLDER/boot-id`` is read in place of the kernel's, and CLOCK_BOOTTIME counts from the time that ``FOLDER/booted``
says. Nothing else of the machine changes, and the program that is run does not know. ``PowerSupply`` writes the files.
"""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PowerSupply", "main"]

KERNEL_BOOT_ID = "/proc/sys/kernel/random/boot_id"
BOOT_ID, BOOTED = "boot-id", "booted"
PROGRAM = "ipad_agent"


class PowerSupply:
    """What tells programs started with ``prefix`` how long the power has been on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boots = 0

    def power_on(self) -> None:
        """A new boot begins now."""
        self.boots += 1
        (self.folder / BOOT_ID).write_text(f"{uuid.uuid4()}\n")
        (self.folder / BOOTED).write_text(repr(time.clock_gettime(time.CLOCK_BOOTTIME)))

    def command(self, *arguments: str) -> list[str]:
        """The program with these arguments, on this device."""
        if not self.boots:
            return [sys.executable, "-m", PROGRAM, *arguments]
        return [sys.executable, "-m", __name__, str(self.folder), *arguments]


def _pretend(folder: Path) -> None:
    began_s = float((folder / BOOTED).read_text())
    real_open: Callable[..., Any] = io.open
    real_time = time.clock_gettime

    def opened(file: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(file, str | os.PathLike) and os.fspath(file) == KERNEL_BOOT_ID:
            file = folder / BOOT_ID
        return real_open(file, *arguments, **named)

    def gettime(clock: int) -> float:
        return real_time(clock) - (began_s if clock == time.CLOCK_BOOTTIME else 0.0)

    io.open = builtins.open = opened
    time.clock_gettime = gettime


def main(argv: list[str]) -> None:
    """``[_, FOLDER, argument, ...]``: run the program as after the boot that the folder tells of."""
    _pretend(Path(argv[1]))
    sys.argv = [argv[0], *argv[2:]]
    runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv)
