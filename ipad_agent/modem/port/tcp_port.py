"""A serial port behind a TCP server (``socket://host:port``), such as a bench that is somewhere else.

The bytes go as they are, without any protocol for the line's settings; whoever reaches the server owns the modem, so
it belongs on a network of its own.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.modem import events
from ipad_agent.modem.errors import PortLost, PortUnavailable

CONNECT_LIMIT_S: Final = 10.0
_URL: Final = re.compile(r"socket://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
# A peer that lost its power says nothing: found out after about two minutes without traffic.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


def parse_url(text: str) -> tuple[str, int] | None:
    """Host and port of a ``socket://`` URL; None when it is none."""
    found = _URL.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        return None
    return found["v6"] or found["host"], int(found["port"])


class SocketOpener:
    """Connects to the server, again and again."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def open(self) -> SocketStream:
        """Connect now; raises ``PortUnavailable``."""
        name = f"socket://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                _, stream = await loop.create_connection(lambda: SocketStream(name), self._host, self._port)
        except TimeoutError:
            raise PortUnavailable(f"{name} does not answer") from None
        except OSError as error:
            raise PortUnavailable(f"{name} cannot be reached: {error.strerror or error}") from error
        return stream

    def note_silence(self) -> None:
        """See ``PortOpener``; there is no other way to try."""


class SocketStream(asyncio.Protocol):
    """The connection as ``ByteStream``. What arrives before ``start`` is delivered after it."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._transport: asyncio.Transport | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[ModemError], None] | None = None
        self._lost: PortLost | None = None
        self._early = b""
        self._room = asyncio.Event()
        self._room.set()

    @property
    def description(self) -> str:
        return self._description

    def start(self, on_data: Callable[[bytes], None], on_lost: Callable[[ModemError], None]) -> None:
        """See ``ByteStream``."""
        self._on_data, self._on_lost = on_data, on_lost
        loop = asyncio.get_running_loop()
        if self._early:
            loop.call_soon(on_data, self._early)
        if self._lost is not None:
            loop.call_soon(on_lost, self._lost)

    async def write(self, data: bytes) -> None:
        """See ``ByteStream``."""
        await self._room.wait()
        self._open_transport().write(data)
        await self._room.wait()
        self._open_transport()

    def _open_transport(self) -> asyncio.Transport:
        if self._lost is not None or self._transport is None:
            raise PortLost(self._lost.message if self._lost is not None else f"{self._description} is closed")
        return self._transport

    async def close(self) -> None:
        """See ``ByteStream``."""
        self._on_data = self._on_lost = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def data_received(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)
        elif self._transport is not None:
            self._early += data

    def eof_received(self) -> None:
        """The server will say nothing more: that is a lost line, whatever could still be sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        reason = "the server closed the connection" if exc is None else str(exc)
        self._lost = PortLost(f"the port {self._description} is lost: {reason}")
        self._transport = None
        self._room.set()
        if self._on_lost is not None:
            events.PORT_LOST.emit(port=self._description, reason=reason)
            self._on_lost(self._lost)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
