"""Writes docs/events.md from the catalogue: ``python tools/gen_events.py``."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
from pathlib import Path

import ipad_agent
from ipad_agent.events import CATALOGUE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "events.md"
UNITS = {"_s": "seconds", "_bytes": "bytes", "_ms": "milliseconds", "_at": "seconds since 1970"}
HEAD = """# Events

Everything the agent says, in the log, on the socket and on D-Bus. The ids stay; `ipactl explain ID` shows the same.
This page is made from the code (`python tools/gen_events.py`); a test compares. `IPA-90xx` are tolerances and
compromises, counted as such.
"""


def page() -> str:
    """The text of the page."""
    for module in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent."):
        if module.name.endswith("events"):
            importlib.import_module(module.name)
    parts = [HEAD]
    for event in sorted(CATALOGUE.values(), key=lambda event: event.id):
        fields = ", ".join(f"`{name}` ({_kind(name, kind)})" for name, kind in event.fields.items())
        level = logging.getLevelName(event.level).lower()
        parts.append(f"## {event.id} ({level})\n\n> {event.sentence}\n\n{event.explanation}\n")
        parts.append(f"Fields: {fields or 'none'}.\n")
    return "\n".join(parts)


def _kind(name: str, kind: str) -> str:
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), None)
    kind = kind.replace(" | ", " or ")
    return kind if unit is None else f"{kind}, {unit}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.name, file=sys.stderr)
