"""Small files that are used up by being read: what must not be used twice is gone from the disk before it is used once.

For the runtime folder: nothing is synced, for nothing here outlives the power. There is no backup of an earlier
generation, and no second attempt: what the disk refuses is as if it had never been kept.
"""

from __future__ import annotations

import contextlib
import os
import re

from .errors import UnstorableValueError
from .filesystem import Filesystem

_NAME = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")


class SingleUseFiles:
    """Files in one directory, by lower-case names. Raises ``UnstorableValueError`` for other names, else nothing."""

    def __init__(self, filesystem: Filesystem, directory: str) -> None:
        self._filesystem = filesystem
        self._directory = directory

    def put(self, name: str, content: bytes) -> None:
        """Keep it, in place of what was kept under this name; or, if the disk refuses, nothing new."""
        path = self._path(name)
        with contextlib.suppress(OSError):
            self._filesystem.make_directory(self._directory)
            file = self._filesystem.create(path + ".new")
            try:
                file.write(content)
            finally:
                file.close()
            self._filesystem.rename(path + ".new", path)

    def take(self, name: str) -> bytes | None:
        """What was kept, and now nowhere any more. None when there was nothing, and when the disk would not give it or
        would not let go of it."""
        path = self._path(name)
        try:
            content = self._filesystem.read(path)
            self._filesystem.remove(path)
        except OSError:
            return None
        return content

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise UnstorableValueError(f"the file name {name!r}")
        return os.path.join(self._directory, name)
