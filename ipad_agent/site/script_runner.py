"""Running what an administrator put into a folder: in order of names, without a shell, each with a deadline.

A script's processes end with it: whatever is left of its process group is killed when its first process has ended,
so that nothing piles up on a device that nobody looks at. What has to go on is for the service manager.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ipad_agent.printable import printable
from ipad_agent.records import dataclass

from . import events

_KEPT_BYTES: Final = 4096
_LONGEST_REASON: Final = 200
_END_S: Final = 5.0
"""How long a killed process may take to be gone."""
_OUTPUT_S: Final = 0.2
"""How long output may still arrive when everything that could write it has ended."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Editors and package managers leave copies beside a file; run-parts does not run them either.
_LEFTOVER: Final = re.compile(r"\..*|.*~|.*\.(bak|orig|disabled|swp|dpkg-[a-z]+|rpm(new|save|orig)|ucf-[a-z]+)")

_said: Final[set[tuple[str, str]]] = set()


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended. ``status`` is the exit status (negative: the signal), None when it could not be started or
    did not end in time; ``last_line`` is the last line of its output, printable and short, or what went wrong."""

    name: str
    status: int | None
    last_line: str
    started: bool = True

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def reason(self) -> str:
        """Why it counts as failed, in words."""
        if self.last_line:
            return self.last_line
        if self.status is not None and self.status < 0:
            return f"ended by signal {-self.status}"
        return f"ended with status {self.status}"


def executables(folder: Path) -> tuple[Path, ...]:
    """What would be run of this folder, in order of names; none when the folder is not there.

    Files that may have come from somebody else are left out with a warning.
    """
    try:
        if not _trusted(folder, folder.stat()):
            return ()
        found = sorted(path for path in folder.iterdir() if not _LEFTOVER.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        _refuse(folder, error.strerror or str(error))
        return ()
    return tuple(path for path in found if acceptable(path, among=True))


def acceptable(path: Path, *, among: bool = False) -> bool:
    """Whether this is a program that belongs to root or to the agent and is not writable by everybody; a warning tells
    what it lacks. A folder ``among`` scripts is passed over in silence."""
    try:
        found = path.stat()
    except OSError as error:
        return _refuse(path, error.strerror or str(error))
    if among and stat.S_ISDIR(found.st_mode):
        return False
    if not stat.S_ISREG(found.st_mode):
        return _refuse(path, "it is no file")
    if not _trusted(path, found):
        return False
    return os.access(path, os.X_OK) or _refuse(path, "it is not executable")


def _trusted(path: Path, found: os.stat_result) -> bool:
    if found.st_uid not in (0, os.geteuid()):
        return _refuse(path, f"it belongs to user {found.st_uid}")
    return not found.st_mode & stat.S_IWOTH or _refuse(path, "everybody may write to it")


async def run(path: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout_s: float) -> Ran:
    """Run one program with this environment and nothing else but PATH and LANG; never raises ``OSError``."""
    try:
        reading, writing = os.pipe()
    except OSError as error:
        return _not_started(path, error)
    output = _Output()
    transport: asyncio.ReadTransport | None = None
    try:
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reading, "rb"))
            process = await asyncio.create_subprocess_exec(
                path,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                cwd="/",
                env={"PATH": _PATH, "LANG": "C.UTF-8"} | {name: _clean(value) for name, value in environment.items()},
                start_new_session=True,
            )
        except OSError as error:
            return _not_started(path, error)
        finally:
            os.close(writing)
        status = await _status(process, path.name, timeout_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(output.ended.wait(), _OUTPUT_S)
        return Ran(path.name, status, f"did not answer in {timeout_s:g} s" if status is None else output.last_line())
    finally:
        if transport is not None:
            transport.close()


def _not_started(path: Path, error: OSError) -> Ran:
    return Ran(path.name, None, f"cannot be started: {error.strerror or error}", started=False)


async def _status(process: asyncio.subprocess.Process, name: str, timeout_s: float) -> int | None:
    """The exit status, None at the deadline; nothing of the script is left afterwards, however this ends."""
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        await _end(process, name)


async def _end(process: asyncio.subprocess.Process, name: str) -> None:
    """Kill what is left of the script. Not those of its children that made themselves a session of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        await asyncio.wait_for(process.wait(), _END_S)
    except TimeoutError:
        events.SCRIPT_STUCK.emit(name=name)


class _Output(asyncio.Protocol):
    """The end of what a script says; the rest is thrown away as it comes, so that nobody waits for a full pipe."""

    def __init__(self) -> None:
        self._kept = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._kept = (self._kept + data)[-_KEPT_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def last_line(self) -> str:
        lines = [line.strip() for line in self._kept.decode("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        return printable(last[:_LONGEST_REASON], mark="?")


def forget_refusals() -> None:
    """Let what was refused be said again."""
    _said.clear()


def _refuse(path: Path, reason: str) -> bool:
    if (str(path), reason) not in _said:
        _said.add((str(path), reason))
        events.SCRIPT_REFUSED.emit(path=str(path), reason=reason)
    return False


def _clean(value: str) -> str:
    return printable(value.replace("\0", ""))
