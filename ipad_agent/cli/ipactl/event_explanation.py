"""The messages of this installation, for when no agent can be asked."""

from __future__ import annotations

import contextlib
import importlib
import logging
from pathlib import Path

import ipad_agent
from ipad_agent.events import CATALOGUE


def explanation(id: str) -> dict[str, str] | None:
    """Level, sentence and explanation of a message; None when there is none. Takes a second: every room is loaded."""
    root = Path(ipad_agent.__file__).parent
    for file in sorted(root.rglob("*events*.py")):
        module = ".".join(("ipad_agent", *file.relative_to(root).with_suffix("").parts))
        with contextlib.suppress(ImportError):  # a room whose library is missing has nothing to say here
            importlib.import_module(module)
    event = CATALOGUE.get(id)
    if event is None:
        return None
    level = logging.getLevelName(event.level).lower()
    return {"level": level, "sentence": event.sentence, "explanation": event.explanation}
