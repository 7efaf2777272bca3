"""``docs/README.md`` leads to everything that there is to read."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs"


def test_every_page_is_in_the_index() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", index)}
    pages = {path.name for path in FOLDER.glob("*.md")} - {"README.md"}
    assert pages - linked == set(), "give each a line in docs/README.md, under what one wants to do with it"


def test_every_picture_is_shown_somewhere() -> None:
    pictures = {path.name for path in FOLDER.rglob("*") if path.suffix in (".svg", ".png")}
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.md"))
    assert {name for name in pictures if name not in text} == set()
