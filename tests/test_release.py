"""The release script, in a copy of this tree, and the lock files. ``make test-release`` builds what is released."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import cast

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ipad_agent

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN_TIME = ROOT / "packaging" / "lock" / "run-time.txt"
TOOLS = ROOT / "packaging" / "lock" / "release-tools.txt"


def locked(path: Path) -> dict[str, tuple[str, int]]:
    """Version and number of hashes by name."""
    found: dict[str, tuple[str, int]] = {}
    for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
        if block.startswith("#"):
            continue
        requirement = Requirement(block.split("\\")[0].split("--hash")[0].strip())
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found[canonicalize_name(requirement.name)] = (
            pin.version,
            len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block)),
        )
    return found


def needed(names: Iterator[Requirement], seen: set[str]) -> Iterator[Requirement]:
    """These and what they need themselves, as far as it is for this Python, according to what is installed here."""
    environment: dict[str, str | AbstractSet[str]] = {**cast("dict[str, str]", default_environment()), "extra": ""}
    for requirement in names:
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        yield requirement
        if (name := canonicalize_name(requirement.name)) not in seen:
            seen.add(name)
            own = importlib.metadata.requires(name) or []
            yield from needed(iter([Requirement(text) for text in own]), seen)


def test_every_library_is_pinned_within_what_pyproject_allows() -> None:
    pins = locked(RUN_TIME)
    direct = [Requirement(text) for text in PROJECT["dependencies"]]
    for requirement in direct:
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but {version}: run make lock"
    for requirement in needed(iter(direct), set()):
        assert canonicalize_name(requirement.name) in pins, f"{requirement.name} is not pinned: run make lock"


@pytest.mark.parametrize("path", [RUN_TIME, TOOLS], ids=lambda path: path.name)
def test_everything_pinned_has_hashes_and_comes_from_no_place_of_ours(path: Path) -> None:
    assert [name for name, (_, hashes) in locked(path).items() if hashes == 0] == []
    assert not re.search(r"https?://|file:|--find-links|--(extra-)?index", path.read_text(encoding="utf-8"))


def test_what_builds_a_release_is_pinned() -> None:
    wanted = [line for line in TOOLS.with_suffix(".in").read_text().splitlines() if not line.startswith("#")]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= locked(TOOLS).keys()
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert Requirement(backend).specifier.contains(locked(TOOLS)["setuptools"][0])


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    assert PROJECT["version"] == ipad_agent.__version__


class Copy:
    """A repository of its own with what is in this tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scripts = [f"tools/{path.name}" for path in (ROOT / "tools").glob("*.sh")]
        names = ["ipad_agent/__init__.py", "pyproject.toml", "CHANGELOG.md", *scripts]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / "tests/data/state/9.0.0").mkdir(parents=True)
        (folder / "tests/data/state/9.0.0/journal").write_text("kept")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Somebody")
        self.git("config", "user.email", "somebody@example.com")
        self.commit()

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "begin", "--allow-empty")

    def release(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"ARTEFACTS": "no", "PYTHON": sys.executable, "RELEASE_DATE": "2027-01-31"}
        return subprocess.run(
            ["sh", "tools/release.sh", *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_a_release_writes_the_version_dates_the_changelog_and_tags(copy: Copy) -> None:
    done = copy.release("9.0.0")
    assert done.returncode == 0, done.stderr
    assert copy.git("tag") == "v9.0.0"
    assert copy.git("log", "-1", "--format=%s") == "Release 9.0.0"
    assert copy.git("status", "--porcelain") == ""
    assert '__version__ = "9.0.0"' in (copy.folder / "ipad_agent" / "__init__.py").read_text()
    assert tomllib.loads((copy.folder / "pyproject.toml").read_text())["project"]["version"] == "9.0.0"
    lines = (copy.folder / "CHANGELOG.md").read_text().splitlines()
    at = lines.index("## Unreleased")
    assert lines[at : at + 4] == ["## Unreleased", "", "## 9.0.0 (2027-01-31)", ""]
    assert lines[at + 4].startswith("- ")


def test_a_dry_run_of_a_release_changes_nothing(copy: Copy) -> None:
    before = copy.git("rev-parse", "HEAD")
    done = copy.release("9.0.0", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Release 9.0.0" in done.stdout
    assert "tagged v9.0.0" in done.stdout
    assert (copy.git("rev-parse", "HEAD"), copy.git("tag"), copy.git("status", "--porcelain")) == (before, "", "")


@pytest.mark.parametrize(
    ("version", "words"),
    [("", "say the version"), ("v9.0.0", "say the version"), ("0.0.1", "0.0.1 is older than")],
)
def test_a_version_that_is_none_or_older_is_refused(copy: Copy, version: str, words: str) -> None:
    done = copy.release(version)
    assert done.returncode == 1
    assert words in done.stderr
    assert copy.git("tag") == ""


def test_a_version_is_released_once_and_with_something_to_tell(copy: Copy) -> None:
    assert copy.release("9.0.0").returncode == 0
    assert "v9.0.0 is tagged already" in copy.release("9.0.0").stderr
    assert "says nothing under Unreleased" in copy.release("9.0.1").stderr


def test_uncommitted_changes_are_not_released(copy: Copy) -> None:
    (copy.folder / "pyproject.toml").write_text("")
    assert "commit or put away your changes first" in copy.release("9.0.0").stderr
