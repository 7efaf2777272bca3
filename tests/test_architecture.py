"""The documents about the house: the picture is drawn from the code, and every file that a page names is there."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/architecture.md", "docs/glossary.md", "tests/README.md", "README.md")


@functools.cache
def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_rooms_is_drawn_from_the_imports() -> None:
    current = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    assert current == _tool("gen_architecture").picture(), "run python tools/gen_architecture.py"


def test_the_page_of_events_is_made_from_the_catalogue() -> None:
    current = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert current == _tool("gen_events").page(), "run python tools/gen_events.py"


def test_a_new_room_changes_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _tool("gen_architecture")
    monkeypatch.setitem(tool.ABOUT, "cellar", "new")
    graph = {**tool.arrows(), "cellar": {"codec"}}
    monkeypatch.setattr(tool, "arrows", lambda: graph)
    assert ">cellar<" in tool.picture()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:ipad_agent|tests|tools|docs|asn1|hw|systemd|bench|packaging)/[\w./-]*)`", text))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_no_folder_of_the_agent_has_more_files_than_one_can_overlook() -> None:
    folders = [ROOT / "ipad_agent", *(ROOT / "ipad_agent").rglob("*/")]
    counted = {path: len([file for file in path.glob("*.py") if file.name != "__init__.py"]) for path in folders}
    assert {str(path.relative_to(ROOT)): count for path, count in counted.items() if count > 15} == {}


def test_no_two_rooms_have_a_file_of_the_same_name() -> None:
    """Else a name means two things. Every room may have ``errors`` and ``events``."""
    seen: dict[str, list[str]] = {}
    for path in sorted((ROOT / "ipad_agent").rglob("*.py")):
        if path.name not in ("__init__.py", "__main__.py", "errors.py", "events.py"):
            seen.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    assert [paths for paths in seen.values() if len(paths) > 1] == []


def test_a_test_file_of_over_500_lines_says_why() -> None:
    silent = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 500 and "\nLong: " not in text:
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_nothing_is_committed_that_git_is_told_to_ignore() -> None:
    """Such as a virtual environment, of which half is missing then."""
    words = ["git", "-C", str(ROOT), "ls-files", "--cached", "--ignored", "--exclude-standard"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout == ""
