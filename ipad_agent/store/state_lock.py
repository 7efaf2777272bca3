"""One agent per state directory: an advisory lock that ends with the process, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
from types import TracebackType

from .errors import DiskError, StateDirectoryBusyError


class StateLock:
    """Holds ``<state_dir>/lock`` from construction to ``release`` (or the end of the process).

    Raises ``StateDirectoryBusyError`` when another process holds it and ``DiskError`` when it cannot be made.
    """

    def __init__(self, state_dir: str) -> None:
        path = os.path.join(state_dir, "lock")
        self._descriptor = -1
        try:
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DiskError(f"{path} could not be opened", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StateDirectoryBusyError(f"another agent uses {state_dir}") from None
            raise DiskError(f"{path} could not be locked", error) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process have the directory; may be called twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> StateLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
