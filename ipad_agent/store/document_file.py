"""Small JSON documents that are replaced in one step and survive a power cut at any byte.

A file holds one line: ``{"schema": 1, "crc32": "1a2b3c4d", "data": {...}}``, the checksum being that of the text of
``data`` as it stands. A new generation is written beside the file, synced, and renamed over it; the generation
before stays as ``<name>.bak``. What cannot be read is answered from the backup, and failing that as empty: a
damaged file must never keep the agent from starting.

What was saved holds in memory at once. A disk that refuses it is told of, and has it as soon as it takes anything
again.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Mapping

from ipad_agent.records import dataclass, replace

from . import events
from .errors import DiskError
from .filesystem import Filesystem
from .json_values import UnreadableValueError, Value, loads, normalise, text_of

_ENVELOPE = re.compile(rb'\{"schema":([0-9]{1,6}),"crc32":"([0-9a-f]{8})","data":(\{.*\})\}\n?', re.DOTALL)


class _UnusableError(Exception):
    """Why one generation of a file cannot be used, for the log."""


class _NewerError(_UnusableError):
    """The file was written by a newer release: what it means is not known here, and it is not ours to overwrite."""

    def __init__(self, version: int, schema: int) -> None:
        super().__init__(f"of another version ({version} instead of {schema})")
        self.version = version


class _UnreadError(Exception):
    """Why the disk does not give a file that is there: what it holds is not known, which is not nothing."""


@dataclass(slots=True)
class _Current:
    data: dict[str, Value]
    intact: bool  # whether the file itself, not only its backup, passed its checksum
    written: bool = True  # whether the disk has what the memory has
    unread: bool = False  # whether there is a file that the disk would not give
    newer: int | None = None  # the version of a file that has to be set aside before this one can be written
    text: bytes | None = None  # ``data`` as it is written, once somebody has asked

    def as_text(self) -> bytes:
        if self.text is None:
            self.text = text_of(self.data)
        return self.text


class DocumentFile:
    """One JSON document on disk.

    ``schema`` is the version of the meaning of its content; a file of another version counts as unusable, so a
    change of meaning raises the number and old content is forgotten, never misread. A file of a newer version is kept
    as it is, as ``<name>.v<version>``: the release that wrote it may come back.

    ``durable`` False is for what means nothing after a reboot: it survives the end of the process, not a power cut, and
    costs neither syncs nor a second generation.
    """

    def __init__(self, filesystem: Filesystem, path: str, *, schema: int = 1, durable: bool = True) -> None:
        self._filesystem = filesystem
        self._path = path
        self._folder = os.path.dirname(path)
        self._schema = schema
        self._durable = durable
        self._current: _Current | None = None
        self._trouble: str | None = None
        self._found_intact: bytes | None = None
        """What was in the file when it was found intact after a refusal, which is asked at every further one."""

    @property
    def path(self) -> str:
        return self._path

    def load(self) -> dict[str, Value]:
        """What was saved last; ``{}`` when there is none. Never raises: what cannot be read is told and left out."""
        return normalise_document(self._loaded().data)

    @property
    def trouble(self) -> str | None:
        """What the disk refused last, without a full stop; None when it has what the memory has."""
        return self._trouble

    @property
    def unsettled(self) -> bool:
        """Whether ``retry`` has anything to do."""
        current = self._current
        return current is not None and (not current.written or current.unread)

    def save(self, data: Mapping[str, object]) -> None:
        """Replace the document; durable when this returns, unless the disk refuses: then ``retry`` goes on. Nothing is
        written when nothing changed. Raises ``UnstorableValueError``."""
        new = normalise_document(data)
        text = text_of(new)
        current = self._loaded()
        if current.intact and current.written and current.as_text() == text:
            return
        self._current = replace(current, data=new, written=False, text=text)
        self._write()

    def retry(self, *, lost: bool = False) -> None:
        """Write what the disk refused, and read what it would not give. ``lost``: the file is gone, so it is made anew
        whatever it held."""
        current = self._current
        if current is None:
            return
        if lost and current.data:
            self._current = current = replace(current, intact=False, written=False)
        if not current.written:
            self._write()
        elif current.unread:
            self._current = None
            self._loaded()

    def _write(self) -> None:
        current = self._loaded()
        if current.unread:
            # What the memory does not know must not be lost by writing what it knows.
            with contextlib.suppress(FileNotFoundError, _UnusableError, _UnreadError):
                current.data, current.text = self._read(self._path) | current.data, None
        try:
            self._filesystem.make_directory(self._folder)
            if current.newer is not None:
                self._set_aside(current.newer)
                self._current = current = replace(current, newer=None)
            self._replace(_seal(self._schema, current.as_text()), keep_previous=current.intact)
        except OSError as error:
            refused = DiskError(f"{self._path} could not be written", error)
            if self._trouble is None:  # every further attempt would only say it again
                events.DISK_REFUSED.emit(problem=str(refused))
            self._trouble = str(refused)
            # It may have failed at any step: the disk says what is there now.
            self._current = replace(current, intact=self._is_intact())
            return
        self._current = _Current(current.data, intact=True, text=current.text)
        if self._trouble is not None:
            self._trouble = None
            events.DISK_ACCEPTS.emit(path=self._path)

    def _is_intact(self) -> bool:
        try:
            sealed = self._filesystem.read(self._path)
            if sealed != self._found_intact:
                _unseal(self._schema, sealed)
                self._found_intact = sealed
        except (OSError, _UnusableError):
            return False
        return True

    def _loaded(self) -> _Current:
        if self._current is None:
            self._current = self._read_generations()
        return self._current

    def _read_generations(self) -> _Current:
        unread = False
        version = newer = None
        try:
            data = self._read(self._path)
        except FileNotFoundError:
            fault = "missing"
        except _NewerError as error:
            fault, version, newer = str(error), error.version, error.version
            # A disk that refuses here refuses again when something is to be written, which is told then.
            with contextlib.suppress(OSError):
                self._set_aside(version)
                newer = None
        except _UnusableError as error:
            fault = str(error)
        except _UnreadError as error:
            fault, unread = f"unreadable ({error})", True
        else:
            self._trouble = None
            return _Current(data, intact=True)
        said, self._trouble = self._trouble, f"{self._path} is {fault}" if unread else None
        try:
            data = self._read(self._backup)
        except (FileNotFoundError, _UnusableError, _UnreadError):
            if fault != "missing" and said is None and version is None:
                events.DOCUMENT_LOST.emit(path=self._path, fault=fault)
            return _Current({}, intact=False, unread=unread, newer=newer)
        if said is None:
            events.DOCUMENT_FROM_BACKUP.emit(path=self._path, fault=fault)
        return _Current(data, intact=False, unread=unread, newer=newer)

    def _read(self, path: str) -> dict[str, Value]:
        try:
            sealed = self._filesystem.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _UnreadError(error.strerror or str(error)) from None
        return _unseal(self._schema, sealed)

    def _set_aside(self, version: int) -> None:
        """Raises ``OSError``."""
        kept = f"{self._path}.v{version}"
        try:
            self._filesystem.rename(self._path, kept)
        except FileNotFoundError:  # somebody removed it
            return
        self._filesystem.sync_directory(self._folder)
        events.DOCUMENT_SET_ASIDE.emit(path=self._path, version=version, kept=kept)

    def _replace(self, sealed: bytes, *, keep_previous: bool) -> None:
        temporary = self._path + ".tmp"
        file = self._filesystem.create(temporary)
        try:
            file.write(sealed)
            if self._durable:
                file.sync()
        finally:
            file.close()
        if not self._durable:
            self._filesystem.rename(temporary, self._path)
            return
        if keep_previous:
            # Between the two renames only the backup exists; the reader takes it then.
            with contextlib.suppress(FileNotFoundError):  # somebody removed it
                self._filesystem.rename(self._path, self._backup)
        self._filesystem.rename(temporary, self._path)
        self._filesystem.sync_directory(self._folder)

    @property
    def _backup(self) -> str:
        return self._path + ".bak"


def normalise_document(data: Mapping[str, object]) -> dict[str, Value]:
    """``data`` as it will read back, sharing nothing with it. Raises ``UnstorableValueError``."""
    return {key: normalise(value) for key, value in data.items()}


def _seal(schema: int, text: bytes) -> bytes:
    return b'{"schema":%d,"crc32":"%08x","data":%s}\n' % (schema, zlib.crc32(text), text)


def _unseal(schema: int, sealed: bytes) -> dict[str, Value]:
    match = _ENVELOPE.fullmatch(sealed)
    if match is None:
        raise _UnusableError("empty" if not sealed.strip(b"\0 \n") else "damaged")
    if zlib.crc32(match[3]) != int(match[2], 16):
        raise _UnusableError("damaged (checksum)")
    version = int(match[1])
    if version > schema:
        raise _NewerError(version, schema)
    if version != schema:
        raise _UnusableError(f"of another version ({version} instead of {schema})")
    try:
        return loads(match[3])
    except UnreadableValueError as error:
        raise _UnusableError(f"damaged ({error})") from None
