"""The module ``os`` of a machine that loses its power: of what was written below one folder only what was synced is
there afterwards, and of new, renamed and removed names only those whose folder was synced.

To be put in the place of ``os`` in the module under test, so that the real calls and their order are what is tested.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class PowerCutOs:
    """Everything else is as in ``os``. Symbolic links and folders in the folder are not looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._content: dict[int, bytes] = {}
        """inode -> what of it is on the medium."""
        self._names: dict[str, int] = {}
        """name -> inode, as the folder is on the medium."""
        self._kept: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        self._kept.append(os.dup(descriptor))  # an inode that is held has no successor with its number
        return descriptor

    def fdatasync(self, descriptor: int) -> None:
        self.fsync(descriptor)

    def fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if Path(path) == self._folder:
            self._names = {entry.name: entry.stat().st_ino for entry in self._folder.iterdir()}
        else:
            self._content[os.fstat(descriptor).st_ino] = Path(path).read_bytes()

    def power_cut(self) -> None:
        """The folder as it is found after the next boot. Whoever had files open must be gone."""
        for path in self._folder.iterdir():
            path.unlink()
        found = {name: self._content.get(inode, b"") for name, inode in self._names.items()}
        self._content, self._names = {}, {}
        for name, content in found.items():
            path = self._folder / name
            path.write_bytes(content)
            self._names[name] = path.stat().st_ino
            self._content[path.stat().st_ino] = content

    def close_kept(self) -> None:
        """At the end of the test."""
        for descriptor in self._kept:
            os.close(descriptor)
