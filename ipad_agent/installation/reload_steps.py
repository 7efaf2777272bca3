"""What the running system has to be told after files of a service came or went, in the order in which it works.

The user comes before the bus policy that names it, the bus policy before the service that wants its name, and the udev
rules last, because they take a port from whoever has it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass

from .service_files import SYSUSERS, TMPFILES

STEP_TIMEOUT_S: Final = 120.0

Runner = Callable[[Sequence[str]], str | None]
"""Runs a command; None when it went well, else what it complained of."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the path whose presence says that there is somebody to be told."""

    command: tuple[str, ...]
    wants: str


USER: Final = Step(("systemd-sysusers", SYSUSERS), "/usr")
FOLDERS: Final = Step(("systemd-tmpfiles", "--create", TMPFILES), "/usr")
BUS: Final = Step(
    ("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig"),
    "/run/dbus/system_bus_socket",
)
UNITS: Final = Step(("systemctl", "daemon-reload"), "/run/systemd/system")
RULES: Final = Step(("udevadm", "control", "--reload"), "/run/udev/control")
PORTS: Final = Step(("udevadm", "trigger", "--subsystem-match=tty", "--subsystem-match=wwan"), "/run/udev/control")
AFTER_INSTALLING: Final = (USER, FOLDERS, BUS, UNITS, RULES, PORTS)
AFTER_REMOVING: Final = (BUS, UNITS, RULES, PORTS)


def restart(units: Sequence[str]) -> Step:
    """For those of the services that run: a new program, or a new unit."""
    running = (unit.replace("@.", "@*.") for unit in units)  # of a template: those that were made of it
    return Step(("systemctl", "try-restart", *running), "/run/systemd/system")


def stop(units: Sequence[str]) -> tuple[Step, ...]:
    """Now, and at the next start of the system. Of a template all that was made of it is disabled with it, but what can
    be stopped has a name of its own."""
    templates = [unit for unit in units if "@." in unit]
    steps = [("systemctl", "disable", "--now", *(unit for unit in units if unit not in templates))]
    if templates:
        steps.append(("systemctl", "disable", *templates))
        steps.append(("systemctl", "stop", *(unit.replace("@.", "@*.") for unit in templates)))
    return tuple(Step(words, "/run/systemd/system") for words in steps)


def take(steps: Sequence[Step], run: Runner, say: Callable[[str], None], *, dry_run: bool) -> bool:
    """Run the steps and say each; whether all of them went well. One that fails does not keep the others from it."""
    well = True
    for step in steps:
        words = " ".join(step.command)
        if not Path(step.wants).exists():
            say(f"skipped    {words} (there is no {step.wants})")
        elif dry_run:
            say(f"would run  {words}")
        elif (complaint := run(step.command)) is None:
            say(f"ran        {words}")
        else:
            well = False
            say(f"FAILED     {words}: {complaint}")
    return well


def run_command(command: Sequence[str]) -> str | None:
    """Run one command of the system; None when it went well, else its last words."""
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return "there is no such program"
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return last[0] if last else f"it ended with status {done.returncode}"
