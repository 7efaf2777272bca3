"""The network between the device and the servers: datagrams that get lost, doubled, late, and through a NAT."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
from collections.abc import Callable
from typing import Any, Final

from ipad_agent.records import dataclass
from ipad_agent.store.memory_filesystem import PowerCut

from .dtls_stand_in import StandInServer
from .process_fence import ProcessFence
from .virtual_time_loop import OWNER, TortureLoop

WORLD: Final = contextvars.Context()
"""In this context callbacks belong to no process."""

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances per datagram; ``delay_s`` one way, ``reorder_s`` for those that are overtaken."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.04
    reorder_s: float = 1.0


FAIR: Final = Weather()


class SimulatedNetwork:
    """Implements ``virtual_time_loop.Sockets``. ``covered`` tells whether the modem passes data at all."""

    def __init__(self, loop: TortureLoop, dice: random.Random, covered: Callable[[], bool]) -> None:
        self._loop = loop
        self._dice = dice
        self.covered = covered
        self.weather = FAIR
        self.blackout = False
        self.datagrams = 0
        self._servers: dict[Peer, _ServerSocket] = {}
        self._devices: dict[Peer, _DeviceSocket] = {}
        self._ports = itertools.count(40_000)
        self.gates: dict[str, StandInServer] = {}
        """By host: who stands in front of the server that will be bound there."""

    @property
    def passes(self) -> bool:
        """Whether anything gets through at this moment."""
        return not self.blackout and self.covered()

    def rolls(self) -> float:
        """A chance between 0 and 1."""
        return self._dice.random()

    def rebind(self) -> None:
        """The NAT forgets everybody: what the device sends from now on comes from other ports."""
        for socket in list(self._devices.values()):
            self._enter(socket)

    def connect(
        self, factory: Callable[[], asyncio.DatagramProtocol], remote: Peer
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        owner = OWNER.get()
        if isinstance(owner, ProcessFence) and not owner.alive:
            raise PowerCut
        protocol = factory()
        socket = _DeviceSocket(self, protocol, remote, owner if isinstance(owner, ProcessFence) else None)
        self._enter(socket)
        protocol.connection_made(socket)
        return socket, protocol

    def bind(
        self, factory: Callable[[], asyncio.DatagramProtocol], local: Peer
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        protocol = factory()
        socket = self._servers[local] = _ServerSocket(self, protocol, local, self.gates[local[0]])
        protocol.connection_made(socket)
        return socket, protocol

    def _enter(self, socket: _DeviceSocket) -> None:
        self._devices.pop(socket.outside, None)
        socket.outside = ("198.51.100.7", next(self._ports))
        self._devices[socket.outside] = socket

    def leave(self, socket: _DeviceSocket) -> None:
        """A socket of the device was closed."""
        self._devices.pop(socket.outside, None)

    def up(self, socket: _DeviceSocket, data: bytes) -> None:
        """From the device."""
        server, peer = self._servers.get(socket.remote), socket.outside
        if server is not None:
            self._carry(lambda: server.arrived(data, peer), WORLD)

    def down(self, data: bytes, peer: Peer) -> None:
        """To the device."""
        socket = self._devices.get(peer)
        if socket is not None:
            self._carry(lambda: self._arrived(socket, data, peer), socket.context)

    def _arrived(self, socket: _DeviceSocket, data: bytes, peer: Peer) -> None:
        if self._devices.get(peer) is socket and self.passes:
            socket.arrived(data)

    def _carry(self, deliver: Callable[[], None], context: contextvars.Context) -> None:
        self.datagrams += 1
        weather, chance = self.weather, self._dice.random
        if not self.passes or (weather.loss and chance() < weather.loss):
            return
        copies = 2 if weather.duplicate and chance() < weather.duplicate else 1
        for _ in range(copies):
            late_s = weather.reorder_s * chance() if weather.reorder and chance() < weather.reorder else 0.0
            self._loop.call_later(weather.delay_s + late_s, deliver, context=context)


class _DeviceSocket(asyncio.DatagramTransport):
    def __init__(
        self, network: SimulatedNetwork, protocol: asyncio.DatagramProtocol, remote: Peer, owner: ProcessFence | None
    ) -> None:
        super().__init__()
        self._network = network
        self._protocol = protocol
        self._owner = owner
        self._closed = False
        self.remote = remote
        self.outside: Peer = ("", 0)
        self.context = contextvars.copy_context()

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not self._closed and (self._owner is None or self._owner.alive):
            self._network.up(self, bytes(data))

    def arrived(self, data: bytes) -> None:
        if not self._closed and (self._owner is None or self._owner.alive):
            self._protocol.datagram_received(data, self.remote)

    def close(self) -> None:
        self._closed = True
        self._network.leave(self)

    def is_closing(self) -> bool:
        return self._closed


class _ServerSocket(asyncio.DatagramTransport):
    def __init__(
        self, network: SimulatedNetwork, protocol: asyncio.DatagramProtocol, local: Peer, gate: StandInServer
    ) -> None:
        super().__init__({"sockname": local})
        self._network = network
        self._protocol = protocol
        self._gate = gate

    def arrived(self, data: bytes, peer: Peer) -> None:
        answer, message = self._gate.receive(data, peer)
        if answer is not None:
            self._network.down(answer, peer)
        if message is not None:
            self._protocol.datagram_received(message, peer)

    def sendto(self, data: Any, addr: Any = None) -> None:
        protected = self._gate.send(bytes(data), addr)
        if protected is not None:
            self._network.down(protected, addr)

    def close(self) -> None:
        return None

    def is_closing(self) -> bool:
        return False
