"""Write the tables of tolerances in docs/interpretations.md from the code; ``--check`` only compares."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import ipad_agent
from ipad_agent.codec.tolerances import CATALOGUE as TOLERANCES
from ipad_agent.events import CATALOGUE as EVENTS

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "interpretations.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def tables() -> str:
    """Both tables as Markdown."""
    for module in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent."):
        if module.name.endswith(".events"):
            importlib.import_module(module.name)
    lines = ["", "## Tolerances in messages", "", "| id | what is accepted | where it belongs |", "|---|---|---|"]
    lines += [f"| `{item.id}` | {_cell(item.what)} | {_cell(item.reference)} |" for item in TOLERANCES.values()]
    lines += ["", "## Tolerances and compromises in the log", "", "| id | message | meaning |", "|---|---|---|"]
    lines += [
        f"| `{event.id}` | {_cell(event.sentence)} | {_cell(event.explanation)} |"
        for event in sorted(EVENTS.values(), key=lambda event: event.id)
        if event.id.startswith("IPA-90")
    ]
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def updated(document: str) -> str:
    """The document with its generated part replaced."""
    head, _, rest = document.partition(BEGIN)
    return head + BEGIN + "\n" + tables() + END + rest.partition(END)[2]


def main(arguments: list[str]) -> int:
    document = DOCUMENT.read_text(encoding="utf-8")
    new = updated(document)
    if "--check" in arguments:
        return int(new != document)
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
