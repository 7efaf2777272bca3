"""What an agent still owes, read from its journal while it runs or after it was killed.

The file is lines of ``crc32(8 hex digits) SP JSON``. Of the JSON only this matters: ``r`` is ``open`` (of entry
``n``), ``entry``, ``update`` or ``close`` (of entry ``e``), ``k`` the kind, ``f`` the facts, and ``t`` when it was
written: wall clock, clock of the boot, id of the boot. Lines that are not whole count for nothing: whoever writes has
not finished them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Owed", "boots", "owed"]


@dataclass(frozen=True, slots=True)
class Owed:
    """One open entry."""

    kind: str
    facts: dict[str, Any]


def owed(state_folder: Path) -> list[Owed]:
    """The open entries of the journal in this folder, oldest first; none where there is no journal yet."""
    entries: dict[int, Owed] = {}
    for record in _records(state_folder):
        match record.get("r"):
            case "open":
                entries[record["n"]] = Owed(record["k"], record["f"])
            case "entry":
                entries[record["e"]] = Owed(record["k"], record["f"])
            case "update" if record["e"] in entries:
                entries[record["e"]] = Owed(record["k"], entries[record["e"]].facts | record["f"])
            case "close":
                entries.pop(record["e"], None)
    return list(entries.values())


def boots(state_folder: Path) -> list[str]:
    """The boots in which the journal was written to, by their ids, in this order."""
    return list(dict.fromkeys(str(record["t"][2]) for record in _records(state_folder) if "t" in record))


def _records(state_folder: Path) -> Iterator[dict[str, Any]]:
    try:
        data = (state_folder / "journal").read_bytes()
    except FileNotFoundError:
        return
    for line in data.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if text and f"{zlib.crc32(text):08x}".encode() == checksum:
            yield json.loads(text)
