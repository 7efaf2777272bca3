"""The states of all cards that were emulated on this device, without a running agent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from ipad_agent.emulation.emulated_state import EmulatedState, UnusableState
from ipad_agent.errors import IpadError, Remedy
from ipad_agent.store import EmulatedCardFile, RealFilesystem

_FILE: Final = re.compile(r"emulated-([0-9A-F]{2,64})\.json")


class NothingToExport(IpadError):
    """There is no emulated card of which a file could be written."""

    remedy: ClassVar[Remedy] = Remedy.ASK_PERSON


def emulated_cards(directory: Path) -> Iterator[tuple[EmulatedCardFile, EmulatedState]]:
    """The states of all cards that were emulated here. Raises ``NothingToExport`` or ``StoreError``."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise NothingToExport(f"{directory} cannot be read: {error.strerror}.", hint="Run this as root.") from error
    for name in names:
        found = _FILE.fullmatch(name)
        if found is None:
            continue
        file = EmulatedCardFile(RealFilesystem(), str(directory), found[1])
        document = file.load()
        try:
            if document is not None:
                yield file, EmulatedState.from_document(document)
        except UnusableState as reason:
            raise NothingToExport(f"{directory / name} is not of this release: {reason}.") from reason
