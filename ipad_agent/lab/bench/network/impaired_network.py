"""A bad network between a device and its eIM: loss, duplicates, reordering, delay, blackout, NAT rebinding.

``ImpairedLink`` is the arithmetic (no I/O, time from outside, one seed, one outcome); ``UdpProxy`` puts it between
two UDP peers on the loopback interface. Directions: ``up`` is towards the server, ``down`` back to the client.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

__all__ = ["Counters", "Datagram", "Direction", "ImpairedLink", "Impairments", "UdpProxy"]

LOG = logging.getLogger("ipad_agent.lab")

Direction = Literal["up", "down"]
Fate = Literal["delivered", "lost", "blackout", "filtered", "duplicated"]
Address = tuple[str, int]

_MAX_CLIENTS = 256
_MAX_WAITING = 64  # datagrams of one client while its socket is being opened
_MAX_IN_FLIGHT = 10_000


@dataclass(frozen=True, slots=True)
class Impairments:
    """How bad one direction is. Probabilities are 0 to 1, times are seconds.

    A reordered datagram is held back for ``reorder_s``, so that later ones overtake it.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder_s: float = 0.05


@dataclass(slots=True)
class Counters:
    """What one direction has seen; ``offered`` counts what came in, ``delivered`` what went out."""

    offered: int = 0
    offered_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram seen by the tap, when it came in."""

    t_s: float
    direction: Direction
    data: bytes
    fate: Fate


@dataclass(order=True, slots=True)
class _InFlight:
    due_s: float
    order: int
    direction: Direction = field(compare=False)
    data: bytes = field(compare=False)
    peer: object = field(compare=False)


class ImpairedLink:
    """Both directions of a bad link.

    Each datagram costs its direction the same five random draws whatever the probabilities are, so that a change to
    one of them does not shuffle the others. ``drop_if(direction, index, data)`` may throw away chosen datagrams;
    ``index`` counts from 0 per direction. ``blackout`` loses everything. ``tap`` keeps the last ``tap_size``
    datagrams and ``observer`` is told of each one.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        up: Impairments | None = None,
        down: Impairments | None = None,
        tap_size: int = 0,
    ) -> None:
        self.impairments: dict[Direction, Impairments] = {"up": up or Impairments(), "down": down or Impairments()}
        self.counters: dict[Direction, Counters] = {"up": Counters(), "down": Counters()}
        self.blackout = False
        self.drop_if: Callable[[Direction, int, bytes], bool] | None = None
        self.observer: Callable[[Datagram], None] | None = None
        self.tap: deque[Datagram] = deque(maxlen=tap_size)
        self._random: dict[Direction, random.Random] = {
            "up": random.Random(f"{seed}-up"),
            "down": random.Random(f"{seed}-down"),
        }
        self._in_flight: list[_InFlight] = []
        self._order = 0

    def offer(self, direction: Direction, data: bytes, now_s: float, peer: object = None) -> Fate:
        """Put a datagram on the link; ``due`` gives it back when its time has come. ``peer`` travels with it."""
        counters, how = self.counters[direction], self.impairments[direction]
        index = counters.offered
        counters.offered += 1
        counters.offered_bytes += len(data)
        draw = self._random[direction].random
        loss, duplicate, reorder, jitter, second_jitter = draw(), draw(), draw(), draw(), draw()
        fate: Fate = "delivered"
        if self.blackout:
            fate = "blackout"
        elif self.drop_if is not None and self.drop_if(direction, index, data):
            fate = "filtered"
        elif loss < how.loss or len(self._in_flight) >= _MAX_IN_FLIGHT:
            fate = "lost"
        if fate != "delivered":
            counters.lost += 1
        else:
            delay_s = how.delay_s + jitter * how.jitter_s
            if reorder < how.reorder:
                counters.reordered += 1
                delay_s += how.reorder_s
            self._fly(direction, data, now_s + delay_s, peer)
            if duplicate < how.duplicate:
                fate = "duplicated"
                counters.duplicated += 1
                self._fly(direction, data, now_s + how.delay_s + second_jitter * how.jitter_s, peer)
        if self.tap.maxlen or self.observer is not None:
            seen = Datagram(now_s, direction, data, fate)
            self.tap.append(seen)
            if self.observer is not None:
                self.observer(seen)
        return fate

    def due(self, now_s: float) -> list[tuple[Direction, bytes, object]]:
        """What arrives up to ``now_s``, in the order of arrival."""
        arrived: list[tuple[Direction, bytes, object]] = []
        while self._in_flight and self._in_flight[0].due_s <= now_s:
            flying = heapq.heappop(self._in_flight)
            counters = self.counters[flying.direction]
            counters.delivered += 1
            counters.delivered_bytes += len(flying.data)
            arrived.append((flying.direction, flying.data, flying.peer))
        return arrived

    @property
    def next_due_s(self) -> float | None:
        """When the next datagram arrives."""
        return self._in_flight[0].due_s if self._in_flight else None

    def _fly(self, direction: Direction, data: bytes, due_s: float, peer: object) -> None:
        self._order += 1
        heapq.heappush(self._in_flight, _InFlight(due_s, self._order, direction, data, peer))


class _Upstream(asyncio.DatagramProtocol):
    """The proxy's own socket towards the server, one per client: the outside of a NAT binding."""

    def __init__(self, proxy: UdpProxy, client: Address) -> None:
        self._proxy = proxy
        self._client = client
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._proxy.offer("down", data, self._client)

    def error_received(self, exc: Exception) -> None:
        LOG.debug("network: the server's port refused: %s", exc)


class _Downstream(asyncio.DatagramProtocol):
    def __init__(self, proxy: UdpProxy) -> None:
        self._proxy = proxy

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._proxy.offer("up", data, addr)

    def error_received(self, exc: Exception) -> None:
        LOG.debug("network: the client's port refused: %s", exc)


class UdpProxy:
    """Forwards datagrams from a loopback port to ``server`` over an ``ImpairedLink``.

    Every client address has its own source port towards the server, as behind a NAT; ``rebind`` gives all of them
    new ones, so that the server sees strangers and what it sends to the old ones is lost. ``port`` 0 takes any free
    port; ``address`` says which.
    """

    def __init__(
        self, server: Address, link: ImpairedLink | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.server = server
        self.link = link or ImpairedLink()
        self.rebinds = 0
        self._host = host
        self._port = port
        self._downstream: asyncio.DatagramTransport | None = None
        self._upstreams: dict[Address, _Upstream] = {}
        self._opening: dict[Address, asyncio.Task[None]] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Open the listening socket."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Downstream(self), local_addr=(self._host, self._port)
        )
        self._downstream = transport

    async def stop(self) -> None:
        """Close every socket; what is in flight is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opening, self._opening = list(self._opening.values()), {}
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self._close_upstreams()
        if self._downstream is not None:
            self._downstream.close()
            self._downstream = None

    async def __aenter__(self) -> UdpProxy:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> Address:
        """Where clients send to."""
        if self._downstream is None:
            raise RuntimeError("the proxy is not running")
        host, port = self._downstream.get_extra_info("sockname")[:2]
        return host, port

    @property
    def upstream_ports(self) -> frozenset[int]:
        """The source ports the server sees now."""
        sockets = (upstream.transport for upstream in self._upstreams.values() if upstream.transport is not None)
        return frozenset(transport.get_extra_info("sockname")[1] for transport in sockets)

    def rebind(self) -> None:
        """The NAT forgets: from now on the server sees new source ports."""
        self.rebinds += 1
        self._close_upstreams()

    def set_link_up(self, up: bool) -> None:
        """Carry datagrams, or none at all (the device has no network)."""
        self.link.blackout = not up

    def offer(self, direction: Direction, data: bytes, client: Address) -> None:
        """A datagram came in from one side."""
        self.link.offer(direction, data, asyncio.get_running_loop().time(), client)
        self._deliver()

    def _deliver(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for direction, data, peer in self.link.due(loop.time()):
            client = peer
            assert isinstance(client, tuple)
            if direction == "down":
                if self._downstream is not None:
                    self._downstream.sendto(data, client)
            else:
                self._send_up(client, data)
        due_s = self.link.next_due_s
        if due_s is not None and self._downstream is not None:
            self._timer = loop.call_at(due_s, self._deliver)

    def _send_up(self, client: Address, data: bytes) -> None:
        upstream = self._upstreams.pop(client, None)
        if upstream is not None and upstream.transport is not None:
            self._upstreams[client] = upstream  # most recently used last
            upstream.transport.sendto(data)
            return
        if client not in self._opening:
            if len(self._opening) >= _MAX_CLIENTS:
                return
            self._opening[client] = asyncio.get_running_loop().create_task(self._open(client))
        waiting = self._waiting.setdefault(client, [])
        if len(waiting) < _MAX_WAITING:
            waiting.append(data)

    async def _open(self, client: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, upstream = await loop.create_datagram_endpoint(lambda: _Upstream(self, client), remote_addr=self.server)
        except OSError as error:
            LOG.warning("network: no socket towards the server: %s", error)
            self._waiting.pop(client, None)
            return
        finally:
            self._opening.pop(client, None)
        self._upstreams[client] = upstream
        while len(self._upstreams) > _MAX_CLIENTS:
            oldest = self._upstreams.pop(next(iter(self._upstreams)))
            if oldest.transport is not None:
                oldest.transport.close()
        for data in self._waiting.pop(client, []):
            if upstream.transport is not None:
                upstream.transport.sendto(data)

    def _close_upstreams(self) -> None:
        for upstream in self._upstreams.values():
            if upstream.transport is not None:
                upstream.transport.close()
        self._upstreams.clear()
