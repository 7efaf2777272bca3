"""Agent and eIM of v1.0, v1.1, v1.2 and v1.3 in every pair: orders are carried out, and nothing is left anywhere."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import EimClient, PeerDialect
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.policy import Wake
from ipad_agent.wiring.eim_links import _WRITTEN_AS
from virtual_time import run

from . import agent_bench
from .agent_bench import AgentBench, Links, SteppingCarrier

RELEASES = ("1.0", "1.1", "1.2", "1.3")
HOUR_S = 3600.0


class DialectLinks(Links):
    """Links of an agent that is told which release its eIM speaks; None: it has to find out."""

    told: str | None = None

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        dialect = PeerDialect(config.eim_id, "auto" if self.told is None else _WRITTEN_AS[self.told])
        carrier = SteppingCarrier(self._network, config.eim_id)
        return EimClient(carrier, eid, eim_id=config.eim_id, dialect=dialect)


@pytest.mark.parametrize(("told", "speaks"), [*product(RELEASES, RELEASES), *((None, one) for one in RELEASES)])
def test_every_pair_of_releases_works(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, speaks: str
) -> None:
    async def story() -> None:
        monkeypatch.setattr(DialectLinks, "told", told)
        monkeypatch.setattr(agent_bench, "Links", DialectLinks)
        bench = AgentBench(pki_folder)
        bench.eim.settings.dialect = speaks
        orders = [
            bench.order("list-profiles"),
            bench.order("enable", OPERATOR_A, "--rollback"),
            bench.order("data-request", "smdp,info1,info2,smds,token,ipa,device"),
        ]
        bench.start()
        await bench.until(HOUR_S)
        bench.agent.poke(Wake.COMMAND)
        await bench.until(2 * HOUR_S)
        assert {order.label: order.state for order in orders} == {order.label: "done" for order in orders}
        variants = [cast(Any, result)["facts"].get("variant") for result in bench.results]
        assert variants.count("result") >= 2
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.card.state.results == []
        assert not bench.journal.entries()
        await bench.stop()

    run(story())
