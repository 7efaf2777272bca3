"""The socket file and those who come through it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ipad_agent.local.local_verbs import Service

from . import client_limits, events, varlink_interface
from .client_connection import Connection
from .client_limits import Admission, Bucket
from .method_calls import Methods
from .peer_credentials import Authority, Credentials, Right

MODE: Final = 0o666
"""Everybody may connect; who may do what is decided by who it is."""
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 300.0
LOOK_S: Final = 60.0
"""How often it is looked whether the file is still there."""
BACKLOG: Final = 64


class Server:
    """The Varlink service of one agent. ``run`` is a task that ends only when it is cancelled."""

    def __init__(
        self,
        service: Service,
        path: Path,
        authority: Authority,
        *,
        version: str,
        max_clients: int = client_limits.MAX_CLIENTS,
        identify: Callable[[socket.socket], Credentials] = Credentials.of,
    ) -> None:
        self.methods = Methods(service)
        self.authority = authority
        self.admission = Admission(max_clients)
        self.connections: set[Connection] = set()
        self.identify = identify
        self._path = path
        self._version = version
        self._buckets: dict[int, Bucket] = {}
        self._complained_s: dict[int, float] = {}
        # A machine whose user database hangs must not take the threads that the agent resolves names with.
        self._lookups = ThreadPoolExecutor(max_workers=1, thread_name_prefix="varlink-users")
        self._lookup: asyncio.Future[Right] | None = None

    async def run(self) -> None:
        """Answer local programs for ever. Trouble with the file leads to a pause and another attempt."""
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    listener = _open(self._path)
                except OSError as trouble:
                    reason = trouble.strerror or str(trouble)
                    events.NO_SOCKET.emit(path=self._path, reason=reason, wait_s=pause_s)
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                    continue
                pause_s = FIRST_PAUSE_S
                await self._serve(listener)
        finally:
            for connection in list(self.connections):
                connection.close()
            self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, listener: socket.socket) -> None:
        """Until the file is gone or another's."""
        mine = _identity(self._path)
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Connection(self), sock=listener, backlog=BACKLOG
        )
        try:
            events.LISTENING.emit(path=self._path)
            while _identity(self._path) == mine:  # noqa: ASYNC110 - nothing tells when a file is removed
                await asyncio.sleep(LOOK_S)
        finally:
            server.close()
            if _identity(self._path) == mine:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    # -- for the connections -----------------------------------------------------------------------------------------

    def info(self) -> Mapping[str, object]:
        """The answer of ``org.varlink.service.GetInfo``."""
        return {
            "vendor": "ipad-agent",
            "product": "ipad-agent",
            "version": self._version,
            "url": "",
            "interfaces": [varlink_interface.SERVICE, varlink_interface.NAME],
        }

    async def right_of(self, peer: Credentials) -> Right:
        """What this peer may do; nothing when that cannot be told in time."""
        if self.authority.trusted(peer):
            return Right.CONTROL
        try:
            async with asyncio.timeout(client_limits.LOOKUP_S):
                return await asyncio.get_running_loop().run_in_executor(self._lookups, self.authority.right_of, peer)
        except (TimeoutError, OSError):
            return Right.NONE

    def may_work(self, uid: int) -> bool:
        """Whether this user may have the agent do one thing more now."""
        now_s = asyncio.get_running_loop().time()
        self._buckets = {known: bucket for known, bucket in self._buckets.items() if not bucket.full(now_s)}
        return self._buckets.setdefault(uid, Bucket(now_s)).take(now_s)

    def may_complain(self, uid: int) -> bool:
        """Whether it may be put into the log now that this user was refused: whoever may do nothing here must not fill
        the log either."""
        now_s = asyncio.get_running_loop().time()
        recent = {known: at_s for known, at_s in self._complained_s.items() if now_s - at_s < client_limits.COMPLAIN_S}
        self._complained_s = recent
        if uid in recent or len(recent) >= client_limits.COMPLAINTS:
            return False
        recent[uid] = now_s
        return True


def _open(path: Path) -> socket.socket:
    """A listening socket at ``path``. Raises ``OSError``, also when another program answers there."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.bind(os.fspath(path))
        path.chmod(MODE)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens at any more, and nothing else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(None, "there is something else than a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its queue is full, so there is somebody
            pass
    raise FileExistsError(None, "another program answers there")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
