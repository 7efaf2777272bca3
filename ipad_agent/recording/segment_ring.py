"""A bounded ring on the disk: numbered files that are only ever appended to, of which the oldest go.

Nothing is synced to the disk: what is lost in a power cut is the end. A new ring begins a new file, so nothing is ever
written behind a torn line.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .recording_format import SEGMENT_PATTERN

SEGMENTS: Final = 8
"""So many files share the bound; what is lost at once when the ring is full is one of them."""
RESERVE_BYTES: Final = 1 << 20
"""So much of the disk is left to what must not be lost: the journal."""
_FORMER_PATTERN: Final = "recording-*.jsonl"
"""What agents before the ring wrote; it would stay for ever."""


class SegmentRing:
    """Lines in ``folder``, together at most ``max_bytes``. ``head`` makes the first line of a segment by its number.
    Every method may raise ``OSError``; after that only ``close`` is to be called."""

    def __init__(self, folder: Path, *, max_bytes: int, head: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._head = head
        self._descriptor: int | None = None
        self._size_bytes = 0
        self.path = folder
        """The file that is being written."""

    @property
    def segment_bytes(self) -> int:
        """The largest segment."""
        return self._max_bytes // SEGMENTS

    def open(self) -> None:
        """Make the folder and begin the next segment."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for former in self._folder.glob(_FORMER_PATTERN):
            former.unlink(missing_ok=True)
        self._begin()

    def append(self, line: bytes) -> None:
        """A line without its end; longer than a segment it is refused as too large a file."""
        if len(line) + 1 > self.segment_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if self._size_bytes + len(line) + 1 > self.segment_bytes:
            self._begin()
        self._write(line)

    def close(self) -> None:
        """End it; may be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _begin(self) -> None:
        self.close()
        kept = sorted(self._folder.glob(SEGMENT_PATTERN))
        self._make_room(kept)
        number = _number(kept[-1]) + 1 if kept else 1
        self.path = self._folder / f"segment-{number:08d}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self._size_bytes = 0
        self._write(self._head(number))

    def _make_room(self, kept: list[Path]) -> None:
        """Delete the oldest until another whole segment fits, into the bound and onto the disk."""
        sizes = [path.lstat().st_size for path in kept]
        for path in kept:
            if sum(sizes) + self.segment_bytes <= self._max_bytes and len(sizes) < 2 * SEGMENTS:
                break
            path.unlink(missing_ok=True)
            del sizes[0]
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < self.segment_bytes + RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        whole = line + b"\n"
        if os.write(self._descriptor, whole) != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size_bytes += len(whole)


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("segment-")
    return int(digits) if digits.isascii() and digits.isdigit() else 0
