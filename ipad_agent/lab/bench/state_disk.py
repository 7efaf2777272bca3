"""The disk of a device: a tmpfs over the agent's state directory, in a mount namespace that the agent shares.

Only in there it can be made full, remounted read-only or emptied, as disks in the field are; the machine around it sees
nothing of it. Needs the right to make a mount namespace: root, or a kernel that gives users one of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from ipad_agent.lab.errors import BenchError

__all__ = ["StateDisk"]

SIZE_BYTES: Final = 256 << 10
BUSY_S: Final = 5.0
"""A disk that is being written to at this moment cannot be remounted."""
_FILLER: Final = "somebody-else"


class StateDisk:
    """To be entered before the agent starts; ``command`` puts a program on this device. ``BenchError`` with the words
    of the system when it refuses a namespace or a mount."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> StateDisk:
        self._folder.mkdir(parents=True, exist_ok=True)
        mount = 'mount -t tmpfs -o "size=$1,mode=700" none "$0" && echo mounted && exec sleep infinity'
        self._holder = await asyncio.create_subprocess_exec(
            *("unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", mount, str(self._folder), str(SIZE_BYTES)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if await self._holder.stdout.readline() != b"mounted\n":
            _, said = await self._holder.communicate()
            raise BenchError(f"this machine gives no mount namespace with a tmpfs: {said.decode().strip()}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._holder is not None:
            with contextlib.suppress(ProcessLookupError):
                self._holder.kill()
            await self._holder.wait()

    @property
    def path(self) -> Path:
        """The state directory as the agent sees it, for whoever is outside."""
        return Path(f"/proc/{self._pid}/root{self._folder}")

    def command(self, *words: str) -> list[str]:
        """This program on the device."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", str(self._pid), *user, "-m", f"--wd={os.getcwd()}", *words]

    def fill(self) -> None:
        """Not one more block for anybody."""
        with contextlib.suppress(OSError), (self.path / _FILLER).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def make_room(self) -> None:
        """What filled it is gone."""
        (self.path / _FILLER).unlink()

    def empty(self) -> None:
        """All files are removed."""
        for path in self.path.iterdir():
            path.unlink()

    async def remount(self, *options: str) -> None:
        """``remount("ro")`` or ``remount("rw")``."""
        command = self.command("mount", "-o", ",".join(["remount", f"size={SIZE_BYTES}", *options]), str(self._folder))
        until_s = asyncio.get_running_loop().time() + BUSY_S
        while (said := await _run(command)) is not None:
            if asyncio.get_running_loop().time() > until_s:
                raise BenchError(f"the disk cannot be remounted {', '.join(options)}: {said}")
            await asyncio.sleep(0.05)

    @property
    def _pid(self) -> int:
        if self._holder is None:
            raise BenchError("the disk is not there yet")
        return self._holder.pid


async def _run(command: Sequence[str]) -> str | None:
    """What a program said that failed; None when it did not."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return None if process.returncode == 0 else said.decode().strip()
