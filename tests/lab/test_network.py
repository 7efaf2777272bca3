"""The bad network: repeatable by seed, counted, and real between two UDP sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.lab.bench.network.impaired_network import Direction, ImpairedLink, Impairments, UdpProxy

BAD = Impairments(loss=0.2, duplicate=0.1, reorder=0.1, delay_s=0.05, jitter_s=0.02)


def history(seed: int, impairments: Impairments = BAD, count: int = 300) -> list[tuple[Direction, bytes, object]]:
    link = ImpairedLink(seed, up=impairments, down=impairments)
    arrived: list[tuple[Direction, bytes, object]] = []
    for number in range(count):
        link.offer("up" if number % 2 else "down", number.to_bytes(2, "big"), number * 0.01)
        arrived += link.due(number * 0.01)
    return arrived + link.due(1e9)


def test_the_same_seed_gives_the_same_history() -> None:
    assert history(7) == history(7)
    assert history(7) != history(8)


def test_impairments_happen_about_as_often_as_asked() -> None:
    link = ImpairedLink(1, up=BAD)
    for number in range(2000):
        link.offer("up", b"x", number * 1.0)
    counters = link.counters["up"]
    assert 340 <= counters.lost <= 460
    assert 120 <= counters.duplicated <= 200
    assert 120 <= counters.reordered <= 200
    assert len(link.due(1e9)) == counters.offered - counters.lost + counters.duplicated


def test_changing_the_duplicates_does_not_change_what_is_lost() -> None:
    def lost(impairments: Impairments) -> list[int]:
        link = ImpairedLink(3, up=impairments)
        return [n for n in range(200) if link.offer("up", b"x", 0.0) == "lost"]

    assert lost(Impairments(loss=0.3)) == lost(Impairments(loss=0.3, duplicate=0.5, reorder=0.5, jitter_s=1.0))


def test_directions_do_not_disturb_each_other() -> None:
    def lost_up(others: int) -> list[int]:
        link = ImpairedLink(3, up=Impairments(loss=0.3), down=Impairments(loss=0.3))
        lost = []
        for number in range(100):
            for _ in range(others):
                link.offer("down", b"y", 0.0)
            if link.offer("up", b"x", 0.0) == "lost":
                lost.append(number)
        return lost

    assert lost_up(0) == lost_up(3)


def test_a_reordered_datagram_is_overtaken() -> None:
    link = ImpairedLink(0, up=Impairments(reorder=1.0, reorder_s=0.05))
    link.offer("up", b"first", 0.0)
    link.impairments["up"] = Impairments()
    link.offer("up", b"second", 0.01)
    assert [data for _, data, _ in link.due(1.0)] == [b"second", b"first"]


def test_delay_is_kept() -> None:
    link = ImpairedLink(0, down=Impairments(delay_s=0.3))
    link.offer("down", b"x", 1.0)
    assert link.due(1.29) == []
    assert link.next_due_s == pytest.approx(1.3)
    assert len(link.due(1.3)) == 1


def test_blackout_and_filter_lose_what_they_should_and_the_tap_says_why() -> None:
    link = ImpairedLink(0, tap_size=10)
    link.drop_if = lambda direction, index, data: direction == "up" and index == 1
    assert [link.offer("up", b"x", 0.0) for _ in range(3)] == ["delivered", "filtered", "delivered"]
    link.blackout = True
    link.offer("down", b"y", 0.0)
    assert [seen.fate for seen in link.tap] == ["delivered", "filtered", "delivered", "blackout"]
    assert len(link.due(0.0)) == 2
    assert link.counters["up"].lost == 1


@given(st.integers(), st.lists(st.binary(max_size=20), max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_nothing_is_invented(seed: int, datagrams: list[bytes], loss: float, duplicate: float) -> None:
    link = ImpairedLink(seed, up=Impairments(loss=loss, duplicate=duplicate, jitter_s=0.5))
    for data in datagrams:
        link.offer("up", data, 0.0)
    arrived = [data for _, data, _ in link.due(10.0)]
    for data in set(arrived):
        assert arrived.count(data) <= 2 * datagrams.count(data)
    counters = link.counters["up"]
    assert counters.delivered == counters.offered - counters.lost + counters.duplicated


class Peer(asyncio.DatagramProtocol):
    def __init__(self, echo: bool) -> None:
        self.echo = echo
        self.received: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait((data, addr))
        if self.echo:
            self.transport.sendto(b"re:" + data, addr)

    async def next(self) -> tuple[bytes, tuple[str, int]]:
        async with asyncio.timeout(60):
            return await self.received.get()


class Path:
    def __init__(self, server: Peer, client: Peer, proxy: UdpProxy) -> None:
        self.server, self.client, self.proxy = server, client, proxy


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    loop = asyncio.get_running_loop()
    server_transport, server = await loop.create_datagram_endpoint(lambda: Peer(True), local_addr=("127.0.0.1", 0))
    address = server_transport.get_extra_info("sockname")
    async with UdpProxy(address, ImpairedLink(tap_size=100)) as proxy:
        client_transport, client = await loop.create_datagram_endpoint(lambda: Peer(False), remote_addr=proxy.address)
        yield Path(server, client, proxy)
        client_transport.close()
    server_transport.close()


async def test_datagrams_go_there_and_back_and_are_counted(path: Path) -> None:
    path.client.transport.sendto(b"hello")
    assert (await path.client.next())[0] == b"re:hello"
    up, down = path.proxy.link.counters["up"], path.proxy.link.counters["down"]
    assert (up.delivered, up.delivered_bytes) == (1, 5)
    assert (down.delivered, down.delivered_bytes) == (1, 8)
    assert [(seen.direction, seen.data) for seen in path.proxy.link.tap] == [("up", b"hello"), ("down", b"re:hello")]


async def test_after_rebinding_the_server_sees_another_port(path: Path) -> None:
    path.client.transport.sendto(b"one")
    _, before = await path.server.next()
    await path.client.next()
    path.proxy.rebind()
    path.client.transport.sendto(b"two")
    _, after = await path.server.next()
    assert before[1] != after[1]
    path.server.transport.sendto(b"to the old binding", before)
    path.server.transport.sendto(b"to the new binding", after)
    assert (await path.client.next())[0] == b"re:two"
    assert (await path.client.next())[0] == b"to the new binding"


async def offered(path: Path, count: int) -> None:
    """Wait until ``count`` more datagrams have come in from the client."""
    seen: asyncio.Queue[Direction] = asyncio.Queue()
    path.proxy.link.observer = lambda datagram: seen.put_nowait(datagram.direction)
    async with asyncio.timeout(60):
        while count:
            count -= await seen.get() == "up"


async def test_in_a_blackout_nothing_passes_until_it_ends(path: Path) -> None:
    path.proxy.set_link_up(False)
    path.client.transport.sendto(b"lost")
    await offered(path, 1)
    path.proxy.set_link_up(True)
    path.client.transport.sendto(b"kept")
    assert (await path.server.next())[0] == b"kept"
    assert path.server.received.empty()


async def test_a_silent_server_does_not_disturb_the_proxy(path: Path) -> None:
    path.server.transport.close()
    for _ in range(3):
        path.client.transport.sendto(b"anyone?")
    await offered(path, 3)
    path.client.transport.sendto(b"still there?")
    await offered(path, 1)
    assert path.proxy.link.counters["up"].delivered == 4
