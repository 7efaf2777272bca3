"""Every file that the program looks for is put into the wheel by setup.py. ``make test-release`` looks into one."""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

import pytest

from ipad_agent import packaged_files
from ipad_agent.installation.service_files import PLACES

ROOT = Path(__file__).resolve().parents[2]


def shipped() -> tuple[str, ...]:
    """``DATA`` of setup.py, which cannot be imported: it would build."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DATA":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError


def test_every_file_of_the_service_and_every_module_profile_is_in_the_wheel() -> None:
    patterns = [pattern for pattern, _ in PLACES] + ["hw/modems/*.toml", "asn1/*.asn"]
    wanted = {path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    assert len(wanted) > 20
    assert [path for path in sorted(wanted) if not any(PurePosixPath(path).match(each) for each in shipped())] == []


def test_every_file_for_systemd_has_a_place_on_the_device() -> None:
    placed = {path for pattern, _ in PLACES for path in ROOT.glob(pattern)}
    assert [path for path in (ROOT / "systemd").rglob("*") if path.is_file() and path not in placed] == []


def test_a_source_tree_gives_its_own_files() -> None:
    assert packaged_files.packaged("hw/modems") == ROOT / "hw" / "modems"


def test_an_installed_package_gives_those_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "ipad_agent"
    installed.mkdir(parents=True)
    monkeypatch.setattr(packaged_files, "__file__", str(installed / "packaged_files.py"))
    assert packaged_files.packaged("hw/modems") == installed / "data" / "hw" / "modems"
