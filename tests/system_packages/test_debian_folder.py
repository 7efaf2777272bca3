"""``packaging/debian`` without building: which package each file goes to, and what purging forgets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "packaging" / "debian"
MODULES = "usr/lib/ipad-agent/ipad_agent"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``debian/rules`` has it before dh_install."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "debian").mkdir()
    environment = os.environ | {"DESTDIR": str(tree / "debian/tmp"), "PREFIX": "/usr", "RESTART_STEPS": "yes"}
    environment |= {"BYTECODE": "no", "PYTHON": sys.executable}
    subprocess.run(["sh", "packaging/install.sh", "install"], cwd=ROOT, env=environment, check=True)
    shutil.copy(DEBIAN / "split.sh", tree / "debian")
    subprocess.run(["sh", "debian/split.sh"], cwd=tree, check=True)
    return tree


def packed(tree: Path, package: str) -> dict[str, str]:
    """The folder that each file of the package goes to, by the file's own place."""
    lines = (tree / "debian" / f"{package}.install").read_text().splitlines()
    return {source.removeprefix("debian/tmp/"): target for source, target in (line.split(" ") for line in lines)}


def packages() -> list[str]:
    return re.findall(r"^Package: (.*)$", (DEBIAN / "control").read_text(), flags=re.MULTILINE)


def test_every_installed_file_is_in_exactly_one_package_and_stays_in_its_folder(tree: Path) -> None:
    tmp = tree / "debian" / "tmp"
    there = {str(path.relative_to(tmp)) for path in tmp.rglob("*") if path.is_file()}
    times = Counter(name for package in packages() for name in packed(tree, package))
    assert set(times) == there
    assert set(times.values()) == {1}
    for package in packages():
        assert all(name.rpartition("/")[0] == target for name, target in packed(tree, package).items())


def test_the_web_page_is_whole_and_alone_in_its_package(tree: Path) -> None:
    web = set(packed(tree, "ipad-agent-web"))
    units = {f"usr/lib/systemd/system/ipad-agent-web.{kind}" for kind in ("service", "socket")}
    others = {"usr/bin/ipad-agent-web", "usr/share/man/man8/ipad-agent-web.8"}
    assert units | others == {name for name in web if not name.startswith(f"{MODULES}/web/")}
    sources = {f"{MODULES}/{path.relative_to(ROOT / 'ipad_agent')}" for path in (ROOT / "ipad_agent/web").rglob("*.py")}
    assert sources <= web


def test_a_gateway_gets_no_lab_and_no_demo(tree: Path) -> None:
    lab = set(packed(tree, "ipad-agent-lab"))
    assert f"{MODULES}/lab/__init__.py" in lab
    assert f"{MODULES}/cli/demo.py" in lab
    others = set(packed(tree, "ipad-agent")) | set(packed(tree, "ipad-agent-web"))
    assert not [name for name in others if re.search(r"/(lab|torture)/|/demo", name)]


def test_purging_forgets_every_user_and_group_that_the_package_makes() -> None:
    made = re.findall(r"^[ug] (\S+) ", (ROOT / "systemd/ipad-agent.sysusers").read_text(), flags=re.MULTILINE)
    script = (DEBIAN / "ipad-agent.postrm").read_text()
    forgotten = {
        name for names in re.findall(r"^ *for group in (.*); do$", script, re.MULTILINE) for name in names.split()
    }
    assert forgotten == set(made)


def test_the_package_of_the_page_does_not_enable_it_and_so_does_not_start_it() -> None:
    rules = (DEBIAN / "rules").read_text()
    assert re.findall(r"^\tdh_installsystemd(.*)$", rules, re.MULTILINE) == [
        " -pipad-agent --no-restart-after-upgrade",
        " -pipad-agent-web --no-enable",
    ]
