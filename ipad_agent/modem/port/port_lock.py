"""Who may use a serial port: a lock of our own, the UUCP lock of older programs, and a look at who holds it.

Three locks, because each covers another neighbour. What really keeps two programs apart is the ``flock`` on the device
itself, which pyserial takes when it opens the port: it needs no folder, and only who may open the port can take it. Our
own lock file is in our runtime folder, where nobody else can put one in the way. The UUCP lock is a courtesy in a
folder that everybody may write to, so it is judged before it is heeded.

``TIOCEXCL`` does not bind root, so an exclusive open alone is not enough on a machine where ModemManager runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipad_agent.modem import events
from ipad_agent.modem.errors import PortBusy

DEFAULT_LOCK_FOLDER: Final = Path("/run/lock")
PROC: Final = Path("/proc")
FIRST_PID_NAMESPACE: Final = "pid:[4026531836]"
"""Of the machine itself (PROC_PID_INIT_INO, linux/proc_ns.h). In another one the numbers mean other processes."""
_LARGEST_PID: Final = 1 << 31
_UUCP_BYTES: Final = 64
_PTY_MAJORS: Final = range(136, 144)


class PortLock:
    """Held while the port is open; the kernel drops it when the process dies.

    ``device`` is the resolved device node, so that two names of one port are one lock. ``folder`` is that of the UUCP
    locks; ``own_folder`` that of our own, the same one when None. ``proc`` is where processes are seen, as far as they
    are: an agent under ``ProtectProc=invisible`` sees its own only.
    """

    def __init__(
        self,
        device: Path,
        folder: Path = DEFAULT_LOCK_FOLDER,
        own_folder: Path | None = None,
        *,
        proc: Path = PROC,
    ) -> None:
        name = "_".join(device.parts[2:]) or device.name  # /dev/pts/3 is pts_3, /dev/ttyUSB2 is ttyUSB2
        self._device = device
        self._own = (folder if own_folder is None else own_folder) / f"ipad-agent.{name}.lock"
        self._uucp = folder / f"LCK..{name}"
        self._proc = proc
        self._fd: int | None = None
        self._uucp_written: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Take the locks; raises ``PortBusy`` with the holder's name when another program has one of them."""
        self._fd = self._open_own()
        try:
            former = None if self._fd is None else self._take_own(self._fd)
            self._heed_uucp_lock(former)
        except PortBusy:
            self._close_own()
            raise
        self._write_uucp_lock()

    def release(self) -> None:
        """Give the locks back. Our own file stays: removing a locked file would let two processes lock two files."""
        if self._uucp_written is not None:
            _remove(self._uucp, self._uucp_written)
            self._uucp_written = None
        self._close_own()

    # -- our own -----------------------------------------------------------------------------------------------------

    def _open_own(self) -> int | None:
        """The descriptor of our lock file; None where there can be none, which is said and no reason to give up."""
        with contextlib.suppress(OSError):  # what is wrong shows in the next step
            self._own.parent.mkdir(mode=0o755, exist_ok=True)
        try:
            fd = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o660)
        except OSError as error:
            events.OWN_LOCK_MISSING.emit(path=self._own, reason=error.strerror)
            return None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid(), self._own.parent.stat().st_uid):
            os.close(fd)
            events.OWN_LOCK_MISSING.emit(path=self._own, reason=f"it is a file of user {found.st_uid}")
            return None
        if os.geteuid() == 0:  # a look by root must not leave behind what the agent's own user cannot open
            folder = self._own.parent.stat()
            with contextlib.suppress(OSError):
                os.fchown(fd, folder.st_uid, folder.st_gid)
        return fd

    def _take_own(self, fd: int) -> int | None:
        """Lock it; returns which process had it before, None when that is not told. Raises ``PortBusy``."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PortBusy(f"{self._device} is used by another ipad-agent{_shown(holders(self._device))}") from None
        former = None
        with contextlib.suppress(OSError):
            former = _pid_in(os.read(fd, _UUCP_BYTES))
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%10d\n" % os.getpid(), 0)
        return former

    def _close_own(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # -- that of older programs --------------------------------------------------------------------------------------

    def _heed_uucp_lock(self, former: int | None) -> None:
        """Raises ``PortBusy`` for a lock whose holder may be alive. ``former`` is the process that had our own lock
        before us: it is dead, whoever has its number now.

        Everybody may put a file there. It counts only as a lock of somebody who could use the port; another's lock is
        removed only when its holder is proven dead, and not being seen is no proof.
        """
        try:
            fd = os.open(self._uucp, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            self._heed_unreadable(error)
            return
        try:
            found = os.fstat(fd)
            content = os.read(fd, _UUCP_BYTES) if stat.S_ISREG(found.st_mode) else b""
        finally:
            os.close(fd)
        if not self._heeded(found):
            return
        pid = _pid_in(content)
        if pid is None:
            return  # it names nobody
        ours = found.st_uid == os.geteuid() and pid == former
        if pid != os.getpid() and not ours and not proven_dead(pid, self._proc):
            raise PortBusy(
                f"{self._device} is locked by process {pid} ({_command_name(pid, self._proc)}), file {self._uucp}"
            )
        if _remove(self._uucp, (found.st_dev, found.st_ino)) and pid != os.getpid():
            events.STALE_LOCK_REMOVED.emit(path=self._uucp, pid=pid)

    def _heed_unreadable(self, error: OSError) -> None:
        """A lock that tells us nothing is held, unless it is nothing that a lock could be."""
        try:
            found = self._uucp.lstat()
        except OSError:
            return
        if self._heeded(found):
            raise PortBusy(
                f"{self._device} is locked by a process that cannot be told: {self._uucp}: {error.strerror}"
            ) from None

    def _heeded(self, found: os.stat_result) -> bool:
        if not stat.S_ISREG(found.st_mode):
            reason = "it is no file"
        elif not _may_open(found.st_uid, self._device):
            reason = "that user may not open the port"
        else:
            return True
        events.LOCK_NOT_HEEDED.emit(path=self._uucp, uid=found.st_uid, reason=reason)
        return False

    def _write_uucp_lock(self) -> None:
        try:
            fd = os.open(self._uucp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            events.LOCK_BESIDE.emit(path=self._uucp, reason=error.strerror)
            return
        with os.fdopen(fd, "wb") as file:
            found = os.fstat(fd)
            self._uucp_written = found.st_dev, found.st_ino
            try:
                os.fchmod(fd, 0o644)  # whatever our umask is: those who are to heed it must be able to read it
                file.write(b"%10d\n" % os.getpid())
                file.flush()
            except OSError as error:
                events.LOCK_BESIDE.emit(path=self._uucp, reason=error.strerror)


def proven_dead(pid: int, proc: Path = PROC) -> bool:
    """Whether there is certainly no such process.

    The kernel is asked by signal 0 and not by ``/proc``, which may hide the processes of others. In a container the
    number may be one of the machine outside, of which nothing can be known.
    """
    if not 0 < pid < _LARGEST_PID:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return _on_the_machine_itself(proc)
    except OSError:
        return False  # it is there, and another user's
    return False


def _on_the_machine_itself(proc: Path) -> bool:
    try:
        return os.readlink(proc / "self" / "ns" / "pid") == FIRST_PID_NAMESPACE
    except OSError:
        return False


def holders(device: Path) -> tuple[tuple[int, str], ...]:
    """The other processes that have the device open, as far as this user may see: (pid, name). None found does not
    mean that there are none, unless ``sees_every_process``."""
    try:
        return tuple(_holders(os.stat(device)))
    except OSError:
        return ()  # it is not there, so nobody has it open under this name


def plays_modem(pid: int, device: Path | None, proc: Path = PROC) -> bool:
    """Whether this process has the other end of a pseudo-terminal, so that it is what answers there."""
    number = None if device is None else _pty_number(device)
    if number is None:
        return False
    with contextlib.suppress(OSError):
        for descriptor in (proc / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor).endswith("/ptmx"):
                    told = (proc / str(pid) / "fdinfo" / descriptor.name).read_text(encoding="ascii")
                    if f"tty-index:\t{number}" in told.splitlines():
                        return True
    return False


def _pty_number(device: Path) -> int | None:
    """Which pseudo-terminal this is, whatever it is called here; None for any other device."""
    try:
        found = os.stat(device)
    except OSError:
        return None
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) not in _PTY_MAJORS:
        return None
    return 256 * (os.major(found.st_rdev) - _PTY_MAJORS[0]) + os.minor(found.st_rdev)


def sees_every_process(proc: Path = PROC) -> bool:
    """Whether ``holders`` finds whoever there is: what other users have open is shown to a privileged process only,
    and under ``ProtectProc=invisible`` not even that they are there."""
    if not (proc / "1").exists():
        return False
    for process in proc.iterdir():
        if process.name.isdigit():
            try:
                os.listdir(process / "fd")
            except PermissionError:
                return False
            except OSError:
                continue  # it ended meanwhile
    return True


def _is_open_on(descriptor: Path, device: os.stat_result) -> bool:
    with contextlib.suppress(OSError):  # it was closed meanwhile
        # Nothing but devices is looked at closer: a file of a dead server would never be told of.
        return os.readlink(descriptor).startswith("/dev/") and is_same_device(os.stat(descriptor), device)
    return False


def is_same_device(one: os.stat_result, other: os.stat_result) -> bool:
    """By number and not by name: a container has names of its own for this machine's ports, and pseudo-terminals of its
    own with the numbers of this machine's."""
    if not (stat.S_ISCHR(one.st_mode) and stat.S_ISCHR(other.st_mode)) or one.st_rdev != other.st_rdev:
        return False
    return os.major(one.st_rdev) not in _PTY_MAJORS or one.st_dev == other.st_dev


def _holders(device: os.stat_result) -> Iterator[tuple[int, str]]:
    for process in PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(_is_open_on(descriptor, device) for descriptor in (process / "fd").iterdir()):
                yield int(process.name), _command_name(int(process.name), PROC)


def _shown(found: tuple[tuple[int, str], ...]) -> str:
    return ": " + ", ".join(f"{name} (process {pid})" for pid, name in found) if found else ""


def _pid_in(content: bytes) -> int | None:
    """The process in a UUCP lock file, written as text (HDB) or as a binary int; None when it names nobody."""
    if content.strip().isdigit():
        return int(content.strip())
    return int.from_bytes(content[:4], "little") if len(content) == 4 else None


def _may_open(uid: int, device: Path) -> bool:
    """Whether a process of this user can have the port open, by owner, mode and group; when an access list says more
    than these, it may be so."""
    try:
        node = device.stat()
        listed = os.listxattr(device)
    except OSError:
        return True
    if uid in (0, os.geteuid(), node.st_uid) or node.st_mode & 0o006 == 0o006:
        return True
    if "system.posix_acl_access" in listed:
        return True
    if node.st_mode & 0o060 != 0o060:
        return False
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return node.st_gid in os.getgrouplist(user.pw_name, user.pw_gid)


def _remove(path: Path, identity: tuple[int, int]) -> bool:
    """Remove this file, and not one that somebody put in its place; False when that did not happen."""
    try:
        found = path.lstat()
        if (found.st_dev, found.st_ino) != identity:
            return False
        path.unlink()
    except OSError:
        return False
    return True


def _command_name(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "its name cannot be seen"
