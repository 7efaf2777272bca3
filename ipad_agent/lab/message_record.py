"""Keeps every ES10 and ESipa message that goes through the lab, when ``IPAD_LAB_MESSAGES`` names a folder.

One file per message, named by kind and content, so that the same message is kept once, in a folder of its scenario.
``tools/sort_messages.py`` makes the test corpus of the codec from such a folder.
"""

from __future__ import annotations

import hashlib
import os
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

VARIABLE = "IPAD_LAB_MESSAGES"

Kind = Literal["card-command", "card-answer", "eim-request", "eim-answer"]

SCENARIO: ContextVar[str] = ContextVar("SCENARIO", default="none")
"""What is noted belongs to this scenario."""


def note(kind: Kind, message: bytes) -> None:
    """Keep it, if that is wanted and it is not empty. Raises ``OSError`` for a folder that cannot be written."""
    base = os.environ.get(VARIABLE)
    if base and message:
        folder = Path(base) / SCENARIO.get()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}-{hashlib.sha256(message).hexdigest()[:24]}.bin"
        if not path.exists():
            path.write_bytes(message)
