"""The eIM's state in one SQLite file: a row for each device, a row for each thing that happened."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from .device_records import Device, from_plain, to_plain
from .errors import StateFileError

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS device (eid TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (number INTEGER PRIMARY KEY, eid TEXT, kind TEXT NOT NULL, document TEXT NOT NULL);
"""


class SqliteStore:
    """A ``Store``. Only what changed is written, all of it in one transaction; nothing of the history is dropped.

    Documents are JSON with bytes in hex, so that ``sqlite3 FILE`` shows them. One process at a time.
    """

    def __init__(self, path: Path, *, kept: int = 1000) -> None:
        """Open or make the file; ``StateFileError`` when it is none of ours. ``kept`` entries are read back."""
        self.path = path
        self._kept = kept
        self._devices: dict[str, str] = {}
        self._last: dict[str, Any] | None = None
        try:
            self._db = sqlite3.connect(path)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise StateFileError(f"{path} has version {version}, not {_VERSION}")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.commit()
        except sqlite3.Error as error:
            raise StateFileError(f"{path} cannot be used: {error}") from error

    def close(self) -> None:
        """Let go of the file. Harmless when done before."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def load(self) -> tuple[dict[str, Device], list[dict[str, Any]]]:
        """Devices by EID and the latest of the history, oldest first."""
        try:
            rows = self._db.execute("SELECT eid, document FROM device ORDER BY rowid").fetchall()
            newest = self._db.execute("SELECT document FROM history ORDER BY number DESC LIMIT ?", (self._kept,))
            history = [json.loads(document) for (document,) in newest.fetchall()][::-1]
            devices = {eid: from_plain(json.loads(document)) for eid, document in rows}
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateFileError(f"{self.path} is not a store of this eIM: {error!r}") from error
        self._devices = dict(rows)
        self._last = history[-1] if history else None
        return devices, history

    def save(self, devices: dict[str, Device], history: list[dict[str, Any]]) -> None:
        """Write the devices that changed and the entries that are new."""
        documents = {eid: json.dumps(to_plain(device)) for eid, device in devices.items()}
        changed = [(eid, text) for eid, text in documents.items() if self._devices.get(eid) != text]
        gone = [(eid,) for eid in self._devices if eid not in documents]
        fresh: list[dict[str, Any]] = []
        for entry in reversed(history):
            if entry is self._last:
                break
            fresh.append(entry)
        rows = [(entry.get("eid"), str(entry["kind"]), json.dumps(entry, default=str)) for entry in reversed(fresh)]
        if not (changed or gone or rows):
            return
        try:
            with self._db:
                self._db.executemany(
                    "INSERT INTO device VALUES (?, ?) ON CONFLICT (eid) DO UPDATE SET document = excluded.document",
                    changed,
                )
                self._db.executemany("DELETE FROM device WHERE eid = ?", gone)
                self._db.executemany("INSERT INTO history (eid, kind, document) VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StateFileError(f"{self.path} cannot be written: {error}") from error
        self._devices = documents
        self._last = history[-1] if history else None
