"""Last known state: small documents by name, nothing that is owed (that is the journal's).

Everything here may be lost without harm: the agent then reads the card again, and at worst polls once more than
needed or reports a state change twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from .document_file import DocumentFile
from .errors import UnstorableValueError
from .filesystem import Filesystem
from .json_values import Value

# Names of documents that several rooms agree on; any other lower-case name may be used too.
SCHEDULE: Final = "schedule"  # per eIM: when the next poll is due, and why
PROFILES: Final = "profiles"  # the profile list last seen, and per eIM the stateChange cause still to be told
RADIO: Final = "radio"  # reset ladder and radio cycle counters, which must outlive the reboots they cause
BLOCK_SIZES: Final = "block-sizes"  # per module and firmware: what STORE DATA size worked
DIALECTS: Final = "dialects"  # per eIM: which release it speaks, and what it took or refused in it
ICCID_ORDER: Final = "iccid-order"  # per module, firmware and command: whether the ICCID is printed as in EF.ICCID
WAYS: Final = "ways"  # per module and firmware: cgla or csim, where one proved to be better
MODULE_SETTINGS: Final = "module-settings"  # what was written to modules' permanent memory, so that it is once only
CHANNELS: Final = "channels"  # logical channels this agent left open; a reboot closes them
SESSIONS: Final = "sessions"  # what a new (D)TLS session can resume from
HISTORY: Final = "history"  # what was done last on this device, for people only

# These live in the runtime directory and do not outlive a reboot.
VOLATILE: Final = frozenset({CHANNELS, SESSIONS})

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Memory:
    """Documents of ``state_dir`` (outlive a reboot) and, for ``VOLATILE`` names, of ``runtime_dir`` (do not)."""

    def __init__(self, filesystem: Filesystem, *, state_dir: str, runtime_dir: str) -> None:
        self._filesystem = filesystem
        self._state_dir = state_dir
        self._runtime_dir = runtime_dir
        self._documents: dict[str, DocumentFile] = {}

    def load(self, name: str) -> dict[str, Value]:
        """What was saved last, on the disk or not; ``{}`` when nothing usable is there. Raises
        ``UnstorableValueError`` for a bad name and nothing else."""
        return self._document(name).load()

    def save(self, name: str, document: Mapping[str, object]) -> None:
        """Remember. It is on disk when this returns, unless the disk refuses: then ``look`` tries again. Raises
        ``UnstorableValueError``."""
        self._document(name).save(document)

    def look(self, *, lost: bool = False) -> None:
        """To be called now and then: what the disk refused is tried again; with ``lost``, because the state directory
        was removed, everything is written anew. Never raises."""
        for name, document in self._documents.items():
            # Almost always there is nothing to do, and this is called every minute.
            if lost or document.unsettled:
                document.retry(lost=lost and name not in VOLATILE)

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, without a full stop; None when it has all that is remembered."""
        return next((document.trouble for document in self._documents.values() if document.trouble is not None), None)

    def _document(self, name: str) -> DocumentFile:
        document = self._documents.get(name)
        if document is None:
            if not _NAME.fullmatch(name):
                raise UnstorableValueError(f"the document name {name!r}")
            directory = self._runtime_dir if name in VOLATILE else self._state_dir
            path = os.path.join(directory, name + ".json")
            document = self._documents[name] = DocumentFile(self._filesystem, path, durable=name not in VOLATILE)
        return document
