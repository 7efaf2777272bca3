"""A disk in memory whose power can be cut at any byte: the test double of ``filesystem.RealFilesystem``.

It keeps apart what has been written and what has been synced. ``power_cut`` throws away what a real disk may throw
away: of a file's unsynced bytes any part may survive (as a prefix, or with zeros in its place, as delayed
allocation leaves it), and of a directory's unsynced names any prefix of the changes, in order. With ``allowance``
set, every byte written and every other operation costs one; when it is used up, ``PowerCut`` flies out of the
middle of whatever was going on.
"""

from __future__ import annotations

import errno
import os
import random

from ipad_agent.records import dataclass, field

from .filesystem import File


class PowerCut(BaseException):
    """The power went. Not an ``Exception``: no error handling of the code under test may run on a dead machine."""


@dataclass(slots=True, eq=False)
class _Node:
    synced: bytes = b""
    data: bytearray = field(default_factory=bytearray)


class _MemoryFile:
    def __init__(self, disk: MemoryFilesystem, node: _Node) -> None:
        self._disk, self._node, self._life = disk, node, disk.lives
        self._open = True

    def write(self, data: bytes) -> None:
        self._check()
        self._disk.change()
        fits = self._disk.room(len(data))
        self._node.data += data[:fits]
        if fits < len(data):
            self._disk.spend()
            self._disk.take_space()

    def sync(self) -> None:
        self._check()
        self._disk.spend()
        self._disk.change()
        if self._disk.sync_error is not None:
            raise OSError(self._disk.sync_error, os.strerror(self._disk.sync_error))
        if self._disk.honest_sync:
            self._node.synced = bytes(self._node.data)

    def close(self) -> None:
        self._open = False

    def named(self, path: str) -> bool:
        return self._disk.leads_to(path, self._node)

    def _check(self) -> None:
        if not self._open or self._life != self._disk.lives:
            raise OSError(errno.EBADF, "the file is closed")


class MemoryFilesystem:
    """Implements ``Filesystem``. Attributes a test may set at any time:

    ``allowance``: bytes and operations until ``PowerCut`` is raised (None: no limit).
    ``free_bytes``: writes beyond it raise ``OSError(ENOSPC)``, like a full disk, after a partial write.
    ``refuses``: an errno every change raises, like a disk that was remounted read-only; what is there can be read.
    ``sync_error``: an errno every ``sync`` of a file raises, like a broken disk.
    ``sync_directory_error``: the same for directories.
    ``honest_sync``: False makes every sync do nothing, like a disk that lies; shows that a test notices.
    ``unreadable``: an errno that every ``read`` of a file that exists raises.
    """

    def __init__(self, *, allowance: int | None = None) -> None:
        self.allowance = allowance
        self.free_bytes: int | None = None
        self.refuses: int | None = None
        self.sync_error: int | None = None
        self.sync_directory_error: int | None = None
        self.honest_sync = True
        self.lives = 0
        self.unreadable: int | None = None
        self._names: dict[str, _Node] = {}
        self._synced_names: dict[str, _Node] = {}
        # Unsynced changes of names, in order: (directory, {path: node or None}).
        self._changes: list[tuple[str, dict[str, _Node | None]]] = []
        self._gone: set[str] = set()  # directories that were removed and not made again

    # What the store calls.

    def read(self, path: str) -> bytes:
        self.spend()
        node = self._node(path)
        if self.unreadable is not None:
            raise OSError(self.unreadable, os.strerror(self.unreadable), path)
        return bytes(node.data)

    def create(self, path: str) -> File:
        self.spend()
        self.change()
        # Truncation keeps the node: its old content may come back after a cut, like that of a real inode.
        node = self._names.get(path)
        if node is None:
            node = self._add(path)
        else:
            del node.data[:]
        return _MemoryFile(self, node)

    def append(self, path: str) -> File:
        self.spend()
        self.change()
        return _MemoryFile(self, self._names.get(path) or self._add(path))

    def rename(self, source: str, target: str) -> None:
        self.spend()
        self.change()
        node = self._node(source)
        self._in_a_directory(target)
        self._change(source, {source: None, target: node})

    def remove(self, path: str) -> None:
        self.spend()
        self.change()
        if path in self._names:
            self._change(path, {path: None})

    def make_directory(self, path: str) -> None:
        self.spend()
        if path in self._gone:
            self.change()
            self._gone.discard(path)

    def sync_directory(self, path: str) -> None:
        self.spend()
        if self.sync_directory_error is not None:
            raise OSError(self.sync_directory_error, os.strerror(self.sync_directory_error))
        self.change()
        self._in_a_directory(os.path.join(path, ""))
        if not self.honest_sync:
            return
        for directory, change in self._changes:
            if directory == path:
                _apply(self._synced_names, change)
        self._changes = [entry for entry in self._changes if entry[0] != path]

    # What a test calls.

    def power_cut(self, chance: random.Random | None = None) -> None:
        """Lose what was not synced. ``chance`` decides what happens to survive; without it, nothing does."""
        survivors = chance.randint(0, len(self._changes)) if chance else 0
        for _, change in self._changes[:survivors]:
            _apply(self._synced_names, change)
        self._changes = []
        self._names = dict(self._synced_names)
        for node in set(self._names.values()):
            node.data = bytearray(_after_cut(node, chance))
            node.synced = bytes(node.data)
        self._new_life()

    def crash(self) -> None:
        """The process dies, the machine does not: what was written stays readable, but is no more synced."""
        self._new_life()

    def corrupt(self, path: str, offset: int, replacement: bytes) -> None:
        """Change bytes of a file behind everybody's back, like a worn-out flash cell."""
        node = self._node(path)
        node.data[offset : offset + len(replacement)] = replacement
        node.synced = bytes(node.data)

    def remove_directory(self, path: str) -> None:
        """Somebody removes a directory with all that is in it. Files that are open can still be written, to nowhere."""
        for names in (self._names, self._synced_names):
            for name in [name for name in names if os.path.dirname(name) == path]:
                del names[name]
        self._changes = [change for change in self._changes if change[0] != path]
        self._gone.add(path)

    def empty_directory(self, path: str) -> None:
        """Somebody removes all files in a directory, and leaves it."""
        self.remove_directory(path)
        self._gone.discard(path)

    def leads_to(self, path: str, node: _Node) -> bool:
        """Whether this name is that of this file."""
        return self._names.get(path) is node

    def names(self) -> frozenset[str]:
        """The paths of all files there are."""
        return frozenset(self._names)

    def change(self) -> None:
        """Called before anything is changed."""
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))

    def spend(self) -> None:
        """Use up one unit of the allowance."""
        if self.allowance is not None:
            if self.allowance <= 0:
                raise PowerCut
            self.allowance -= 1

    def room(self, count: int) -> int:
        """Use up so many units of allowance and bytes of free space, or as many as there are; how many there were."""
        limits = [limit for limit in (self.allowance, self.free_bytes) if limit is not None]
        taken = min(count, *(max(0, limit) for limit in limits)) if limits else count
        if self.allowance is not None:
            self.allowance -= taken
        if self.free_bytes is not None:
            self.free_bytes -= taken
        return taken

    def take_space(self) -> None:
        """Use up one byte of free space."""
        if self.free_bytes is not None:
            if self.free_bytes <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.free_bytes -= 1

    def _new_life(self) -> None:
        self.lives += 1
        self.allowance = None

    def _node(self, path: str) -> _Node:
        try:
            return self._names[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def _in_a_directory(self, path: str) -> None:
        if self._gone and os.path.dirname(path) in self._gone:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _add(self, path: str) -> _Node:
        self._in_a_directory(path)
        node = _Node()
        self._change(path, {path: node})
        return node

    def _change(self, path: str, change: dict[str, _Node | None]) -> None:
        _apply(self._names, change)
        self._changes.append((os.path.dirname(path), change))


def _apply(names: dict[str, _Node], change: dict[str, _Node | None]) -> None:
    for path, node in change.items():
        if node is None:
            names.pop(path, None)
        else:
            names[path] = node


def _after_cut(node: _Node, chance: random.Random | None) -> bytes:
    written = bytes(node.data)
    if chance is None or written == node.synced:
        return node.synced
    if written.startswith(node.synced):
        kept = chance.randint(len(node.synced), len(written))
        zeros = chance.choice((0, 0, chance.randint(0, len(written) - kept)))
        return written[:kept] + bytes(zeros)
    return chance.choice((node.synced, written[: chance.randint(0, len(written))]))
