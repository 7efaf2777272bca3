"""Whole devices in memory whose one size is given, and what the agent spends in them on one piece of work.

Agent, card, eIM and SM-DP+ run in one process and in virtual time, so what is counted is the agent's own: calls of its
functions and of those it calls back, their processor time, and what it writes to its disk. The lab's part is left out.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import ipad_agent
from ipad_agent import events
from ipad_agent.lab.euicc.state.card_state import Profile
from ipad_agent.lab.euicc.state.profile_list import free_aid, with_check_digit
from ipad_agent.lab.smdp import Metadata, Order, ProfilePackage, with_notifications
from ipad_agent.local.local_verbs import Service
from ipad_agent.local.varlink.client_connection import Connection
from ipad_agent.local.varlink.peer_credentials import Credentials, UnixAuthority
from ipad_agent.local.varlink.socket_server import Server
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.store.filesystem import File
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.torture.history.fault_history import COAP, STRAIGHT, History, Setting
from ipad_agent.torture.promises.promise_checks import owed
from ipad_agent.torture.world.torture_world import START_S, World
from ipad_agent.torture.world.virtual_time_loop import TortureLoop, run

PACKAGE: Final = Path(ipad_agent.__file__).parent
NOT_THE_AGENT: Final = (PACKAGE / "lab", PACKAGE / "torture", PACKAGE / "store" / "memory_filesystem.py")
CARD_BYTES: Final = 4_000_000
DAY_S: Final = 86_400.0
SUBSCRIBE: Final = {"method": "io.github.ipadagent.Subscribe", "parameters": {}, "more": True}


@dataclass(frozen=True, slots=True)
class Spent:
    """What one piece of work took of the agent: calls of its functions, processor time under the profiler, bytes
    written to the state folder, and bytes sent to the clients of its socket."""

    calls: int
    cpu_s: float
    written_bytes: int = 0
    sent_bytes: int = 0


class CountingDisk(MemoryFilesystem):
    """Counts bytes and files that are written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written_bytes = self.files = 0

    def create(self, path: str) -> File:
        """A file is written anew."""
        self.files += 1
        return super().create(path)

    def room(self, size_bytes: int) -> int:
        """As asked before each write."""
        self.written_bytes += size_bytes
        return super().room(size_bytes)


class Meter:
    """Counts while it is entered. Functions in C count as part of the one that calls them."""

    def __init__(self, disk: CountingDisk) -> None:
        self._disk = disk
        self._profile = cProfile.Profile(time.process_time, builtins=False)

    def __enter__(self) -> None:
        self._before_bytes = self._disk.written_bytes
        self._profile.enable()

    def __exit__(self, *_: object) -> None:
        self._profile.disable()
        self._written_bytes = self._disk.written_bytes - self._before_bytes

    @property
    def share(self) -> float:
        """The agent's share of all processor time."""
        return self.spent().cpu_s / sum(entry.inlinetime for entry in self._profile.getstats())

    def spent(self, *, sent_bytes: int = 0) -> Spent:
        calls, cpu_s = 0, 0.0
        for entry in self._profile.getstats():
            if not isinstance(entry.code, str) and _is_agent(entry.code.co_filename):
                calls += entry.callcount
                cpu_s += entry.inlinetime
        return Spent(calls, cpu_s, self._written_bytes, sent_bytes)


class Grown:
    """A device in a story."""

    def __init__(self, loop: TortureLoop, setting: Setting) -> None:
        self.disk = CountingDisk()
        self.world = World(loop, History(1, setting))
        self.world.disk = self.disk
        self.world.card.state.free_memory_bytes = CARD_BYTES

    @property
    def eim(self) -> Any:
        return self.world.associated[0]

    def poll(self) -> None:
        """Now, every eIM."""
        assert self.world.process is not None
        self.world.process.agent.poke(Wake.COMMAND)

    async def at_rest(self) -> None:
        """Until nothing is owed to anybody and nothing waits."""
        await until(lambda: not owed(self.world), look_s=60.0)

    def add_profile(self, number: int) -> None:
        """Another disabled profile on the card."""
        aid = free_aid(self.world.card.state.profiles)
        assert aid is not None
        iccid = with_check_digit(f"894902001{number:09d}")
        self.world.card.state.profiles.append(Profile(iccid, aid, f"Profile {number}", "An operator"))
        self.world.card.isdr.commit()

    def add_eim(self, number: int) -> None:
        """Another eIM that the card knows."""
        eim_id = f"eim-{number}.lab.example"
        self.world.observed_eims[eim_id] = self.world._make_desk(eim_id)
        self.world._associate(eim_id)


def coap_download(size_bytes: int) -> Spent:
    """The same as ``direct_download`` through the eIM and over CoAP, which takes up to 256 kB."""
    return _download(size_bytes, over_coap=True)


def direct_download(size_bytes: int) -> Spent:
    """From the order to the acknowledged result: a profile of this size straight from its SM-DP+."""
    return _download(size_bytes, over_coap=False)


def _download(size_bytes: int, *, over_coap: bool) -> Spent:

    async def story(device: Grown) -> Spent:
        code = f"GROWTH-{size_bytes}"
        iccid = with_check_digit("894902009000000002")
        metadata = Metadata(iccid, notify=with_notifications("smdp.lab.example"))
        device.world.smdp.orders.add(Order(code, ProfilePackage.sample(metadata, size_bytes)))
        meter = Meter(device.disk)
        with meter:
            order = device.eim.order(f"trigger LPA:1$smdp.lab.example${code}")
            device.poll()
            await until(lambda: order.state in ("done", "failed"))
            await device.at_rest()
        if iccid not in device.world.card.profile_states():
            raise RuntimeError(f"a profile of {size_bytes} bytes was not installed")
        return meter.spent()

    return live(story, Setting(carrier=COAP) if over_coap else Setting(carrier=STRAIGHT, direct=True))


def start_with_profiles(count: int) -> Spent:
    """From the start of the program to the end of its first poll, and one status after it."""

    async def story(device: Grown) -> Spent:
        world = device.world
        world.fell("kill", 1.0)
        await until(lambda: not world.alive)
        meter = Meter(device.disk)
        with meter:
            await until(lambda: world.alive and world.runs == 2)
            polls = device.eim.polls
            await asyncio.sleep(30.0)
            device.poll()
            await until(lambda: device.eim.polls > polls)
            await asyncio.sleep(30.0)
            assert world.process is not None
            shown = world.process.agent.board.snapshot()
        if len(shown.profiles) < count:
            raise RuntimeError(f"{len(shown.profiles)} profiles are shown instead of {count} and more")
        return meter.spent()

    def prepare(device: Grown) -> None:
        for number in range(count):
            device.add_profile(number)

    return live(story, Setting(carrier=STRAIGHT), prepare)


def poll_round(count: int) -> Spent:
    """One idle poll of each eIM."""

    async def story(device: Grown) -> Spent:
        eims = device.world.associated
        polls = [eim.polls for eim in eims]
        meter = Meter(device.disk)
        with meter:
            device.poll()
            await until(lambda: all(eim.polls > before for eim, before in zip(eims, polls, strict=True)))
            await asyncio.sleep(30.0)
        if len(eims) != count:
            raise RuntimeError(f"the card has {len(eims)} eIMs instead of {count}")
        return meter.spent()

    def prepare(device: Grown) -> None:
        for number in range(1, count):
            device.add_eim(number)

    return live(story, Setting(carrier=STRAIGHT), prepare)


def delivery(count: int) -> Spent:
    """From when eIMs take results again to when the last of so many owed ones is acknowledged; four eIMs, since work is
    no longer fetched from one that has refused two dozen."""

    async def story(device: Grown) -> Spent:
        eims = device.world.associated
        for number in range(count):
            eim = eims[number % len(eims)]
            eim.eim.refuse_results(eim.order("list-profiles"), again=False)
        while (waiting := len(device.world.card.state.results)) < count:
            device.poll()
            await until(lambda: len(device.world.card.state.results) > waiting)
            await asyncio.sleep(300.0)
        for eim in eims:
            eim.eim.take_results()
        meter = Meter(device.disk)
        with meter:
            device.poll()
            await device.at_rest()
        return meter.spent()

    def prepare(device: Grown) -> None:
        for number in range(1, 4):
            device.add_eim(number)

    return live(story, Setting(carrier=STRAIGHT), prepare)


def status_to_clients(count: int) -> Spent:
    """One idle poll, every change of which is told to so many subscribers of the socket."""

    async def story(device: Grown) -> Spent:
        assert device.world.process is not None
        service = cast(Service, _Board(device.world.process.agent.board))
        authority = UnixAuthority(read_group="", control_group="")
        server = Server(service, Path("/nowhere"), authority, version="1", max_clients=count)
        clients = [MemoryClient(server) for _ in range(count)]
        for client in clients:
            client.call(SUBSCRIBE)
        await asyncio.sleep(5.0)
        if any(not client.received_bytes for client in clients):
            raise RuntimeError("a client that has subscribed was told nothing")
        before_bytes = sum(client.received_bytes for client in clients)
        polls = device.eim.polls
        meter = Meter(device.disk)
        with meter:
            device.poll()
            await until(lambda: device.eim.polls > polls)
            await asyncio.sleep(30.0)
        for client in clients:
            client.connection.close()
        return meter.spent(sent_bytes=sum(client.received_bytes for client in clients) - before_bytes)

    return live(story, Setting(carrier=STRAIGHT))


class MemoryClient(asyncio.Transport):
    """A client of the socket and the transport to it; reads at once and counts."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.received_bytes = 0
        self._closing = False
        self.connection = Connection(server, Credentials(1, 0, 0))
        server.admission._by_uid[0] = server.admission._by_uid.get(0, 0) + 1  # one user may have fewer
        self.connection.connection_made(self)

    def call(self, message: dict[str, object]) -> None:
        self.connection.data_received(json.dumps(message).encode() + b"\0")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received_bytes += len(data)

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True
        self.connection.connection_lost(None)

    close = abort

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None


class _Board:
    """Of ``Service`` what a subscription needs, as the daemon has it."""

    def __init__(self, board: Any) -> None:
        self.status, self.watch, self.listen, self.recent = board.snapshot, board.watch, board.listen, board.recent


async def until(holds: Callable[[], object], *, look_s: float = 1.0) -> None:
    """In virtual time, looked at so often. Raises ``RuntimeError`` after ten days."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 10 * DAY_S
    while not holds():
        if loop.time() > end_s:
            raise RuntimeError("what was waited for did not happen in ten days")
        await asyncio.sleep(look_s)


def live(
    story: Callable[[Grown], Awaitable[Spent]], setting: Setting, prepare: Callable[[Grown], None] = lambda _: None
) -> Spent:
    """Tell a story on a device of its own that is at rest. Raises ``RuntimeError`` when a promise was broken."""

    async def whole(loop: TortureLoop) -> Spent:
        device = Grown(loop, setting)
        prepare(device)
        unlisten = events.listen(device.world.heard)
        try:
            await device.world.begin()
            await asyncio.sleep(DAY_S / 2)
            await device.at_rest()
            spent = await story(device)
        finally:
            unlisten()
            await device.world.end()
        if device.world.violations:
            raise RuntimeError("; ".join(one.sentence for one in device.world.violations.values()))
        return spent

    with _quiet():
        return run(whole, now_s=START_S)


@contextmanager
def _quiet() -> Iterator[None]:
    """No log, and dice of their own."""
    state, before = random.getstate(), logging.root.manager.disable
    random.seed("growth")
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
        random.setstate(state)


def _is_agent(file: str) -> bool:
    path = Path(file)
    return PACKAGE in path.parents and not any(part == path or part in path.parents for part in NOT_THE_AGENT)
