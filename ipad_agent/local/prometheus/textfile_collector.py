"""The metrics as a file for the textfile collector of the node exporter."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ipad_agent.local import events


class Textfile:
    """Writes ``text()`` to ``path`` again and again. The collector never sees half a file, and no trouble with the
    disk disturbs the agent."""

    def __init__(self, path: Path, text: Callable[[], str], *, interval_s: float) -> None:
        self._path = path
        self._text = text
        self._interval_s = interval_s
        self._failed = False

    async def run(self) -> None:
        """Until it is cancelled; the file then stays, with the last figures and its age."""
        while True:
            self.write()
            await asyncio.sleep(self._interval_s)

    def write(self) -> None:
        """Once, now. Not synced: after a power cut the next figures are as good."""
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            content = self._text().encode("utf-8")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)  # whatever the umask: another user's program reads it
                file.write(content)
            os.replace(beside, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            if not self._failed:
                self._failed = True
                events.TEXTFILE_FAILED.emit(path=self._path, reason=error.strerror or error)
            return
        if self._failed:
            self._failed = False
            events.TEXTFILE_WORKS.emit(path=self._path)
