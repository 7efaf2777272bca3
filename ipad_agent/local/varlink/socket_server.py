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
from ipad_agent.local.rate_limits import CallRates
from ipad_agent.records import replace

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
NO_DESCRIPTORS_S: Final = 1.0
"""After this it is tried again to take a connection when the process has no descriptor for it."""


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
        self._calls = CallRates()
        self._rights: dict[Credentials, tuple[Right, float]] = {}
        self._starting: set[asyncio.Task[object]] = set()
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
            for starting in self._starting:
                starting.cancel()
            for connection in list(self.connections):
                connection.close()
            self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, listener: socket.socket) -> None:
        """Until the file is gone or another's."""
        mine = _identity(self._path)
        accepting = asyncio.create_task(self._accept_all(listener), name="varlink connections")
        try:
            events.LISTENING.emit(path=self._path)
            while _identity(self._path) == mine and not accepting.done():  # nothing tells when a file is removed
                await asyncio.wait([accepting], timeout=LOOK_S)
            if accepting.done():
                accepting.result()
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])
            listener.close()
            if _identity(self._path) == mine:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    async def _accept_all(self, listener: socket.socket) -> None:
        """Take connections, some at a time. Not asyncio's own server: it makes everything that belongs to a connection
        before anybody can say whose it is, and whoever connects in a loop has the whole thread."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        while True:
            loop.add_reader(listener.fileno(), ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(listener.fileno())
            ready.clear()
            await asyncio.sleep(self._accept_some(listener))

    def _accept_some(self, listener: socket.socket) -> float:
        """Take what waits, up to a number; returns the pause after it."""
        for _ in range(client_limits.ACCEPTED_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return 0.0
            except OSError as trouble:
                events.NOT_ACCEPTED.emit(reason=trouble.strerror or str(trouble))
                return NO_DESCRIPTORS_S
            connection.setblocking(False)
            peer = self.identify(connection)
            refusal = self._admitted(peer)
            if refusal is not None:
                connection.close()
                events.TURNED_AWAY.emit(uid=peer.uid, reason=refusal)
                continue
            self._start(connection, peer)
        return client_limits.ACCEPT_GAP_S

    def _start(self, connection: socket.socket, peer: Credentials) -> None:
        loop = asyncio.get_running_loop()
        client = Connection(self, peer)
        task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(lambda: client, connection))

        def started(_: asyncio.Task[object]) -> None:
            self._starting.discard(task)
            trouble = None if task.cancelled() else task.exception()
            if trouble is not None:
                events.DEFECT.emit(reason=repr(trouble))
            if (trouble is not None or task.cancelled()) and client not in self.connections:
                self.admission.leave(peer.uid)
                connection.close()

        self._starting.add(task)
        task.add_done_callback(started)

    def _admitted(self, peer: Credentials) -> str | None:
        """None when this peer may come in, which is counted then; otherwise why not."""
        trusted = self.authority.trusted(peer)
        if not trusted and not self._may_connect(peer):
            return "there are too many in a short time"
        return self.admission.enter(peer.uid, trusted=trusted)

    def _may_connect(self, peer: Credentials) -> bool:
        """A connection is a call too. Of whom nothing is known yet is not counted: the look into the user database
        comes first, once in a while for each user."""
        known = self._known_right(peer)
        if known is None:
            return True
        now_s = asyncio.get_running_loop().time()
        return self._calls.take(peer.uid, now_s, stranger=known is Right.NONE)

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
        known = self._known_right(peer)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        holds_s = client_limits.RIGHT_HOLDS_S
        try:
            async with asyncio.timeout(client_limits.LOOKUP_S):
                found = await loop.run_in_executor(self._lookups, self.authority.right_of, peer)
        except (TimeoutError, OSError):
            found, holds_s = Right.NONE, client_limits.LOOKUP_S
        peer = replace(peer, pid=0)
        self._rights.pop(peer, None)
        while len(self._rights) >= client_limits.RIGHTS_KEPT:
            del self._rights[next(iter(self._rights))]  # the oldest
        self._rights[peer] = found, loop.time() + holds_s
        return found

    def _known_right(self, peer: Credentials) -> Right | None:
        """As it was looked up a short time ago; the process makes no difference."""
        right, until_s = self._rights.get(replace(peer, pid=0), (None, 0.0))
        return right if asyncio.get_running_loop().time() < until_s else None

    def turn_s(self, peer: Credentials, right: Right) -> float:
        """Count a call; returns how long it has to wait for its turn."""
        if self.authority.trusted(peer):
            return 0.0
        now_s = asyncio.get_running_loop().time()
        wait_s = self._calls.wait_s(peer.uid, now_s, stranger=right is Right.NONE)
        if wait_s > 0 and self.may_complain(peer.uid):
            events.SLOWED.emit(uid=peer.uid, pid=peer.pid)
        return wait_s

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
