"""``make install`` and ``ipad-agent install-service`` put the same files of the service in the same places."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ipad_agent.cli.ipad_agent_command import run
from ipad_agent.installation.file_receipt import RECEIPT

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("/usr/local/bin/", "/usr/local/lib/ipad-agent/", "/usr/local/share/ipad-agent/modems/")
"""What ``pip`` brings instead: the commands, the Python package, and the module profiles inside it."""


def files_below(folder: Path) -> dict[str, bytes]:
    found = {"/" + str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {place: content for place, content in found.items() if not place.startswith(PROGRAM) and place != RECEIPT}


def test_make_install_and_install_service_leave_the_same_files(tmp_path: Path) -> None:
    made, served = tmp_path / "made", tmp_path / "served"
    subprocess.run(
        ["sh", "packaging/install.sh", "install"],
        cwd=ROOT,
        env=os.environ
        | {"DESTDIR": str(made), "PREFIX": "/usr/local", "RESTART_STEPS": "yes", "PYTHON": sys.executable},
        check=True,
    )
    for place in ("usr/lib/systemd/libsystemd-shared-257.so", "usr/local/bin/ipad-agent"):
        (served / place).parent.mkdir(parents=True)
        (served / place).touch(mode=0o755)
    for folder in (served, *served.rglob("*/")):
        folder.chmod(0o755)
    assert run(["install-service", "--root", str(served), "--program", "/usr/local/bin/ipad-agent"]) == 0
    (served / "usr/lib/systemd/libsystemd-shared-257.so").unlink()
    assert (served / RECEIPT[1:]).is_file()
    by_make, by_service = files_below(made), files_below(served)
    assert sorted(by_service) == sorted(by_make)
    assert [place for place in by_make if by_make[place] != by_service[place]] == []
    modes = {place: (made / place[1:]).stat().st_mode for place in by_make}
    assert {place: (served / place[1:]).stat().st_mode for place in by_make} == modes
