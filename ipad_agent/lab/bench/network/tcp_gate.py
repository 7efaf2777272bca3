"""The way to a TCP server through the device's network: open while there is one, and all connections die with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

__all__ = ["GateCounters", "TcpGate"]

LOG = logging.getLogger("ipad_agent.lab")

_READ_BYTES = 65536
_CONNECT_S = 5.0


@dataclass(slots=True)
class GateCounters:
    """Since the start: connections let through and refused, and bytes each way."""

    connections: int = 0
    refused: int = 0
    up_bytes: int = 0
    down_bytes: int = 0


class TcpGate:
    """Listens on ``host:port`` (0: any free one) and passes on to ``target``, which may be set after the start.

    ``cut_down_bytes``: the next connection is cut after so many bytes to the client.
    """

    def __init__(self, target: tuple[str, int] | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.target = target
        self.counters = GateCounters()
        self.up = True
        self.cut_down_bytes: int | None = None
        self._bind = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> TcpGate:
        self._server = await asyncio.start_server(self._accept, *self._bind)
        return self

    async def __aexit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._drop()
            await asyncio.gather(*self._open, return_exceptions=True)
            await server.wait_closed()

    @property
    def port(self) -> int:
        """The port, once started."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    def set_link_up(self, up: bool) -> None:
        """Without a link open connections are torn down and new ones refused."""
        self.up = up
        if not up:
            self._drop()

    def _drop(self) -> None:
        for task in list(self._open):
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up or self.target is None:
            self.counters.refused += 1
            writer.transport.abort()
            return
        self.counters.connections += 1
        task = asyncio.ensure_future(self._carry(reader, writer, self.target))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]) -> None:
        limit, self.cut_down_bytes = self.cut_down_bytes, None
        far_writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(*target)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._copy(reader, far_writer, "up_bytes", None))
                ways.create_task(self._copy(far_reader, writer, "down_bytes", limit))
        except* (OSError, _CutError) as group:
            LOG.debug("gate: a connection ended: %s", group.exceptions[0])
        finally:
            for one in (writer, far_writer):
                if one is not None:
                    one.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: str, limit: int | None
    ) -> None:
        while data := await reader.read(_READ_BYTES):
            if limit is not None:
                data, limit = data[:limit], limit - len(data[:limit])
            setattr(self.counters, counter, getattr(self.counters, counter) + len(data))
            writer.write(data)
            await writer.drain()
            if limit == 0:
                raise _CutError("cut as ordered")
        with contextlib.suppress(OSError):
            writer.write_eof()
            await writer.drain()


class _CutError(Exception):
    """The connection has carried what it may."""
