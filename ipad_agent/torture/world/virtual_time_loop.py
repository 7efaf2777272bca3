"""An event loop whose clock jumps to the next timer, that can strike between any two steps, and that knows whose
timers are whose."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SHORTEST_S = 1e-6
"""Less than this would be lost in the sum, and time would stand still."""

OWNER: contextvars.ContextVar[object | None] = contextvars.ContextVar("owner", default=None)
"""The process in whose name code runs; None is the world. Tasks, timers and callbacks inherit it."""


class EverythingWaits(BaseException):
    """Nothing is to be done and no timer runs: this world would stand still for ever."""


class Sockets(Protocol):
    """Where datagram endpoints come from."""

    def connect(
        self, factory: Callable[[], asyncio.DatagramProtocol], remote: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """A socket of the device, connected to ``remote``."""

    def bind(
        self, factory: Callable[[], asyncio.DatagramProtocol], local: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """A socket of a server."""


class Streams(Protocol):
    """Where TCP connections come from."""

    async def dial(self, remote: tuple[str, int]) -> None:
        """Come through to ``remote``; raises ``OSError``."""

    def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], remote: tuple[str, int], sock: socket.socket
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """A connection of the device. ``sock`` is what the device takes for its socket; it is closed at the end."""

    def listen(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        local: tuple[str, int],
        context: ssl.SSLContext | None,
        limits: Any,
    ) -> asyncio.AbstractServer:
        """A server, with TLS if there is a ``context``."""


class _JumpingSelector(selectors.BaseSelector):
    """Never waits: a time-out is taken as having passed. It watches no descriptors, for there are none here."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.before: Callable[[], bool] = lambda: False
        self.idle: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.before() or timeout == 0:
            return []
        if timeout is None:
            raise EverythingWaits
        self.idle()
        self.now_s += max(timeout, _SHORTEST_S)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class TortureLoop(asyncio.SelectorEventLoop):
    """``now_s`` is what ``time`` starts with.

    ``strike`` runs an action after so many steps of the loop: as a task gives way only at an ``await``, every await of
    the program is such a step. ``on_idle`` is called before the clock jumps. ``sockets`` takes the place of UDP.
    """

    def __init__(self, now_s: float = 1000.0) -> None:
        self._jumping = _JumpingSelector(now_s)
        super().__init__(self._jumping)
        self._jumping.before = self._step
        self._strikes: list[tuple[int, Callable[[], None]]] = []
        self._timers: list[asyncio.TimerHandle] = []
        self.steps = 0
        self.sockets: Sockets | None = None
        self.streams: Streams | None = None
        self._dialled: dict[int, tuple[str, int]] = {}

    def time(self) -> float:
        return self._jumping.now_s

    def set_idle(self, on_idle: Callable[[], None]) -> None:
        """Call this whenever nothing is left to do at the present moment."""
        self._jumping.idle = on_idle

    def strike(self, after_steps: int, action: Callable[[], None]) -> None:
        """Run ``action`` between two steps, this many from now; all strikes still to come are dropped by ``spare``."""
        self._strikes.append((self.steps + max(1, after_steps), action))

    def spare(self) -> None:
        """Forget every strike that has not come yet."""
        self._strikes.clear()

    def _step(self) -> bool:
        self.steps += 1
        if not self._strikes:
            return False
        due = [strike for strike in self._strikes if strike[0] <= self.steps]
        if not due:
            return False
        self._strikes = [strike for strike in self._strikes if strike[0] > self.steps]
        for _, action in due:
            action()
        return True

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        if (OWNER.get() if context is None else context.get(OWNER)) is not None:
            self._timers.append(handle)
        return handle

    def owned_timers(self) -> int:
        """How many timers of a process (not of the world) are still to come."""
        now_s = self.time()
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > now_s]
        return len(self._timers)

    async def create_datagram_endpoint(  # type: ignore[override]  # the few arguments that are used here
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
        **_: object,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        if self.sockets is None:
            raise OSError("there is no network here")
        if remote_addr is not None:
            return self.sockets.connect(protocol_factory, remote_addr)
        return self.sockets.bind(protocol_factory, local_addr or ("", 0))

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if self.streams is None:
            raise OSError("there is no network here")
        await self.streams.dial(address)
        self._dialled[sock.fileno()] = address

    async def create_connection(  # type: ignore[override]  # the few arguments that are used here
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        sock: socket.socket,
        **_: object,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        if self.streams is None:
            raise OSError("there is no network here")
        return self.streams.connect(protocol_factory, self._dialled.pop(sock.fileno()), sock)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None = None,
        **limits: object,
    ) -> asyncio.AbstractServer:
        if self.streams is None:
            raise OSError("there is no network here")
        return self.streams.listen(protocol_factory, (host, port), ssl, limits)


def run(log: Callable[[TortureLoop], Coroutine[Any, Any, T]], *, now_s: float = 1000.0) -> T:
    """Run one story on a loop of its own."""
    loop = TortureLoop(now_s)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(log(loop))
    finally:
        _end(loop)


def _end(loop: TortureLoop) -> None:
    loop.spare()
    loop.set_idle(lambda: None)
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
