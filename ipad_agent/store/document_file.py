"""Small JSON documents that are replaced in one step and survive a power cut at any byte.

A file holds one line: ``{"schema": 1, "crc32": "1a2b3c4d", "data": {...}}``, the checksum being that of the text of
``data`` as it stands. A new generation is written beside the file, synced, and renamed over it; the generation
before stays as ``<name>.bak``. What cannot be read is answered from the backup, and failing that as empty: a
damaged file must never keep the agent from starting.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from . import events
from .errors import DiskError
from .filesystem import Filesystem
from .json_values import UnreadableValueError, Value, dumps, loads, normalise

_ENVELOPE = re.compile(rb'\{"schema":([0-9]{1,6}),"crc32":"([0-9a-f]{8})","data":(\{.*\})\}\n?', re.DOTALL)


class _UnusableError(Exception):
    """Why one generation of a file cannot be used, for the log."""


@dataclass(slots=True)
class _Current:
    data: dict[str, Value]
    intact: bool  # whether the file itself, not only its backup, passed its checksum


class DocumentFile:
    """One JSON document on disk.

    ``schema`` is the version of the meaning of its content; a file of another version counts as unusable, so a
    change of meaning raises the number and old content is forgotten, never misread.
    """

    def __init__(self, filesystem: Filesystem, path: str, *, schema: int = 1) -> None:
        self._filesystem = filesystem
        self._path = path
        self._schema = schema
        self._current: _Current | None = None

    @property
    def path(self) -> str:
        return self._path

    def load(self) -> dict[str, Value]:
        """The stored data; ``{}`` when there is none. Never raises: what cannot be read is reported and left out."""
        return normalise_document(self._loaded().data)

    def save(self, data: Mapping[str, object]) -> None:
        """Replace the document; returns when it is durable. Nothing is written when nothing changed.

        Raises ``DiskError`` (the previous generation stays readable) or ``UnstorableValueError``.
        """
        new = normalise_document(data)
        current = self._loaded()
        if current.intact and dumps(current.data) == dumps(new):
            return
        try:
            self._replace(_seal(self._schema, new), keep_previous=current.intact)
        except OSError as error:
            self._current = None  # the disk, not our memory, says what is there now
            refused = DiskError(f"{self._path} could not be written", error)
            events.DISK_REFUSED.emit(problem=str(refused))
            raise refused from error
        self._current = _Current(new, intact=True)

    def _loaded(self) -> _Current:
        if self._current is None:
            self._current = self._read_generations()
        return self._current

    def _read_generations(self) -> _Current:
        try:
            return _Current(self._read(self._path), intact=True)
        except FileNotFoundError:
            fault = "missing"
        except _UnusableError as error:
            fault = str(error)
        try:
            data = self._read(self._backup)
        except (FileNotFoundError, _UnusableError):
            if fault != "missing":
                events.DOCUMENT_LOST.emit(path=self._path, fault=fault)
            return _Current({}, intact=False)
        events.DOCUMENT_FROM_BACKUP.emit(path=self._path, fault=fault)
        return _Current(data, intact=False)

    def _read(self, path: str) -> dict[str, Value]:
        try:
            sealed = self._filesystem.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _UnusableError(f"unreadable ({error.strerror or error})") from None
        return _unseal(self._schema, sealed)

    def _replace(self, sealed: bytes, *, keep_previous: bool) -> None:
        temporary = self._path + ".tmp"
        file = self._filesystem.create(temporary)
        try:
            file.write(sealed)
            file.sync()
        finally:
            file.close()
        if keep_previous:
            # Between the two renames only the backup exists; the reader takes it then.
            self._filesystem.rename(self._path, self._backup)
        self._filesystem.rename(temporary, self._path)
        self._filesystem.sync_directory(os.path.dirname(self._path))

    @property
    def _backup(self) -> str:
        return self._path + ".bak"


def normalise_document(data: Mapping[str, object]) -> dict[str, Value]:
    """``data`` as it will read back, sharing nothing with it. Raises ``UnstorableValueError``."""
    return {key: normalise(value) for key, value in data.items()}


def _seal(schema: int, data: dict[str, Value]) -> bytes:
    text = dumps(data)
    return b'{"schema":%d,"crc32":"%08x","data":%s}\n' % (schema, zlib.crc32(text), text)


def _unseal(schema: int, sealed: bytes) -> dict[str, Value]:
    match = _ENVELOPE.fullmatch(sealed)
    if match is None:
        raise _UnusableError("empty" if not sealed.strip(b"\0 \n") else "damaged")
    if zlib.crc32(match[3]) != int(match[2], 16):
        raise _UnusableError("damaged (checksum)")
    if int(match[1]) != schema:
        raise _UnusableError(f"of another version ({int(match[1])} instead of {schema})")
    try:
        return loads(match[3])
    except UnreadableValueError as error:
        raise _UnusableError(f"damaged ({error})") from None
