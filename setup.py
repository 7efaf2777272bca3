"""How wheel and sdist are built, as far as pyproject.toml has no word for it.

The folders of data stay at the top of the source tree, where people look for them; in a wheel they lie in
``ipad_agent/data/``, where ``ipad_agent.packaged_files`` finds them. Two builds of one commit give the same bytes,
whatever the folder, the umask and the user: set SOURCE_DATE_EPOCH, or have git say when the commit was made.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
DATA = (
    "asn1/*.asn",
    "hw/*.rules",
    "hw/modemmanager/*",
    "hw/modems/*.toml",
    "packaging/*.[1-8]",
    "systemd/*",
    "systemd/*.d/*",
)
"""What goes into the wheel besides the Python package, seen from the top of the source tree."""


def source_date() -> int:
    """Seconds since 1970 that every file of a build is dated with."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    try:
        told = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=HERE, capture_output=True, text=True, check=True
        ).stdout
        return int(told)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return int((HERE / "pyproject.toml").stat().st_mtime)


class BuildWithData(build_py):
    """Adds the folders of data, and gives every file the same mode on every machine."""

    def _get_data_files(self) -> list[tuple[str, str, str, list[str]]]:
        found = list(super()._get_data_files())
        for path in sorted(path.relative_to(HERE) for pattern in DATA for path in HERE.glob(pattern) if path.is_file()):
            target = os.path.join(self.build_lib, "ipad_agent", "data", path.parent)
            found.append(("ipad_agent", str(path.parent), target, [path.name]))
        return found

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for path in self.get_outputs(include_bytecode=False):
                os.chmod(path, 0o644)


class SameSdist(sdist):
    """A source archive without anything of the machine that made it."""

    def make_archive(
        self,
        base_name: str,
        format: str,
        root_dir: str | None = None,
        base_dir: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        if format != "gztar" or base_dir is None:
            return str(super().make_archive(base_name, format, root_dir, base_dir, owner, group))
        name = f"{base_name}.tar.gz"
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with (
            open(name, "wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=source_date()) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(Path(base_dir).rglob("*")):
                if path.is_file():
                    archive.add(path, recursive=False, filter=_anonymous)
        return name


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = source_date()
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


os.umask(0o022)
os.environ["SOURCE_DATE_EPOCH"] = str(source_date())
setup(cmdclass={"build_py": BuildWithData, "sdist": SameSdist})
