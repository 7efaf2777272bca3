"""Last known state: small documents by name, nothing that is owed (that is the journal's).

Everything here may be lost without harm: the agent then reads the card again, and at worst polls once more than
needed or reports a state change twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

from . import events
from .errors import DiskError
from .files import DocumentFile
from .filesystem import Filesystem
from .values import Value


class Name(Enum):
    """What is remembered: file name and whether it outlives a reboot."""

    SCHEDULE = ("schedule", True)  # per eIM: when the next poll is due, and why
    PROFILES = ("profiles", True)  # the profile list last seen, to notice a change nobody ordered
    STATE_CHANGES = ("state-changes", True)  # per eIM: the stateChange cause still to be told
    RADIO = ("radio", True)  # reset ladder and radio cycle counters, which must outlive the reboots they cause
    SEGMENT_SIZES = ("segment-sizes", True)  # per module and firmware: what STORE DATA size worked
    TRANSPORTS = ("transports", True)  # per module and firmware: CGLA or CSIM
    CHANNELS = ("channels", False)  # logical channels this agent left open; a reboot closes them
    SESSIONS = ("sessions", False)  # what a new (D)TLS session can resume from

    def __init__(self, file: str, durable: bool) -> None:
        self.file = file
        self.durable = durable


SCHEMAS: Mapping[Name, int] = dict.fromkeys(Name, 1)


class Memory:
    """Documents of ``state_dir`` (outlive a reboot) and ``runtime_dir`` (do not)."""

    def __init__(self, filesystem: Filesystem, *, state_dir: str, runtime_dir: str) -> None:
        self._filesystem = filesystem
        self._state_dir = state_dir
        self._runtime_dir = runtime_dir
        self._documents: dict[Name, DocumentFile] = {}

    def get(self, name: Name) -> dict[str, Value]:
        """What was last put; ``{}`` when nothing usable is there. Never raises."""
        return self._document(name).load()

    def put(self, name: Name, data: Mapping[str, object]) -> None:
        """Remember; returns when it is on disk. Raises ``DiskError`` or ``UnstorableValueError``."""
        directory = self._directory(name)
        try:
            self._filesystem.make_directory(directory)
        except OSError as error:
            refused = DiskError(f"{directory} could not be made", error)
            events.DISK_REFUSED.emit(problem=str(refused))
            raise refused from error
        self._document(name).save(data)

    def _directory(self, name: Name) -> str:
        return self._state_dir if name.durable else self._runtime_dir

    def _document(self, name: Name) -> DocumentFile:
        document = self._documents.get(name)
        if document is None:
            path = os.path.join(self._directory(name), name.file + ".json")
            document = self._documents[name] = DocumentFile(self._filesystem, path, schema=SCHEMAS[name])
        return document
