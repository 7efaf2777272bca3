"""Which files this command wrote, so that it never takes or removes what belongs to somebody else.

A JSON document with the version of the program, and the SHA-256 of each file as it was written, by its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass, field

RECEIPT: Final = "/usr/local/share/ipad-agent/service-files.json"


@dataclass(frozen=True, slots=True)
class Receipt:
    """``files``: digest as written, by the place of the file."""

    version: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_receipt(root: Path) -> Receipt:
    """What was installed before; an empty receipt when nothing was, or nothing that can be read."""
    try:
        found = json.loads((root / RECEIPT[1:]).read_bytes())
        files = {str(target): str(value) for target, value in dict(found["files"]).items()}
        return Receipt(str(found["version"]), files)
    except (OSError, ValueError, KeyError, TypeError):
        return Receipt()


def receipt_bytes(receipt: Receipt) -> bytes:
    document = {"version": receipt.version, "files": dict(sorted(receipt.files.items()))}
    return (json.dumps(document, indent=1) + "\n").encode()
