"""A long answer over links that lose datagrams or die, in virtual time: the real CoAP of the agent against the lab's
server, with a stand-in for DTLS in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ipad_agent.lab.eim import CoapsServer
from ipad_agent.lab.eim.esipa_application import Reply
from ipad_agent.net import CoapsCarrier, CoapsEndpoint, ConnectionLost, TransferTimeout, Trust, Unreachable
from ipad_agent.net.dns_lookup import Address
from ipad_agent.torture.peers.torture_pki import torture_pki
from ipad_agent.torture.world.dtls_stand_in import StandInBackend, StandInServer
from ipad_agent.torture.world.simulated_network import SimulatedNetwork, Weather
from ipad_agent.torture.world.torture_world import TortureClock
from ipad_agent.torture.world.virtual_time_loop import TortureLoop, run

EIM = "eim.test"
PACKAGE = random.Random(60).randbytes(60_000)


class Package:
    """Answers everything with the package, and counts how often it was asked."""

    asked = 0

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        self.asked += 1
        return Reply(PACKAGE)


class Link:
    """A carrier, the network it goes through, and the server behind it."""

    def __init__(self, loop: TortureLoop, *, seed: int, **changes: Any) -> None:
        self.loop, self.package = loop, Package()
        self.network = loop.sockets = SimulatedNetwork(loop, random.Random(seed), lambda: True)
        random.seed(seed)
        leaf = torture_pki()["eim-tls-self"]
        self.gate = self.network.gates[EIM] = StandInServer(leaf.cert_der)
        self.server = CoapsServer(self.package, dtls=None, host=EIM, port=5684)

        async def lookup(host: str, port: int) -> list[Address]:
            return [Address(2, (EIM, port))]

        self.carrier = CoapsCarrier(
            CoapsEndpoint(EIM, Trust.spki(leaf.spki_der), **changes),
            backend=StandInBackend(),
            clock=TortureClock(loop),
            resolver=lookup,
        )

    async def fetch(self, function: str = "GetBoundProfilePackage") -> float:
        """How long it took, in seconds; the answer is the right one."""
        began_s = self.loop.time()
        answer = await self.carrier.exchange(b"\xbf\x3a\x00", function=function)
        assert answer == PACKAGE
        return self.loop.time() - began_s

    async def until(self, datagrams: int) -> None:
        """Until so many have been under way."""
        while self.network.datagrams < datagrams:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.05)


def over(story: Callable[[Link], Coroutine[Any, Any, Any]], *, seed: int = 1, loss: float = 0.0, **changes: Any) -> Any:
    async def told(loop: TortureLoop) -> Any:
        link = Link(loop, seed=seed, **changes)
        await link.server.start()
        await link.carrier.reach()
        link.network.weather = Weather(loss=loss, delay_s=0.05)
        try:
            return await story(link)
        finally:
            await link.carrier.close()
            await link.server.stop()

    return run(told)


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.1, 0.2, 0.3])
def test_a_package_of_60_kb_comes_over_a_link_that_loses_datagrams(loss: float) -> None:
    took_s = sorted(over(Link.fetch, seed=seed, loss=loss) for seed in range(12))
    usual_s, longest_s = {0.0: (7, 7), 0.05: (15, 20), 0.1: (20, 30), 0.2: (60, 90), 0.3: (120, 180)}[loss]
    assert took_s[-2] <= usual_s, took_s
    assert took_s[-1] <= longest_s, took_s


def test_several_blocks_at_a_time_take_a_fraction_of_the_time() -> None:
    alone_s, together_s = over(Link.fetch), over(Link.fetch, nstart=4)
    assert together_s < alone_s / 3
    assert over(Link.fetch, nstart=4, loss=0.2) < 25


def test_a_path_that_answers_slowly_is_not_flooded_with_repetitions() -> None:
    async def story(link: Link) -> int:
        await link.fetch()
        link.network.weather = Weather(delay_s=0.6)  # from 0.1 s there and back to 1.2 s
        before = link.carrier.traffic.retransmissions
        await link.fetch()
        return link.carrier.traffic.retransmissions - before

    assert over(story) <= 8  # of some 60 requests


def test_a_transfer_goes_on_where_it_stopped_after_three_silent_minutes() -> None:
    async def story(link: Link) -> tuple[float, int]:
        fetching = asyncio.ensure_future(link.fetch())
        await link.until(60)
        link.network.blackout = True
        link.loop.call_later(180.0, setattr, link.network, "blackout", False)
        took_s = await fetching
        return took_s, link.network.datagrams

    took_s, datagrams = over(story)
    assert took_s < 300
    assert datagrams < 240  # the first half was not fetched twice


@pytest.mark.parametrize("function", ["ProvideEimPackageResult", "GetBoundProfilePackage"])
def test_a_server_that_does_not_know_the_transfer_is_only_asked_again_where_that_is_harmless(function: str) -> None:
    async def story(link: Link) -> int:
        fetching = asyncio.ensure_future(link.fetch(function))
        await link.until(60)
        link.network.rebind()  # the old session is one of the old address
        await fetching
        return link.package.asked

    if function == "ProvideEimPackageResult":
        assert over(story) == 2
    else:
        with pytest.raises(TransferTimeout, match="has not kept"):
            over(story)


def test_a_link_that_stays_dead_ends_the_exchange_at_the_deadline_without_progress() -> None:
    async def story(link: Link) -> float:
        fetching = asyncio.ensure_future(link.fetch())
        await link.until(60)
        link.network.blackout = True
        died_s = link.loop.time()
        with pytest.raises((TransferTimeout, Unreachable, ConnectionLost)):
            await fetching
        return link.loop.time() - died_s

    assert 300 <= over(story) < 310


def test_a_slow_transfer_that_makes_progress_is_not_cut_off() -> None:
    assert over(Link.fetch, loss=0.3, exchange_timeout_s=40.0) > 40


def test_a_server_that_gives_tiny_blocks_slowly_does_not_hold_the_poll_for_ever() -> None:
    async def story(link: Link) -> float:
        link.network.weather = Weather(delay_s=0.5)
        began_s = link.loop.time()
        with pytest.raises(TransferTimeout, match="took over 1800 s"):
            await link.fetch()
        return link.loop.time() - began_s

    assert over(story, block_size_exp=0) == pytest.approx(1800, abs=1)


def test_blocks_get_smaller_where_large_ones_do_not_get_through() -> None:
    async def story(link: Link) -> None:
        fetching = asyncio.ensure_future(link.fetch())
        await link.until(60)
        carry = link.network.down

        def narrow(data: bytes, peer: tuple[str, int]) -> None:
            if len(data) <= 700:
                carry(data, peer)

        link.network.down = narrow  # type: ignore[method-assign]
        await fetching
        assert link.carrier._size_exp == 5
        assert link.package.asked == 1

    over(story)
