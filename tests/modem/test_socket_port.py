"""A modem behind a TCP server, over real sockets of this machine; every wait is for an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession
from ipad_agent.modem.errors import PortLost, PortUnavailable
from ipad_agent.modem.port.tcp_port import SocketOpener, SocketStream, parse_url

LIMIT_S = 60.0


class Server:
    """The far end: hands out its connections, one at a time."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections.put_nowait((reader, writer))

        self.server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]

    async def connect(self) -> tuple[SocketStream, asyncio.StreamReader, asyncio.StreamWriter]:
        stream = await SocketOpener("127.0.0.1", self.port).open()
        reader, writer = await asyncio.wait_for(self.connections.get(), LIMIT_S)
        return stream, reader, writer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    started = Server()
    await started.start()
    yield started
    started.server.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("socket://bench:4000", ("bench", 4000)),
        ("socket://192.0.2.1:65535", ("192.0.2.1", 65535)),
        ("socket://[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("socket://bench:0", None),
        ("socket://bench:65536", None),
        ("socket://bench", None),
        ("socket://:4000", None),
        ("socket://bench:4000/x", None),
        ("/dev/ttyUSB2", None),
    ],
)
def test_a_url_names_host_and_port(text: str, expected: tuple[str, int] | None) -> None:
    assert parse_url(text) == expected


async def test_a_command_goes_through(server: Server) -> None:
    stream, reader, writer = await server.connect()
    session = AtSession(stream)
    task = asyncio.create_task(session.run(commands.text_query("AT+CGMI")))
    assert await asyncio.wait_for(reader.readuntil(b"\r"), LIMIT_S) == b"AT+CGMI\r"
    writer.write(b"\r\nACME\r\n\r\nOK\r\n")
    assert await asyncio.wait_for(task, LIMIT_S) == ("ACME",)
    await session.close()
    assert await asyncio.wait_for(reader.read(), LIMIT_S) == b"" or reader.at_eof()
    writer.close()


async def test_what_comes_before_the_session_starts_is_not_lost(server: Server) -> None:
    stream, _, writer = await server.connect()
    received: asyncio.Queue[bytes] = asyncio.Queue()
    stream.data_received(b"+CPIN: ")  # as the event loop calls it
    stream.start(received.put_nowait, lambda error: None)
    assert received.empty()  # never from within start
    assert await asyncio.wait_for(received.get(), LIMIT_S) == b"+CPIN: "
    writer.write(b"READY")
    assert await asyncio.wait_for(received.get(), LIMIT_S) == b"READY"
    await stream.close()
    writer.close()


async def test_a_server_that_hangs_up_is_a_lost_port(server: Server) -> None:
    stream, _, writer = await server.connect()
    lost: asyncio.Future[ModemError] = asyncio.get_running_loop().create_future()
    stream.start(lambda data: None, lost.set_result)
    writer.close()
    assert isinstance(await asyncio.wait_for(lost, LIMIT_S), PortLost)
    with pytest.raises(PortLost):
        await stream.write(b"AT\r")


async def test_a_write_that_waits_for_room_ends_when_the_line_is_lost(server: Server) -> None:
    stream, _, writer = await server.connect()
    stream.start(lambda data: None, lambda error: None)
    task = asyncio.create_task(stream.write(bytes(1 << 24)))
    await asyncio.sleep(0)
    assert not task.done()
    writer.transport.abort()
    with pytest.raises(PortLost):
        await asyncio.wait_for(task, LIMIT_S)


async def test_nothing_is_delivered_after_closing(server: Server) -> None:
    stream, reader, writer = await server.connect()
    said: list[object] = []
    stream.start(said.append, said.append)
    await stream.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), LIMIT_S)
    assert said == []
    with pytest.raises(PortLost):
        await stream.write(b"AT\r")
    writer.close()


async def test_a_server_that_is_not_there_is_an_unavailable_port(server: Server) -> None:
    server.server.close()
    await server.server.wait_closed()
    with pytest.raises(PortUnavailable, match=rf"socket://127.0.0.1:{server.port} cannot be reached"):
        await SocketOpener("127.0.0.1", server.port).open()
