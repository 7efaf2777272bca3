"""Clients that mean harm, or are only broken: the agent goes on in time and everybody else is answered."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.local.varlink import client_limits, socket_server
from ipad_agent.local.varlink.client_limits import (
    MAX_PER_UID,
    MAX_REQUEST_BYTES,
    MAX_STRANGERS,
    RESERVED,
    WORK_BURST,
    WORK_PER_S,
    Admission,
    Bucket,
)
from ipad_agent.local.varlink.peer_credentials import Credentials, Right

from .conftest import Bench
from .service import Client, Refusal

GARBAGE = [
    b"GET / HTTP/1.1\r\n\r\n\0",
    b"\0\0\0",
    b"[]\0",
    b"null\0",
    b'"hello"\0',
    b"\xff\xfe\0",
    b"[" * 16_000 + b"\0",
    b"x" * (MAX_REQUEST_BYTES + 1),
    b"\0" * 5000,
]


# -- one client ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_closes_its_own_connection_only(bench: Bench, garbage: bytes) -> None:
    client, other = await bench.client(), await bench.client()
    client.writer.write(garbage)
    await client.closed()
    assert (await other.call("GetStatus"))["status"]
    await bench.until(lambda: len(bench.server.connections) == 1)


async def test_garbage_that_has_an_end_is_told_before_the_connection_closes(bench: Bench) -> None:
    client = await bench.client()
    client.writer.write(b"hello\0")
    assert (
        await client.closed()
        == b'{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"message"}}\0'
    )


async def test_a_call_with_a_wrong_member_is_told_and_the_connection_goes_on(bench: Bench) -> None:
    client = await bench.client()
    client.writer.write(b'{"method":7}\0')
    assert (await client.receive())["parameters"] == {"parameter": "method"}
    assert (await client.call("GetStatus"))["status"]


async def test_a_message_that_never_ends_is_cut_off_however_often_a_byte_arrives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_limits, "HALF_MESSAGE_S", 0.15)
    client = await bench.client()
    client.send("GetStatus")
    await client.receive()

    async def drip() -> None:
        while not client.writer.transport.is_closing():
            client.writer.write(b" ")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    try:
        assert await client.closed() == b""
    finally:
        dripping.cancel()
    await bench.until(lambda: not bench.server.connections)


async def test_a_message_in_pieces_within_its_time_is_answered(bench: Bench) -> None:
    client = await bench.client()
    for byte in b'{"method":"io.github.ipadagent.Metrics"}\0':
        client.writer.write(bytes([byte]))
        await client.writer.drain()
    assert (await client.receive())["parameters"]["text"]


async def test_a_connection_without_a_call_is_closed_after_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_limits, "IDLE_S", 0.05)
    client = await bench.client()
    assert await client.closed() == b""
    monkeypatch.setattr(client_limits, "IDLE_S", 600.0)
    subscriber = await bench.client()
    subscriber.send("Subscribe", more=True)
    await subscriber.receive()
    bench.service.happen(1)
    assert (await subscriber.receive())["parameters"]["event"]


async def test_a_subscription_is_not_idle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await bench.client()
    await client.call("Metrics")
    monkeypatch.setattr(client_limits, "IDLE_S", 0.02)
    client.send("Subscribe", more=True)
    await client.receive()
    stranger = await bench.client()
    await stranger.closed()  # whoever does nothing has been closed meanwhile
    bench.service.happen(1)
    assert (await client.receive())["parameters"]["event"]


async def test_a_client_that_does_not_read_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "WRITE_BUFFER_BYTES", 1024)
    monkeypatch.setattr(client_limits, "STALL_S", 0.1)
    bench.service.archive = b"x" * 4_000_000
    client = await bench.client()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way not to read
    client.send("Bundle")
    client.send("Bundle")
    await bench.until(lambda: not bench.server.connections)
    assert bench.service.calls == [("bundle",)], "the second waited for the first to be read"


async def test_a_client_that_reads_slowly_gets_everything(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "WRITE_BUFFER_BYTES", 1024)
    bench.service.archive = b"x" * 400_000
    client = await bench.client()
    for _ in range(10):
        client.send("Bundle")
    for _ in range(10):
        assert len((await client.receive())["parameters"]["bundle"]) > 400_000


async def test_many_calls_at_once_are_answered_in_order(bench: Bench) -> None:
    client = await bench.client()
    for number in range(100):
        client.send("Explain", {"id": "IPA-1320"} if number % 2 else {"id": "nothing"})
    for number in range(100):
        answer = await client.receive()
        assert ("error" in answer) is (number % 2 == 0)


async def test_no_more_is_read_from_a_client_whose_calls_wait(bench: Bench) -> None:
    client = await bench.client()
    bench.service.may_go_on.clear()
    client.send("Poll")
    await bench.until(lambda: bench.service.calls)
    for _ in range(200):
        for _ in range(50):
            client.send("GetStatus", {})
        await asyncio.sleep(0)
    (connection,) = bench.server.connections
    assert len(connection._waiting) <= client_limits.MAX_PIPELINED + client_limits.MAX_OUTSTANDING
    client.close()
    bench.service.may_go_on.set()


async def test_what_was_asked_before_the_end_of_the_stream_is_answered(bench: Bench) -> None:
    client = await bench.client()
    bench.service.may_go_on.clear()
    client.send("Poll")
    client.writer.write_eof()
    await bench.until(lambda: bench.service.calls)
    await bench.until(lambda: all(connection.gone for connection in bench.server.connections))
    bench.service.may_go_on.set()
    assert await client.closed() == b'{"parameters":{}}\0'
    client = await bench.client()
    client.send("Metrics")
    client.send("Subscribe", more=True)
    client.writer.write_eof()
    answers = (await client.closed()).split(b"\0")
    assert b"ipad_polls_total" in answers[0]
    await bench.until(lambda: not bench.server.connections)


async def test_a_client_that_breaks_off_ends_its_subscription(bench: Bench) -> None:
    """With answers unread, so that the end comes as an error and not as the end of the stream."""
    client = await bench.client()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way not to read
    client.send("Subscribe", more=True)
    await bench.until(lambda: bench.service.watchers)
    await bench.until(lambda: bench.told)
    client.close()
    await bench.until(lambda: not bench.server.connections)
    assert bench.service.watchers == []


async def test_a_client_that_breaks_off_counts_until_what_it_asked_for_is_done(bench: Bench) -> None:
    client = await bench.client()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # as above
    bench.service.may_go_on.clear()
    client.send("GetStatus")
    client.send("Rollback")
    await bench.until(lambda: bench.service.calls)
    client.close()
    (connection,) = bench.server.connections
    await bench.until(lambda: connection._closed)
    assert bench.server.connections == {connection}
    bench.service.may_go_on.set()
    await bench.until(lambda: not bench.server.connections)
    assert bench.service.finished == ["rollback"]


# -- many clients ----------------------------------------------------------------------------------------------------


async def test_two_hundred_clients_of_all_kinds_do_not_hold_up_the_agent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual poll ticks meanwhile in the same loop: it is never late by more than a slow machine explains."""
    for name in ("STALL_S", "HALF_MESSAGE_S", "IDLE_S", "STRANGER_IDLE_S"):
        monkeypatch.setattr(client_limits, name, 0.3)
    bench.service.archive = b"x" * 1_000_000
    latest_s, ticks = 0.0, 0

    async def agent() -> None:
        nonlocal latest_s, ticks
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            ticks += 1
            latest_s = max(latest_s, time.monotonic() - due)

    ticking = asyncio.create_task(agent())
    clients: list[Client] = []
    for number in range(200):
        bench.uid = (0, 1000, 2000, 5555)[number % 4]
        client = await Client.connect(bench.path)
        clients.append(client)
        match number % 5:
            case 0:  # never reads
                client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # as above
                for _ in range(20):
                    client.send("Bundle")
            case 1:
                client.writer.write(GARBAGE[number % len(GARBAGE)])
            case 2:
                client.writer.write(b'{"method":')
            case 3:
                client.send("Subscribe", more=True)
            case _:
                for _ in range(20):
                    client.send("GetStatus")
    assert len(bench.server.connections) <= bench.max_clients + RESERVED
    for number in range(2000):
        bench.service.happen(number)
        if number % 100 == 0:
            bench.service.change("ready")
            await asyncio.sleep(0)
    seen = ticks
    await bench.until(lambda: ticks > seen + 20 and not [one for one in bench.server.connections if one._timers])
    for client in clients:
        client.close()
    await bench.until(lambda: not bench.server.connections)
    ticking.cancel()
    monkeypatch.setattr(client_limits, "IDLE_S", 600.0)
    good = await bench.client()
    assert (await good.call("GetStatus"))["status"]
    assert latest_s < scaled(1.0)


async def test_connections_beyond_the_limit_are_closed_at_once_but_not_those_of_root(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "socket")
    await bench.start(max_clients=4)
    readers = [await bench.client(uid=2000) for _ in range(4)]
    late = await bench.client(uid=1000)
    assert await late.closed() == b""
    ours = [await bench.client() for _ in range(RESERVED)]
    assert (await ours[-1].call("GetStatus"))["status"]
    assert await (await bench.client()).closed() == b""
    readers[0].close()
    ours[0].close()
    await bench.until(lambda: len(bench.server.connections) == 2 + RESERVED)
    assert (await (await bench.client()).call("GetStatus"))["status"]
    await bench.stop()


async def test_one_user_does_not_get_all_connections(bench: Bench) -> None:
    clients = [await bench.client(uid=2000) for _ in range(MAX_PER_UID)]
    assert await (await bench.client(uid=2000)).closed() == b""
    assert (await (await bench.client(uid=1000)).call("GetStatus"))["status"]
    assert (await clients[0].call("GetStatus"))["status"]


async def test_users_without_any_right_hold_few_connections_and_not_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = [await bench.client(uid=3000 + number) for number in range(MAX_STRANGERS)]
    for stranger in strangers:
        with pytest.raises(Refusal, match="NotAuthorized"):
            await stranger.call("GetStatus")
    assert await (await bench.client(uid=4000)).closed() == b""
    strangers[0].close()
    await bench.until(lambda: len(bench.server.connections) == MAX_STRANGERS - 1)
    following = await bench.client(uid=4000)
    assert await following.call("org.varlink.service.GetInfo")
    following.close()
    await bench.until(lambda: len(bench.server.connections) == MAX_STRANGERS - 1)
    monkeypatch.setattr(client_limits, "STRANGER_IDLE_S", 0.05)
    assert await (await bench.client(uid=4000)).closed() == b""


async def test_a_user_database_that_hangs_holds_up_only_its_own_client(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    over = threading.Event()
    monkeypatch.setattr(client_limits, "LOOKUP_S", 0.05)

    def hanging(_: Credentials) -> Right:
        over.wait(20)
        return Right.CONTROL

    monkeypatch.setattr(bench.authority, "right_of", hanging)
    stuck = await bench.client(uid=1000)
    ours = await bench.client()
    assert (await ours.call("GetStatus"))["status"]
    with pytest.raises(Refusal, match="NotAuthorized"):
        await stuck.call("GetStatus")
    over.set()


def test_the_bucket_grants_a_burst_and_then_a_trickle() -> None:
    bucket = Bucket(100.0)
    assert [bucket.take(100.0) for _ in range(WORK_BURST + 1)] == [True] * WORK_BURST + [False]
    assert bucket.take(100.0 + 1 / WORK_PER_S)
    assert not bucket.take(100.0 + 1 / WORK_PER_S)
    assert not bucket.full(200.0 - 70)
    assert bucket.full(1000.0)
    assert sum(bucket.take(10_000.0) for _ in range(100)) == WORK_BURST, "it does not save up more than that"


def test_admission_counts_out_as_it_counts_in() -> None:
    admission = Admission(2)
    assert admission.enter(1, trusted=False) is None
    assert admission.enter(2, trusted=False) is None
    assert admission.enter(3, trusted=False) is not None
    admission.leave(2)
    assert admission.enter(3, trusted=False) is None
    assert all(admission.enter_stranger() for _ in range(MAX_STRANGERS))
    assert not admission.enter_stranger()
    admission.leave_stranger()
    assert admission.enter_stranger()


# -- the socket file -------------------------------------------------------------------------------------------------


async def test_the_file_is_there_for_everybody_and_goes_away_at_the_end(bench: Bench) -> None:
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o666
    await bench.stop()
    assert not bench.path.exists()


async def test_a_socket_that_nobody_answers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    bench = Bench(path)
    bench.task = asyncio.create_task(bench.server.run())
    await bench.until(lambda: stat.S_IMODE(path.stat().st_mode) == 0o666)
    assert (await (await bench.client()).call("GetStatus"))["status"]
    await bench.stop()


async def test_a_socket_that_somebody_answers_is_left_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    second = Bench(bench.path)
    second.task = asyncio.create_task(second.server.run())
    await bench.until(lambda: "another program answers there" in caplog.text)
    await bench.until(lambda: not bench.server.connections)  # the second one only looked
    assert (await (await bench.client()).call("GetStatus"))["status"]
    await second.stop()
    assert bench.path.is_socket()


async def test_a_socket_whose_program_is_too_busy_to_answer_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "socket"
    waiting = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        before = path.stat().st_ino
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                waiting[-1].connect(str(path))
        except BlockingIOError:
            pass
        bench = Bench(path)
        bench.task = asyncio.create_task(bench.server.run())
        await bench.until(lambda: "another program answers there" in caplog.text)
        await bench.stop()
        assert path.stat().st_ino == before
        for one in waiting:
            one.close()


async def test_at_the_end_the_file_of_another_program_stays(bench: Bench) -> None:
    bench.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(bench.path))
        await bench.stop()
        assert bench.path.is_socket()


async def test_a_file_in_the_way_is_never_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "socket"
    path.write_text("precious", encoding="ascii")
    bench = Bench(path)
    bench.task = asyncio.create_task(bench.server.run())
    await bench.until(lambda: "something else than a socket" in caplog.text)
    await bench.stop()
    assert path.read_text(encoding="ascii") == "precious"


async def test_the_socket_comes_when_its_folder_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_server, "FIRST_PAUSE_S", 0.01)
    path = tmp_path / "run" / "socket"
    bench = Bench(path)
    bench.task = asyncio.create_task(bench.server.run())
    await asyncio.sleep(0)
    path.parent.mkdir()
    await bench.until(path.is_socket)
    assert (await (await bench.client()).call("GetStatus"))["status"]
    await bench.stop()


async def test_a_file_that_somebody_removed_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.stop()
    monkeypatch.setattr(socket_server, "LOOK_S", 0.01)
    await bench.start()
    before = os.stat(bench.path).st_ino
    kept = await bench.client()
    bench.path.rename(bench.path.with_suffix(".old"))
    await bench.until(bench.path.exists)
    assert os.stat(bench.path).st_ino != before
    assert (await (await bench.client()).call("GetStatus"))["status"]
    assert (await kept.call("GetStatus"))["status"], "who was connected stays so"


async def test_stopping_closes_all_connections_and_does_not_wait_for_anybody(bench: Bench) -> None:
    bench.service.may_go_on.clear()
    busy, calm = await bench.client(), await bench.client()
    busy.send("Rollback")
    await bench.until(lambda: bench.service.calls)
    await bench.stop()
    assert await busy.closed() == b""
    assert await calm.closed() == b""
