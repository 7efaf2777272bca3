"""The few file operations the store needs, as a protocol, and the real ones.

Everything the store promises about power cuts follows from these operations and their order, so a test double
(``memory_filesystem.MemoryFilesystem``) can stand in and cut the power between any two bytes.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol

MAX_FILE_BYTES = 8 << 20  # far above what the store writes; a larger file is not ours

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class File(Protocol):
    """An open file. Every method may raise ``OSError``."""

    def write(self, data: bytes) -> None:
        """Write all of ``data``; after an ``OSError`` any prefix of it may be in the file."""

    def sync(self) -> None:
        """Return when everything written so far survives a power cut."""

    def named(self, path: str) -> bool:
        """Whether ``path`` still leads to this very file: not once it, or the folder around it, was removed or
        replaced. What is written then goes nowhere although no call says so. Never raises."""

    def close(self) -> None:
        """Let go of the file; says nothing about a power cut."""


class Filesystem(Protocol):
    """Paths are absolute text. Every method may raise ``OSError``.

    A new, renamed or removed name survives a power cut only after ``sync_directory``; ``rename`` replaces its
    target in one step: after a cut either the old or the new file is there.
    """

    def read(self, path: str) -> bytes:
        """The whole file; ``FileNotFoundError`` when there is none."""

    def create(self, path: str) -> File:
        """Open an empty file for writing, whatever was there before."""

    def append(self, path: str) -> File:
        """Open a file for writing at its end; it is made when missing."""

    def rename(self, source: str, target: str) -> None:
        """Give the file another name in one step."""

    def remove(self, path: str) -> None:
        """Remove a file; no error when it is missing."""

    def make_directory(self, path: str) -> None:
        """Make a directory (and its parents) for the agent alone; no error when it exists."""

    def sync_directory(self, path: str) -> None:
        """Return when the names in this directory survive a power cut."""


class _RealFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        # fdatasync also writes the file size when it changed, which is all of the metadata a reader needs.
        os.fdatasync(self._descriptor)

    def named(self, path: str) -> bool:
        return leads_to(path, self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class _AppendedFile(_RealFile):
    """Is open for writing only from a write to its sync: a file system with a file that is open for writing cannot be
    remounted read-only, which is how gateways protect theirs. What is held meanwhile keeps the inode."""

    def __init__(self, path: str) -> None:
        os.close(os.open(path, _APPEND | os.O_CREAT, 0o600))
        super().__init__(os.open(path, _READ))
        self._path = path
        self._writing: _RealFile | None = None

    def write(self, data: bytes) -> None:
        if self._writing is None:
            self._writing = _RealFile(os.open(self._path, _APPEND))
        self._writing.write(data)

    def sync(self) -> None:
        if self._writing is None:
            super().sync()  # what somebody else wrote before
            return
        try:
            self._writing.sync()
        finally:
            self._done()

    def close(self) -> None:
        self._done()
        super().close()

    def _done(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.close()


def leads_to(path: str, descriptor: int) -> bool:
    """Whether the path is still a name of what is open there, file or directory. Never raises."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # a disk that cannot say is no proof; the next write tells
    ours = os.fstat(descriptor)
    return ours.st_nlink > 0 and (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


class RealFilesystem:
    """The disk of this machine. Files are mode 0600, directories 0700; symbolic links are not followed."""

    def read(self, path: str) -> bytes:
        descriptor = os.open(path, _READ)
        with open(descriptor, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data

    def create(self, path: str) -> File:
        return _RealFile(os.open(path, _CREATE, 0o600))

    def append(self, path: str) -> File:
        return _AppendedFile(path)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def remove(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def make_directory(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, _DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some file systems (FAT, certain network and overlay ones) cannot sync a directory and say so.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)
