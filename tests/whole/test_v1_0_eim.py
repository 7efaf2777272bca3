"""The whole agent with an eIM that reads v1.0 and nothing else: the power may fail at any moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import EimClient, PeerDialect
from ipad_agent.lab.eim import VirtualEim
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B
from ipad_agent.net import PeerStatus
from ipad_agent.store import Memory
from virtual_time import run

from .agent_bench import CALM, AgentBench, Links, Steps

SOON = replace(CALM, first_s=1.0, phase_window_s=0.0, backoff_first_s=10.0, backoff_local_s=10.0, interval_s=3600.0)


class Connections:
    """Implements ``Carrier``: says the eIM's status, and is another connection after each ``close``."""

    scheme = "direct"
    bytes_sent = bytes_received = 0
    made = 0

    def __init__(self, eim: VirtualEim) -> None:
        self._eim = eim
        self._begin()

    def _begin(self) -> None:
        Connections.made += 1
        self._peer = f"connection {Connections.made}"

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        await asyncio.sleep(0)
        reply = self._eim.exchange(body, peer=self._peer)
        if reply.code is not None:
            raise PeerStatus(reply.code)
        return reply.body

    async def close(self) -> None:
        self._begin()


class Remembered:
    """What ``rooms`` keeps of one eIM."""

    def __init__(self, bench: AgentBench) -> None:
        self._memory = Memory(bench.disk, state_dir="/state", runtime_dir="/run")

    def load(self) -> dict[str, object]:
        return dict(self._memory.load("dialects"))

    def save(self, document: object) -> None:
        assert isinstance(document, dict)
        self._memory.save("dialects", document)


class OldLinks(Links):
    """Links of one process."""

    def __init__(self, bench: AgentBench) -> None:
        super().__init__(bench.network)
        self._bench = bench
        self._links: dict[str, EimClient] = {}

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        if config.eim_id not in self._links:
            dialect = PeerDialect(config.eim_id, "auto", Remembered(self._bench))
            carrier = Connections(self._bench.network.eims[config.eim_id])
            self._links[config.eim_id] = EimClient(carrier, eid, eim_id=config.eim_id, dialect=dialect)
        return self._links[config.eim_id]


class OldBench(AgentBench):
    """``steps`` are those of the card alone: a request that is on its way is another story."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, settings=SOON)
        self.network.steps = Steps()
        self.eim.settings.dialect, self.eim.settings.only_v1_0 = "1.0", True
        self.order("enable", OPERATOR_A)
        self.order("delete", OPERATOR_B)

    def links_of_agent(self) -> Links:
        return OldLinks(self)

    def check(self, at: object = "") -> None:
        assert self.card.enabled_iccid == OPERATOR_A, at
        assert OPERATOR_B not in self.card.profile_states(), at
        assert self.journal.entries() == (), at
        assert self.card.state.results == [], at
        assert self.card.state.notifications == [], at
        assert [order.state for order in self.eim.device(self.card.eid).finished] == ["done"] * 2, at
        assert len(self.results) == 2, at
        # The one form that it cannot read is the first question, which costs no order.
        crashes = [entry for entry in self.eim.history if entry["kind"] == "crash"]
        assert {entry["why"] for entry in crashes} <= {"unexpected 82"}, at


async def undisturbed(folder: Path) -> int:
    bench = OldBench(folder)
    bench.start()
    await bench.until(100)
    await bench.stop()
    bench.check()
    return bench.steps.count


async def interrupted(folder: Path, at: int) -> None:
    bench = OldBench(folder)
    reached = asyncio.Event()
    bench.steps.at, bench.steps.action = at, reached.set
    bench.start()
    await asyncio.wait_for(reached.wait(), 1000)
    await bench.kill()
    bench.start()
    await asyncio.sleep(9000)
    await bench.stop()
    bench.check(at)


@pytest.mark.usefixtures("disk_is_looked_after_hourly")
def test_after_a_power_cut_at_any_moment_it_hears_every_result_once(pki_folder: Path) -> None:
    steps = run(undisturbed(pki_folder))
    assert steps > 40
    for at in range(1, steps + 1):
        run(interrupted(pki_folder, at))
