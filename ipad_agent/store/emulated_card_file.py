"""What this device keeps in the place of a card's memory: one file per card, for the emulated IoT functions.

Unlike a document of last known state this must never be answered from an older generation: a counter that went back
would let an order be executed twice. So there is no backup. A file that the disk does not give is an error and not
"none"; one whose checksum is wrong is set aside and its content lost, which the caller is told.

``write`` is for what is about to be done: it returns only when the file survives a power cut. ``hold`` is for what is
so already: it counts at once, and is on the disk as soon as that takes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Mapping
from typing import Final

from . import events
from .errors import DiskError, UnstorableValueError
from .filesystem import Filesystem
from .json_values import UnreadableValueError, Value, loads, normalise, text_of

VERSION: Final = 1
_ENVELOPE: Final = re.compile(rb'\{"emulated-card":([0-9]{1,6}),"crc32":"([0-9a-f]{8})","data":(\{.*\})\}\n', re.DOTALL)
_NAME: Final = re.compile(r"[0-9A-F]{2,64}")


class EmulatedCardFile:
    """The file of one card, named by the octets of its EID. ``lost`` says that a damaged file was set aside."""

    lost = False

    def __init__(self, filesystem: Filesystem, directory: str, eid: str) -> None:
        if not _NAME.fullmatch(eid):
            raise UnstorableValueError(f"the EID {eid!r}")
        self._filesystem = filesystem
        self._path = os.path.join(directory, f"emulated-{eid}.json")
        self._data: dict[str, Value] | None = None
        self._read = False
        self._written = True
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """What the disk refused last, without a full stop; None when it has what counts."""
        return self._trouble

    @property
    def unwritten(self) -> bool:
        """Whether the disk does not have what counts."""
        return not self._written

    def load(self) -> dict[str, Value] | None:
        """What counts now; None when there never was anything, or when it is lost. Raises ``DiskError`` when the disk
        does not give a file that is there."""
        if not self._read:
            self._data = self._from_disk()
            self._read = True
        return None if self._data is None else dict(self._data)

    def write(self, data: Mapping[str, object]) -> None:
        """Replace it; durable when this returns. Raises ``DiskError``: then what counted before counts on, although
        the disk may have the new one."""
        new = _plain(data)
        try:
            self._replace(new)
        except OSError as error:
            raise self._refused(error) from error
        self._accepted(new)

    def hold(self, data: Mapping[str, object]) -> None:
        """Replace it, whatever the disk says."""
        self._data, self._read, self._written = _plain(data), True, False
        self.retry()

    def retry(self, *, lost: bool = False) -> None:
        """Try again what the disk refused; ``lost``: the file was removed behind our back. Never raises."""
        # After a write that was refused the disk may have the new one, although the old one counts.
        if self._data is None or (self._written and self._trouble is None and not lost):
            return
        try:
            self._replace(self._data)
        except OSError as error:
            self._written = False
            self._refused(error)
            return
        self._accepted(self._data)

    def _from_disk(self) -> dict[str, Value] | None:
        try:
            sealed = self._filesystem.read(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DiskError(f"{self._path} could not be read", error) from error
        match = _ENVELOPE.fullmatch(sealed)
        if match is not None and int(match[1]) > VERSION:
            # Of a newer release: what its counters mean is not known here, and it is not ours to overwrite.
            newer = OSError(f"it is of version {int(match[1])}, and this program knows {VERSION}")
            raise DiskError(f"{self._path} cannot be used", newer)
        if match is not None and zlib.crc32(match[3]) == int(match[2], 16):
            with contextlib.suppress(UnreadableValueError):
                return loads(match[3])
        self._set_aside()
        return None

    def _set_aside(self) -> None:
        kept = f"{self._path}.damaged"
        try:
            self._filesystem.rename(self._path, kept)
        except OSError as error:
            raise DiskError(f"{self._path} is damaged and could not be set aside", error) from error
        self.lost = True
        events.EMULATED_CARD_DAMAGED.emit(path=self._path, kept=kept)

    def _replace(self, data: Mapping[str, Value]) -> None:
        text, temporary = text_of(dict(data)), self._path + ".tmp"
        self._filesystem.make_directory(os.path.dirname(self._path))
        file = self._filesystem.create(temporary)
        try:
            file.write(b'{"emulated-card":%d,"crc32":"%08x","data":%s}\n' % (VERSION, zlib.crc32(text), text))
            file.sync()
        finally:
            file.close()
        self._filesystem.rename(temporary, self._path)
        self._filesystem.sync_directory(os.path.dirname(self._path))

    def _refused(self, error: OSError) -> DiskError:
        refused = DiskError(f"{self._path} could not be written", error)
        if self._trouble is None:  # every further attempt would only say it again
            events.DISK_REFUSED.emit(problem=str(refused))
        self._trouble = str(refused)
        return refused

    def _accepted(self, data: dict[str, Value]) -> None:
        self._data, self._read, self._written = data, True, True
        if self._trouble is not None:
            self._trouble = None
            events.DISK_ACCEPTS.emit(path=self._path)


class EmulatedCardFiles:
    """The files of all cards that this device has seen, in the state directory."""

    def __init__(self, filesystem: Filesystem, directory: str) -> None:
        self._filesystem = filesystem
        self._directory = directory
        self._files: dict[str, EmulatedCardFile] = {}

    def file(self, eid: str) -> EmulatedCardFile:
        """The file of this card (its octets as capital hexadecimal digits)."""
        known = self._files.get(eid)
        if known is None:
            known = self._files[eid] = EmulatedCardFile(self._filesystem, self._directory, eid)
        return known

    def look(self, *, lost: bool = False) -> None:
        """To be called now and then: what the disk refused is tried again. Never raises."""
        for file in self._files.values():
            file.retry(lost=lost)

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, without a full stop; None when it has all that counts."""
        return next((file.trouble for file in self._files.values() if file.trouble is not None), None)

    @property
    def unwritten(self) -> bool:
        """Whether the disk lacks what counts for any card."""
        return any(file.unwritten for file in self._files.values())


def _plain(data: Mapping[str, object]) -> dict[str, Value]:
    return {key: normalise(value) for key, value in data.items()}
