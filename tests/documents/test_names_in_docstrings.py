"""What a docstring or a comment names as ``file.name`` is there: whoever follows it finds something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ipad_agent"
QUOTED = re.compile(r"``[^`\n]+``")
NAMED = re.compile(r"``([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
WORD = re.compile(r"[A-Za-z_]\w*")
SUFFIXES = frozenset({"py", "toml", "json"})
ELSEWHERE = {
    "hooks.d": "a folder of the site",
    "org.varlink": "an interface of Varlink",
    "section.key": "how a place in a file is written",
    "Module.Name": "how a type of a schema is written",
    "eim.example": "a host",
    "poll.intervall_s": "a mistake of a person",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(QUOTED.sub("", text)))


def _files() -> dict[str, set[str]]:
    """By the name of the file or folder; a folder has its files too."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        folder = path.parent
        name = folder.name if path.name == "__init__.py" else path.stem
        found.setdefault(name, set()).update(_words(path.read_text(encoding="utf-8")))
        found.setdefault(folder.name, set()).add(path.stem)
        found.setdefault(folder.parent.name, set()).add(folder.name)
    return found


@dataclass(frozen=True, slots=True)
class Names:
    """``files``: the names in each file or folder. ``keys``: of the configuration."""

    files: dict[str, set[str]]
    everywhere: frozenset[str]
    keys: frozenset[str]


def _lost(text: str, names: Names) -> Iterator[str]:
    """What is named in ``text`` and not there. What is no file may be a class anywhere, or a value of this file."""
    own: frozenset[str] | None = None
    for first, second in NAMED.findall(text):
        named = f"{first}.{second}"
        if second in SUFFIXES or named in ELSEWHERE or named in names.keys or second in names.files.get(first, ()):
            continue
        own = _words(text) if own is None else own
        if second not in names.everywhere or first not in (own if first in names.files else names.everywhere):
            yield named


@pytest.fixture(scope="module")
def names() -> Names:
    files = _files()
    return Names(files, frozenset().union(*files.values()), _keys())


def _keys() -> frozenset[str]:
    """As the page of the configuration lists them."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    sections = re.split(r"^#+ .*?\[+([a-z_.]+)\]+.*$", page, flags=re.MULTILINE)
    return frozenset(
        f"{section}.{key}"
        for section, body in zip(sections[1::2], sections[2::2], strict=True)
        for key in re.findall(r"^\| `([a-z_0-9]+)` \|", body, flags=re.MULTILINE)
    )


def test_what_a_docstring_names_in_another_file_is_there(names: Names) -> None:
    lost = {
        f"{path.relative_to(ROOT)}: {named}"
        for path in PACKAGE.rglob("*.py")
        for named in _lost(path.read_text(encoding="utf-8"), names)
    }
    assert sorted(lost) == []


@pytest.mark.parametrize("text", ["``journal.gone_long_ago``", "``no_such_file.Journal``"])
def test_what_is_not_there_is_noticed(text: str, names: Names) -> None:
    assert list(_lost(text, names)) == [text.strip("`")]


def test_what_is_there_is_found(names: Names) -> None:
    assert list(_lost("``journal.Journal`` ``poll.interval_s`` ``es10_calls.py``", names)) == []
