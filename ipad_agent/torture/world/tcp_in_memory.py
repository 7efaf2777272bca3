"""TCP in memory: connections whose bytes come late but in order, or whose ends learn that the other one is gone.

TLS above it is real on both sides; it has no clock of its own, and so may live in virtual time.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import itertools
import os
import socket
import ssl
from asyncio import sslproto
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from ipad_agent.store.memory_filesystem import PowerCut

from .process_fence import ProcessFence
from .simulated_network import WORLD, Peer, SimulatedNetwork
from .virtual_time_loop import OWNER, TortureLoop

_SYN_S: Final = 127.0
"""How long the system tries to connect where nobody answers."""
_GIVE_UP_S: Final = 30.0
"""How long sent bytes may stay unacknowledged."""
_AGAIN_S: Final = 0.5


class Tcp:
    """Implements ``virtual_time_loop.Streams``."""

    def __init__(self, loop: TortureLoop, network: SimulatedNetwork) -> None:
        self._loop = loop
        self._network = network
        self._listeners: dict[str, _Listener] = {}
        self._ports = itertools.count(50_000)
        self.stalled_until_s = 0.0

    @property
    def passes(self) -> bool:
        """Whether a segment gets through at this moment."""
        return self._network.passes and self._loop.time() >= self.stalled_until_s

    @property
    def delay_s(self) -> float:
        """How long a segment takes, with the repetitions that the weather makes necessary."""
        weather, late_s, again_s = self._network.weather, 0.0, _AGAIN_S
        while weather.loss and late_s < _GIVE_UP_S and self._network.rolls() < weather.loss:
            late_s, again_s = late_s + again_s, again_s * 2
        return weather.delay_s + late_s

    async def dial(self, remote: Peer) -> None:
        """The handshake of TCP. Raises ``OSError``."""
        if not self.passes:
            await asyncio.sleep(_SYN_S)
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        await asyncio.sleep(2 * self.delay_s)
        if remote[0] not in self._listeners:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], remote: Peer, sock: socket.socket
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        owner = OWNER.get()
        if isinstance(owner, ProcessFence) and not owner.alive:
            raise PowerCut
        listener = self._listeners.get(remote[0])
        if listener is None:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        protocol, peer = factory(), ("198.51.100.7", next(self._ports))
        device = _End(
            self, protocol, contextvars.copy_context(), owner if isinstance(owner, ProcessFence) else None, remote, sock
        )
        server = WORLD.run(listener.accept, self, peer)
        device.other, server.other = server, device
        protocol.connection_made(device)
        WORLD.run(server.protocol.connection_made, server)
        return device, protocol

    def listen(
        self, factory: Callable[[], asyncio.BaseProtocol], local: Peer, context: ssl.SSLContext | None, limits: Any
    ) -> asyncio.AbstractServer:
        listener = self._listeners[local[0]] = _Listener(self._loop, factory, context, limits)
        return cast("asyncio.AbstractServer", listener)

    def present(self, host: str, context: ssl.SSLContext) -> None:
        """From now on who listens there shows another certificate."""
        self._listeners[host].context = context

    def later(self, pause_s: float, action: Callable[[], None], context: contextvars.Context) -> None:
        """Run in a while, in the name of whom ``context`` belongs to."""
        self._loop.call_later(pause_s, action, context=context)

    def soon(self, action: Callable[[], None], context: contextvars.Context) -> None:
        """Run in the order of the calls, in the name of whom ``context`` belongs to."""
        self._loop.call_soon(action, context=context)

    def now_s(self) -> float:
        """The loop's time."""
        return self._loop.time()


class _Listener:
    """What of ``asyncio.Server`` the lab's HTTP server uses."""

    sockets = ()

    def __init__(
        self,
        loop: TortureLoop,
        factory: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
        limits: Any,
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._limits = limits
        self.context = context

    def accept(self, tcp: Tcp, peer: Peer) -> _End:
        protocol: Any = self._factory()
        if self.context is not None:
            shaken = self._loop.create_future()
            # A handshake that fails is told to the device; the server has nobody to tell.
            shaken.add_done_callback(lambda done: done.cancelled() or done.exception())
            protocol = sslproto.SSLProtocol(
                self._loop, protocol, self.context, shaken, server_side=True, **self._limits
            )
        return _End(tcp, protocol, WORLD, None, peer, None)

    def close(self) -> None:
        return None

    async def wait_closed(self) -> None:
        return None


class _End(asyncio.Transport):
    """One end of a connection. Bytes wait in ``_sent`` until they get through, in order."""

    other: _End

    def __init__(
        self,
        tcp: Tcp,
        protocol: asyncio.BaseProtocol,
        context: contextvars.Context,
        owner: ProcessFence | None,
        peer: Peer,
        sock: socket.socket | None,
    ) -> None:
        super().__init__({"peername": peer, "socket": sock})
        self._tcp = tcp
        self._context = context
        self._owner = owner
        self._sock = sock
        self._sent: deque[bytes | None] = deque()
        self._waiting_since_s: float | None = None
        self._closing = False
        self._over = False
        self.protocol = protocol

    @property
    def alive(self) -> bool:
        return self._owner is None or self._owner.alive

    def write(self, data: Any) -> None:
        if not self._closing and self.alive and data:
            self._send(bytes(data))

    def close(self) -> None:
        if not self._closing and self.alive:
            self._closing = True
            self._send(None)
            self._end(None)

    def abort(self) -> None:
        self.close()

    def _force_close(self, error: BaseException | None) -> None:
        """How ``SSLProtocol`` aborts the transport below it."""
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None

    def is_reading(self) -> bool:
        return not self._over

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    # -- on the way ------------------------------------------------------------------------------------------------

    def _send(self, data: bytes | None) -> None:
        self._sent.append(data)
        if len(self._sent) == 1:
            self._waiting_since_s = self._tcp.now_s()
            self._tcp.later(self._tcp.delay_s, self._arrive, WORLD)

    def _arrive(self) -> None:
        """The first of what was sent is at the other end, unless nothing gets through."""
        if not self._sent or self._waiting_since_s is None:
            return
        if not self._tcp.passes:
            if self._tcp.now_s() - self._waiting_since_s > _GIVE_UP_S:
                self._sent.clear()
                self._break()
                self.other._break()
            else:
                self._tcp.later(_AGAIN_S * 4, self._arrive, WORLD)
            return
        arrived = list(self._sent)
        self._sent.clear()
        self._waiting_since_s = None
        for data in arrived:
            self.other._expect(data)

    def _expect(self, data: bytes | None) -> None:
        self._tcp.soon(lambda: self._received(data), self._context)

    def _received(self, data: bytes | None) -> None:
        if self._over or not self.alive:
            return
        if data is None:
            self._hang_up()
        else:
            _feed(self.protocol, data)

    def _hang_up(self) -> None:
        keep = cast("Any", self.protocol).eof_received()
        if not keep:
            self.close()

    def _break(self) -> None:
        if not self._over and self.alive:
            self._closing = True
            self._end(OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))

    def _end(self, error: OSError | None) -> None:
        if self._over:
            return
        self._over = True
        if self._sock is not None:
            self._sock.close()
        self._tcp.soon(lambda: self._lost(error), self._context)

    def _lost(self, error: OSError | None) -> None:
        if self.alive:
            self.protocol.connection_lost(error)


def _feed(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    if not isinstance(protocol, asyncio.BufferedProtocol):
        cast("asyncio.Protocol", protocol).data_received(data)
        return
    while data:
        room = protocol.get_buffer(len(data))
        count = min(len(room), len(data))  # type: ignore[arg-type]  # a buffer has a length
        room[:count] = data[:count]  # type: ignore[index]
        protocol.buffer_updated(count)
        data = data[count:]
