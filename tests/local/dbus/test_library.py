"""A connection to buses that are not as they should be, over both libraries."""

from __future__ import annotations

import asyncio
import importlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ipad_agent.local.dbus import Bus
from ipad_agent.local.dbus.dbus_library import LIBRARIES, Link, load
from ipad_agent.local.dbus.dbus_messages import Signal
from ipad_agent.local.dbus.errors import BusLost, BusUnreachable, NoBusLibrary
from ipad_agent.local.dbus.system_bus import DEFAULT, system_bus, usable

from .fake_service import FakeService
from .private_bus import LIMIT_S, PrivateBus

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    name = request.param
    assert isinstance(name, str)
    return name


def link(library: str, deadline_s: float = 5.0) -> Link:
    return Link(load([library]), deadline_s=deadline_s, on_call=lambda call: None)


@asynccontextmanager
async def server(folder: Path, behaviour: Behaviour) -> AsyncIterator[str]:
    """A bus that behaves like this towards everybody."""
    connections = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await behaviour(reader, writer)
        finally:
            writer.close()

    path = folder / "bus"
    listening = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix:path={path}"
    finally:
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def hang_up_during_authentication(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.write(b"DA")
    await writer.drain()


async def never_end_a_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.write(b"REJECTED\r\n")
    await writer.drain()
    await reader.read()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def talk_nonsense_after_authentication(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.write(b"OK 1234deadbeef\r\n")
    await reader.readuntil(b"BEGIN\r\n")
    writer.write(b"\xff" * 512)
    await writer.drain()
    await reader.read()


async def authenticate_and_fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.write(b"OK 1234deadbeef\r\n")
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "behaviour",
    [
        hang_up_during_authentication,
        never_end_a_line,
        refuse,
        say_nothing,
        talk_nonsense_after_authentication,
        authenticate_and_fall_silent,
    ],
)
async def test_a_server_that_is_no_bus_is_left_within_the_deadline(
    tmp_path: Path, library: str, behaviour: Behaviour
) -> None:
    async with asyncio.timeout(LIMIT_S), server(tmp_path, behaviour) as address:
        connection = link(library, deadline_s=0.3)
        with pytest.raises(BusUnreachable):
            await connection.open(address)
        connection.close()


async def test_a_line_without_end_is_not_collected_until_the_deadline(tmp_path: Path, library: str) -> None:
    async with asyncio.timeout(LIMIT_S), server(tmp_path, never_end_a_line) as address:
        with pytest.raises(BusUnreachable, match="ended the authentication"):
            await link(library, deadline_s=LIMIT_S).open(address)


async def test_a_bus_that_is_only_slow_is_not_given_up(library: str) -> None:
    private = PrivateBus()
    await private.start()
    try:
        sender = link(library)
        await sender.open(private.address)
        private.signal(signal.SIGSTOP)
        for _ in range(400):  # more than a socket holds
            sender.tell(DBUS[0], Signal("/a", "a.b", "Event", "ay", (bytes(4000),)))
        flushing = asyncio.create_task(sender.flush())
        done, _ = await asyncio.wait({flushing}, timeout=0.2)
        private.signal(signal.SIGCONT)
        assert not done
        async with asyncio.timeout(LIMIT_S):
            await flushing
            await sender.call(*DBUS, "GetId")
        sender.close()
    finally:
        await private.remove()


async def test_messages_do_not_pile_up_before_a_dead_bus(library: str) -> None:
    private = PrivateBus()
    await private.start()
    try:
        sender = link(library, deadline_s=LIMIT_S)
        await sender.open(private.address)
        private.signal(signal.SIGSTOP)
        for _ in range(1000):
            sender.tell(DBUS[0], Signal("/a", "a.b", "Event", "ay", (bytes(4000),)))
        with pytest.raises(BusLost, match="takes nothing"):
            await sender.lost()
    finally:
        await private.remove()


async def test_a_bus_that_takes_no_more_connections_does_not_hold_up_the_process(tmp_path: Path, library: str) -> None:
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as visitor:
        full.bind(path)
        full.listen(0)
        visitor.connect(path)
        with pytest.raises(BusUnreachable, match="takes no more connections"):
            await link(library).open(f"unix:path={path}")


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ("unix:path=/nonexistent/bus", "No such file"),
        ("unix:path=/dev/null", "refused"),
        ("unix:abstract=nobody-listens-here", "refused"),
        ("tcp:host=localhost,port=1", "names no Unix socket"),
        ("unix:path=" + "x" * 200, "too long"),
        ("", "names no Unix socket"),
        ("unix:path=%00", "refused|null|No such"),
    ],
)
def test_an_address_where_no_bus_is_is_told_with_its_reason(addresses: str, reason: str) -> None:
    with pytest.raises(BusUnreachable, match=reason):
        usable(addresses)


def test_the_first_address_with_a_bus_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        wanted = f"unix:path={tmp_path}/a%20b,guid=00"
        assert usable(f"unix:path=/nonexistent/bus;{wanted}") == wanted


def test_the_system_bus_is_where_the_environment_says_or_where_d_bus_does() -> None:
    assert system_bus({}) == DEFAULT == "unix:path=/var/run/dbus/system_bus_socket"
    assert system_bus({"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/x"}) == "unix:path=/x"


def test_the_preferred_library_is_taken_and_the_other_one_without_it() -> None:
    assert load().name == "dbus_fast"
    assert load(["no_such_library", "dbus_next"]).name == "dbus_next"
    with pytest.raises(NoBusLibrary):
        load(["no_such_library"])


@pytest.mark.parametrize(
    ("installed", "taken"), [("2.11.9", "dbus_next"), ("2.12.0", "dbus_fast"), ("10.0b1", "dbus_fast")]
)
def test_a_library_that_is_too_old_is_left_alone(monkeypatch: pytest.MonkeyPatch, installed: str, taken: str) -> None:
    monkeypatch.setattr(importlib.import_module("dbus_fast.__version__"), "__version__", installed)
    assert load().name == taken


async def test_a_machine_without_a_library_is_no_failure_of_the_agent() -> None:
    private = PrivateBus()
    await private.start()
    try:
        bus = Bus(FakeService(), addresses=private.address, libraries=("no_such_one",))
        running = asyncio.create_task(bus.run())
        done, _ = await asyncio.wait({running}, timeout=0.05)
        assert not done
        assert bus.shown == (False, "no library for it is installed")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        await private.remove()


async def test_a_call_to_a_peer_that_never_answers_ends_with_its_deadline(library: str) -> None:
    private = PrivateBus()
    await private.start()
    try:
        caller, silent = link(library), link(library)
        await caller.open(private.address)
        await silent.open(private.address)
        name = ("org.freedesktop.PolicyKit1", 4)
        assert await silent.call(*DBUS, "RequestName", "su", name) == (1,)
        with pytest.raises(TimeoutError):
            await caller.call(name[0], "/a", "a.b", "Wait", deadline_s=0.05)
        waiting = asyncio.create_task(caller.call(name[0], "/a", "a.b", "Wait", deadline_s=LIMIT_S))
        await asyncio.sleep(0)
        await private.stop()
        with pytest.raises(BusLost):
            await waiting
        with pytest.raises(BusLost):
            await caller.call(*DBUS, "GetId")
        silent.close()
    finally:
        await private.remove()


async def test_more_than_the_socket_holds_goes_out_whole_and_in_order(library: str) -> None:
    private = PrivateBus()
    await private.start()
    try:
        seen: list[tuple[object, ...]] = []
        all_seen = asyncio.Event()

        def on_signal(sender: str, interface: str, member: str, body: tuple[object, ...]) -> None:
            if member == "Event":
                seen.append(body)
                if len(seen) == 60:
                    all_seen.set()

        listener = Link(load([library]), deadline_s=5.0, on_call=lambda call: None, on_signal=on_signal)
        await listener.open(private.address)
        await listener.call(*DBUS, "AddMatch", "s", ("type='signal',interface='a.b'",))
        sender = link(library)
        await sender.open(private.address)
        async with asyncio.timeout(LIMIT_S):
            for number in range(60):
                sender.tell(listener._bus.unique_name, Signal("/a", "a.b", "Event", "uay", (number, bytes(300_000))))
            await sender.flush()
            await all_seen.wait()
        assert [body[0] for body in seen] == list(range(60))
        listener.close()
        sender.close()
    finally:
        await private.remove()
