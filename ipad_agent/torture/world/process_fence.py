"""A running agent, as everything it touches sees it: alive, or not one byte more."""

from __future__ import annotations

from ipad_agent.store.filesystem import File, Filesystem
from ipad_agent.store.memory_filesystem import PowerCut


class ProcessFence:
    """One process. Once ``alive`` is false, whatever still runs in its name must have no effect."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True

    def check(self) -> None:
        """Raises ``PowerCut`` in a dead process, which no error handling of the program takes for its own."""
        if not self.alive:
            raise PowerCut


class FencedDisk:
    """The disk as one process sees it; implements ``Filesystem``."""

    def __init__(self, disk: Filesystem, owner: ProcessFence) -> None:
        self._disk = disk
        self._owner = owner

    def read(self, path: str) -> bytes:
        self._owner.check()
        return self._disk.read(path)

    def create(self, path: str) -> File:
        self._owner.check()
        return _FencedFile(self._disk.create(path), self._owner)

    def append(self, path: str) -> File:
        self._owner.check()
        return _FencedFile(self._disk.append(path), self._owner)

    def rename(self, source: str, target: str) -> None:
        self._owner.check()
        self._disk.rename(source, target)

    def remove(self, path: str) -> None:
        self._owner.check()
        self._disk.remove(path)

    def make_directory(self, path: str) -> None:
        self._owner.check()
        self._disk.make_directory(path)

    def sync_directory(self, path: str) -> None:
        self._owner.check()
        self._disk.sync_directory(path)


class _FencedFile:
    def __init__(self, file: File, owner: ProcessFence) -> None:
        self._file = file
        self._owner = owner

    def write(self, data: bytes) -> None:
        self._owner.check()
        self._file.write(data)

    def sync(self) -> None:
        self._owner.check()
        self._file.sync()

    def named(self, path: str) -> bool:
        self._owner.check()
        return self._file.named(path)

    def close(self) -> None:
        self._file.close()
