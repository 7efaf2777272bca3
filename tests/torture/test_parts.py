"""The world of the torture run does what the stories rely on."""

from __future__ import annotations

import asyncio
import contextvars
import random

import pytest

from ipad_agent.errors import NetworkError
from ipad_agent.net.dtls.dtls_backend import DtlsSettings, Ended, Established
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.store.memory_filesystem import MemoryFilesystem, PowerCut
from ipad_agent.torture.world.dtls_stand_in import StandInBackend, StandInServer
from ipad_agent.torture.world.process_fence import FencedDisk, ProcessFence
from ipad_agent.torture.world.simulated_network import SimulatedNetwork, Weather
from ipad_agent.torture.world.virtual_time_loop import OWNER, EverythingWaits, TortureLoop, run

SETTINGS = DtlsSettings("eim", "trust")


def trusting(certificates: object) -> Verdict:
    return Verdict(how="it is only a test")


def shake_hands(backend: StandInBackend, gate: StandInServer, peer: tuple[str, int] = ("device", 1)) -> list[object]:
    client = backend.client(SETTINGS, trusting)
    client.start(0.0)
    (hello,) = client.take()
    answer, _ = gate.receive(hello, peer)
    assert answer is not None
    return list(client.feed(answer, 0.1))


def test_days_pass_without_waiting() -> None:
    async def log(loop: TortureLoop) -> float:
        await asyncio.sleep(3 * 86_400.0)
        return loop.time()

    assert run(log) == pytest.approx(1000.0 + 3 * 86_400.0)


def test_a_world_that_would_stand_still_is_noticed() -> None:
    async def log(loop: TortureLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(EverythingWaits):
        run(log)


def test_a_strike_comes_between_two_steps_and_only_once() -> None:
    async def log(loop: TortureLoop) -> list[int]:
        struck: list[int] = []
        loop.strike(3, lambda: struck.append(loop.steps))
        for _ in range(10):
            await asyncio.sleep(0)
        return struck

    assert len(run(log)) == 1


def test_the_timers_of_a_process_are_told_apart_from_those_of_the_world() -> None:
    async def log(loop: TortureLoop) -> list[int]:
        counts = []
        loop.call_later(5.0, lambda: None)
        counts.append(loop.owned_timers())
        context = contextvars.copy_context()
        context.run(OWNER.set, ProcessFence(1))
        context.run(loop.call_later, 5.0, lambda: None)
        counts.append(loop.owned_timers())
        await asyncio.sleep(10.0)
        counts.append(loop.owned_timers())
        return counts

    assert run(log) == [0, 1, 0]


def test_a_dead_process_writes_nothing_any_more() -> None:
    owner, disk = ProcessFence(1), MemoryFilesystem()
    file = FencedDisk(disk, owner).create("/state/x")
    owner.alive = False
    with pytest.raises(PowerCut):
        file.write(b"too late")
    with pytest.raises(PowerCut):
        FencedDisk(disk, owner).create("/state/y")
    assert disk.read("/state/x") == b""
    assert disk.names() == {"/state/x"}


def test_a_session_is_resumed_until_the_server_forgets() -> None:
    backend, gate = StandInBackend(), StandInServer(b"certificate")
    resumed = []
    for port, forget in ((1, False), (2, False), (3, True)):
        if forget:
            gate.forget()
        (established,) = shake_hands(backend, gate, ("device", port))
        assert isinstance(established, Established)
        resumed.append(established.resumed)
    assert resumed == [False, True, False]


def test_a_resumed_session_is_judged_as_well() -> None:
    backend, gate = StandInBackend(), StandInServer(b"certificate")
    shake_hands(backend, gate)

    def refuse(certificates: object) -> Verdict:
        raise NetworkError("not this one")

    client = backend.client(SETTINGS, refuse)
    client.start(0.0)
    answer, _ = gate.receive(client.take()[0], ("device", 2))
    assert answer is not None
    (ended,) = client.feed(answer, 0.1)
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert not backend.has_session(SETTINGS)


def test_an_impostor_shows_its_own_certificate_and_gets_caught_with_data() -> None:
    backend, gate = StandInBackend(), StandInServer(b"right", b"wrong", impostor=True)
    betrayed: list[int] = []
    gate.on_betrayal = lambda: betrayed.append(1)
    seen: list[object] = []

    def credulous(certificates: object) -> Verdict:
        seen.append(certificates)
        return Verdict(how="everybody is")

    client = backend.client(SETTINGS, credulous)
    client.start(0.0)
    answer, _ = gate.receive(client.take()[0], ("device", 1))
    assert answer is not None
    client.feed(answer, 0.1)
    client.send(b"a secret")
    assert gate.receive(client.take()[0], ("device", 1)) == (None, None)
    assert (seen, betrayed) == ([[b"wrong"]], [1])


def test_data_from_another_port_belongs_to_no_session() -> None:
    backend, gate = StandInBackend(), StandInServer(b"certificate")
    client = backend.client(SETTINGS, trusting)
    client.start(0.0)
    answer, _ = gate.receive(client.take()[0], ("device", 1))
    assert answer is not None
    client.feed(answer, 0.1)
    client.send(b"hello")
    (datagram,) = client.take()
    assert gate.receive(datagram, ("device", 2)) == (None, None)
    assert gate.receive(datagram, ("device", 1)) == (None, b"hello")


class Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)


@pytest.mark.parametrize(
    ("weather", "covered", "copies"),
    [(Weather(), True, 1), (Weather(), False, 0), (Weather(loss=1.0), True, 0), (Weather(duplicate=1.0), True, 2)],
)
def test_the_air_loses_doubles_and_needs_coverage(weather: Weather, covered: bool, copies: int) -> None:
    async def log(loop: TortureLoop) -> int:
        network = SimulatedNetwork(loop, random.Random(1), lambda: covered)
        loop.sockets, network.weather, network.gates["eim"] = network, weather, StandInServer(b"certificate")
        await loop.create_datagram_endpoint(Listener, local_addr=("eim", 5684))
        socket, device = await loop.create_datagram_endpoint(Listener, remote_addr=("eim", 5684))
        client = StandInBackend().client(SETTINGS, trusting)
        client.start(loop.time())
        before = network.datagrams
        socket.sendto(client.take()[0])
        await asyncio.sleep(10.0)
        assert isinstance(device, Listener)
        assert network.datagrams > before
        return len(device.heard)

    # What goes up is doubled, and each of the two answers is doubled again.
    assert run(log) == copies**2
