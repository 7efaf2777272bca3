"""One agent per state directory: advisory locks that end with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from types import TracebackType
from typing import Final

from ipad_agent.records import dataclass

from . import events
from .errors import StateDirectoryBusyError
from .filesystem import leads_to

# Not open for writing: a file system with such a file cannot be remounted read-only.
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Held:
    descriptor: int
    path: str

    @property
    def in_place(self) -> bool:
        """Whether the path still leads to what is locked."""
        return leads_to(self.path, self.descriptor)


class StateLock:
    """Holds ``<directory>/lock`` of the state directory, and of the runtime directory where one is given, from
    construction to ``release`` (or the end of the process).

    The second lock keeps another agent away while somebody has removed the state directory. Where no lock file can be
    made the directory itself is locked, and what cannot be locked at all is told of: a disk that is read-only or full
    is no reason not to start. Raises ``StateDirectoryBusyError`` when another process holds one of them.
    """

    def __init__(self, state_dir: str, runtime_dir: str | None = None) -> None:
        self._state_dir = state_dir
        self._held: dict[str, _Held] = {}
        try:
            for directory in (state_dir, runtime_dir):
                if directory is not None:
                    self._hold(directory)
        except StateDirectoryBusyError:
            self.release()
            raise

    def look(self) -> bool:
        """Notice a state directory that was removed, replaced or emptied, and lock what is there now. Whether it was.
        Never raises."""
        held = self._held.get(self._state_dir)
        if held is not None and held.in_place:
            return False
        if held is not None:
            events.STATE_REMOVED.emit(path=self._state_dir)
            os.close(self._held.pop(self._state_dir).descriptor)
        try:
            self._hold(self._state_dir, say=held is not None)
        except StateDirectoryBusyError:
            events.STATE_HELD.emit(path=self._state_dir)
        return held is not None

    def release(self) -> None:
        """Let another process have the directory; may be called twice."""
        while self._held:
            os.close(self._held.popitem()[1].descriptor)

    def __enter__(self) -> StateLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def _hold(self, directory: str, *, say: bool = True) -> None:
        try:
            held = _open(directory)
        except OSError as error:
            if say:
                events.NOT_LOCKED.emit(path=directory, problem=error.strerror or type(error).__name__)
            return
        try:
            fcntl.flock(held.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held.descriptor)
            raise StateDirectoryBusyError(f"another agent uses {directory}") from None
        except OSError as error:
            os.close(held.descriptor)
            if say:
                events.NOT_LOCKED.emit(path=directory, problem=error.strerror or type(error).__name__)
            return
        self._held[directory] = held


def _open(directory: str) -> _Held:
    """The lock file, which a read-only disk may have from before; else the directory. Raises ``OSError``."""
    path = os.path.join(directory, "lock")
    with contextlib.suppress(OSError):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        return _Held(os.open(path, os.O_CREAT | _FILE, 0o600), path)
    return _Held(os.open(directory, _DIRECTORY), directory)
