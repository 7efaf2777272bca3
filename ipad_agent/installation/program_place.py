"""Whether a service can start this program: home folders and temporary ones are hidden from it."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path
from typing import Final

from .errors import InstallationError

HIDDEN: Final[tuple[tuple[str, str], ...]] = (
    ("/root", "home folders are hidden from it"),
    ("/home", "home folders are hidden from it"),
    ("/run/user", "home folders are hidden from it"),
    ("/tmp", "it has a /tmp of its own"),
    ("/var/tmp", "it has a /var/tmp of its own"),
)
_ELSEWHERE: Final = (
    "Install the program where every user may read, for instance: "
    "PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install ipad-agent; then run install-service again."
)


def own_program() -> Path:
    """The ``ipad-agent`` of the installation that is running, without symbolic links."""
    called = Path(sys.argv[0])
    if called.name == "ipad-agent" and called.is_file():
        return called.resolve()
    return Path(sysconfig.get_path("scripts")) / "ipad-agent"


def check_place(program: Path, root: Path, interpreter: Path | None) -> None:
    """Whether the unit may name this program. ``root`` is where the system lies, ``interpreter`` what runs the program
    if that is known. Raises ``InstallationError``."""
    if not program.is_absolute() or re.search(r"[\s\"'\\;]", str(program)):
        raise InstallationError(f"{program} cannot be written into a unit", hint=_ELSEWHERE)
    inside = root / program.relative_to("/")
    if not inside.is_file():
        raise InstallationError(f"there is no program {inside}", hint="Name it with --program.")
    for path, what in ((program, "the program"), (interpreter, "its Python")):
        if path is None:
            continue
        for folder, why in HIDDEN:
            if path.is_relative_to(folder):
                raise InstallationError(f"{what} is {path}, which the service cannot see: {why}", hint=_ELSEWHERE)
        _check_readable(path, root)


def own_interpreter() -> Path:
    """The Python that runs this program, outside its virtual environment."""
    return Path(sys.executable).resolve()


def _check_readable(path: Path, root: Path) -> None:
    inside = root / path.relative_to("/")
    for folder in inside.parents:
        if not folder.is_relative_to(root):
            break
        if not folder.stat().st_mode & 0o001:
            raise InstallationError(f"{folder} is closed to the user of the service", hint=_ELSEWHERE)
    if not inside.stat().st_mode & 0o001:
        raise InstallationError(f"{inside} may not be executed by the user of the service", hint=_ELSEWHERE)
