"""Who may use a serial port: our own lock, the UUCP lock of older programs, and a look at who holds it.

``TIOCEXCL`` does not bind root, so an exclusive open alone is not enough on a machine where ModemManager runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipad_agent.modem import events
from ipad_agent.modem.errors import PortBusy, PortUnavailable

DEFAULT_LOCK_FOLDER: Final = Path("/run/lock")


class PortLock:
    """Held while the port is open; the kernel drops it when the process dies.

    ``device`` is the resolved device node, so that two names of one port are one lock.
    """

    def __init__(self, device: Path, folder: Path = DEFAULT_LOCK_FOLDER) -> None:
        name = "_".join(device.parts[2:]) or device.name  # /dev/pts/3 is pts_3, /dev/ttyUSB2 is ttyUSB2
        self._device = device
        self._own = folder / f"ipad-agent.{name}.lock"
        self._uucp = folder / f"LCK..{name}"
        self._fd: int | None = None
        self._uucp_written = False

    def acquire(self) -> None:
        """Take both locks; raises ``PortBusy`` with the holder's name, or ``PortUnavailable``."""
        self._refuse_foreign_uucp_lock()
        try:
            fd = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
        except OSError as error:
            raise PortUnavailable(f"the lock file {self._own} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise PortBusy(f"{self._device} is used by another ipad-agent{_shown(holders(self._device))}") from None
        self._fd = fd
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.write(fd, b"%10d\n" % os.getpid())
        self._write_uucp_lock()

    def release(self) -> None:
        """Give the locks back. Our own file stays: removing a locked file would let two processes lock two files."""
        if self._uucp_written:
            self._uucp_written = False
            with contextlib.suppress(OSError):
                self._uucp.unlink()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _refuse_foreign_uucp_lock(self) -> None:
        pid = _uucp_pid(self._uucp)
        if pid is None or pid == os.getpid():
            return
        if _alive(pid):
            raise PortBusy(f"{self._device} is locked by process {pid} ({_command_name(pid)}), file {self._uucp}")
        with contextlib.suppress(OSError):
            self._uucp.unlink()

    def _write_uucp_lock(self) -> None:
        try:
            fd = os.open(self._uucp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            events.LOCK_BESIDE.emit(path=self._uucp, reason=error.strerror)
            return
        with os.fdopen(fd, "wb") as file:
            file.write(b"%10d\n" % os.getpid())
        self._uucp_written = True


def holders(device: Path) -> tuple[tuple[int, str], ...]:
    """The other processes that have the device open, as far as this user may see: (pid, name)."""
    return tuple(_holders(os.path.realpath(device)))


def _holders(device: str) -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(os.readlink(descriptor) == device for descriptor in (process / "fd").iterdir()):
                yield int(process.name), _command_name(int(process.name))


def _shown(found: tuple[tuple[int, str], ...]) -> str:
    return ": " + ", ".join(f"{name} (process {pid})" for pid, name in found) if found else ""


def _uucp_pid(path: Path) -> int | None:
    """The process in a UUCP lock file, written as text (HDB) or as a binary int."""
    try:
        content = path.read_bytes()[:64]
    except OSError:
        return None
    if content.strip().isdigit():
        return int(content.strip())
    return int.from_bytes(content[:4], "little") if len(content) == 4 else None


def _alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()


def _command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "unknown"
