"""Users who call much: they wait for their turn, whatever it is they call, and nobody else does."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent import events
from ipad_agent.local import rate_limits
from ipad_agent.local.rate_limits import (
    CALL_BURST,
    CALLS_PER_S,
    STRANGER_BURST,
    STRANGER_CALLS_PER_S,
    Bucket,
    CallRates,
)
from ipad_agent.local.varlink import client_limits, socket_server
from ipad_agent.local.varlink.peer_credentials import Credentials, Right

from .conftest import Bench
from .service import Client, Refusal

STRANGER, READER, ACTOR = 4000, 2000, 1000
SERVICE = "org.varlink.service"
ANYTHING: list[tuple[str, dict[str, object]]] = [
    (f"{SERVICE}.GetInfo", {}),
    (f"{SERVICE}.GetInterfaceDescription", {"interface": "io.github.ipadagent"}),
    (f"{SERVICE}.GetInterfaceDescription", {"interface": "no.such"}),
    (f"{SERVICE}.NoSuch", {}),
    ("no.such.Interface", {}),
    ("GetStatus", {}),
    ("NoSuchMethod", {}),
    ("Rollback", {"wrong": 1}),
]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls at once, and then none for as long as a test takes."""
    for name in ("CALL_BURST", "STRANGER_BURST"):
        monkeypatch.setattr(rate_limits, name, 2)
    for name in ("CALLS_PER_S", "STRANGER_CALLS_PER_S"):
        monkeypatch.setattr(rate_limits, name, 0.0001)


async def ask(client: Client, method: str, parameters: dict[str, object]) -> None:
    try:
        await client.call(method, parameters)
    except Refusal:
        return


async def served(bench: Bench, client: Client, calls: list[tuple[str, dict[str, object]]]) -> int:
    """How many of these, sent at once, are answered before a round trip of root's after them all has ended."""
    for method, parameters in calls:
        client.send(method, parameters)
    await client.writer.drain()
    other = await bench.client()
    before = len(bench.server.connections)
    for _ in range(2 * len(calls)):
        await other.call("GetStatus")
    other.close()
    await bench.until(lambda: len(bench.server.connections) < before)
    answers = 0
    while True:
        try:
            await asyncio.wait_for(client.receive(), 0.05)
        except TimeoutError:
            return answers
        answers += 1


@pytest.mark.parametrize("call", ANYTHING, ids=[method for method, _ in ANYTHING])
@pytest.mark.usefixtures("slow")
async def test_whatever_a_stranger_calls_is_counted(bench: Bench, call: tuple[str, dict[str, object]]) -> None:
    assert await served(bench, await bench.client(uid=STRANGER), [call] * 6) == 2


@pytest.mark.usefixtures("slow")
async def test_whatever_a_reader_calls_is_counted_and_root_is_not(bench: Bench) -> None:
    assert await served(bench, await bench.client(uid=READER), [("GetStatus", {})] * 6) == 2
    assert await served(bench, await bench.client(uid=0), [("GetStatus", {})] * 6) == 6


@pytest.mark.usefixtures("slow")
async def test_strangers_share_one_limit_and_readers_have_one_each(bench: Bench) -> None:
    first, second, reader, actor = [await bench.client(uid=uid) for uid in (STRANGER, STRANGER + 1, READER, ACTOR)]
    assert await served(bench, first, [ANYTHING[0]] * 2) == 2
    assert await served(bench, second, [ANYTHING[0]]) == 0
    assert await served(bench, reader, [ANYTHING[0]] * 2) == 2
    assert await served(bench, actor, [ANYTHING[0]] * 2) == 2


@pytest.mark.usefixtures("slow")
async def test_a_second_connection_gives_no_second_limit(bench: Bench) -> None:
    assert await served(bench, await bench.client(uid=READER), [("GetStatus", {})] * 2) == 2
    again = await bench.client(uid=READER)
    assert await again.closed() == b"", "a connection is a call too"


@pytest.mark.usefixtures("slow")
async def test_connections_of_a_stranger_who_is_known_are_closed_before_anything_is_made_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served(bench, await bench.client(uid=STRANGER), [ANYTHING[0]] * 2)

    def none_made(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(bench.server, "_start", none_made)
    assert await (await bench.client(uid=STRANGER)).closed() == b""


async def test_the_user_database_is_asked_once_for_many_connections_of_one_user(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = bench.authority.right_of

    def counting(peer: Credentials) -> Right:
        asked.append(peer.uid)
        return real(peer)

    monkeypatch.setattr(bench.authority, "right_of", counting)
    for _ in range(5):
        client = await bench.client(uid=READER)
        await client.call("GetStatus")
        client.close()
        await bench.until(lambda: not bench.server.connections)
    assert asked == [READER]
    monkeypatch.setattr(client_limits, "RIGHTS_KEPT", 2)
    for uid in (STRANGER, STRANGER + 1, STRANGER + 2):
        client = await bench.client(uid=uid)
        await ask(client, *ANYTHING[0])
        client.close()
        await bench.until(lambda: not bench.server.connections)
    assert len(bench.server._rights) == 2


async def test_somebody_who_is_slowed_is_told_about_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "STRANGER_BURST", 1)
    monkeypatch.setattr(rate_limits, "STRANGER_CALLS_PER_S", 200.0)
    said: list[str] = []
    end = events.listen(lambda event, facts: said.append(event.id))
    client = await bench.client(uid=STRANGER)
    for _ in range(6):
        client.send(*ANYTHING[0])
    for _ in range(6):
        assert (await client.receive())["parameters"], "later, but answered"
    end()
    assert said.count("IPA-1328") == 1


async def test_everybody_has_a_turn_while_connections_pour_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "ACCEPTED_AT_ONCE", 1)
    monkeypatch.setattr(client_limits, "ACCEPT_GAP_S", 0.0)
    taken: list[float] = []
    real = bench.server._accept_some

    def counting(listener: socket.socket) -> float:
        taken.append(len(bench.server.connections))
        return real(listener)

    monkeypatch.setattr(bench.server, "_accept_some", counting)
    clients = [await Client.connect(bench.path) for _ in range(6)]
    await bench.until(lambda: len(bench.server.connections) == 6)
    assert len(taken) >= 6, "one at a time"
    for client in clients:
        client.close()


async def test_a_process_without_descriptors_takes_the_connection_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_server, "NO_DESCRIPTORS_S", 0.01)
    said: list[str] = []
    end = events.listen(lambda event, facts: said.append(event.id))
    real: Callable[[socket.socket], tuple[socket.socket, object]] = socket.socket.accept
    refused: list[int] = []

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if not refused:
            refused.append(1)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    client = await bench.client()
    assert (await client.call("GetStatus"))["status"]
    end()
    assert said.count("IPA-1329") == 1


async def test_a_connection_that_cannot_be_made_is_counted_out_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(asyncio.get_running_loop(), "connect_accepted_socket", failing)
    client = await Client.connect(bench.path)
    assert await client.closed() == b""
    monkeypatch.undo()
    assert sum(bench.server.admission._by_uid.values()) == 0


def test_ipactl_waits_for_a_place_in_a_queue_that_is_full_for_a_moment(tmp_path: Path) -> None:
    from ipad_agent.cli.ipactl.varlink_client import Connection

    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            pid = os.fork()
            if pid == 0:
                try:
                    Connection(str(path))
                    os._exit(0)
                finally:
                    os._exit(1)
            accepted = [listener.accept()[0], listener.accept()[0]]
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            for one in accepted:
                one.close()


# -- the arithmetic ----------------------------------------------------------------------------------------------------


def test_what_is_taken_in_advance_is_waited_for() -> None:
    bucket = Bucket(0.0, 2, 10.0)
    assert [bucket.wait_s(0.0) for _ in range(4)] == [0.0, 0.0, pytest.approx(0.1), pytest.approx(0.2)]
    assert not bucket.take(0.1)
    assert bucket.wait_s(100.0) == 0.0
    assert Bucket(100.0, 1, 1.0).wait_s(50.0) == 0.0, "a clock that goes back gives nothing and takes nothing"


def test_buckets_that_are_full_again_are_forgotten() -> None:
    calls = CallRates()
    for uid in range(1000):
        assert calls.take(uid, uid / CALLS_PER_S, stranger=False)
    assert len(calls._buckets) < 10


def test_the_limits_are_what_they_say() -> None:
    calls = CallRates()
    assert sum(calls.take(1, 0.0, stranger=False) for _ in range(1000)) == CALL_BURST
    assert sum(calls.take(uid, 0.0, stranger=True) for uid in range(1000)) == STRANGER_BURST
    assert calls.wait_s(1, 0.0, stranger=True) == pytest.approx(1 / STRANGER_CALLS_PER_S)
