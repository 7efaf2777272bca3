"""Further eIMs on the bench: each with its own name, keys and way, all of them known to one card."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.second_eim import EimSpot
from ipad_agent.lab.crypto import der
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.modem import AtEngine
from ipad_agent.lab.modem.line.memory_port import MemoryPort

from .by_hand import Hand, get_eim_package, provide_result

SECOND, THIRD = "second.lab.example", "third.lab.example"
SPOTS = (EimSpot(SECOND, "https", ask_for_token=False), EimSpot(THIRD))


async def test_each_eim_orders_with_its_own_key_and_token() -> None:
    async with Bench(BenchOptions(provision="card", more_eims=SPOTS)) as bench:
        entries = {entry.eim_id: entry for entry in bench.card.state.eims}
        assert list(entries) == [bench.identity.eim_id, SECOND, THIRD]
        assert [entry.token for entry in entries.values()] == [1, None, 2]
        assert len({entry.spki for entry in entries.values()}) == 3
        hand = Hand(MemoryPort(AtEngine(bench.slot, bench.options.modem_options(), coverage=bench.coverage)))
        hand.open()
        for eim_id, eim in ((None, bench.eim), (SECOND, bench.eims[SECOND].eim), (THIRD, bench.eims[THIRD].eim)):
            bench.order("list-profiles", eim_id=eim_id)
            package = der.parse(eim.exchange(get_eim_package(bench.eid)).body).children[0].raw
            result, _ = hand.es10(package)
            eim.exchange(provide_result(bench.eid, result))
            entry = await eim.entry("result", deadline_s=1)
            assert entry["ok"] is True
            assert entry["facts"]["signature"].startswith("right")


async def test_an_eim_that_is_not_on_the_card_can_be_added_by_order() -> None:
    spot = EimSpot(SECOND, on_card=False)
    async with Bench(BenchOptions(provision="card", more_eims=[spot])) as bench:
        assert [entry.eim_id for entry in bench.card.state.eims] == [bench.identity.eim_id]
        site = bench.eims[SECOND]
        assert bench.card.associate_eim(
            SECOND, site.identity.signing_spki, token=-1, fqdn=f"localhost:{site.port}"
        ) == (site.eim.eim.device(bench.eid).token)


async def test_the_agents_configuration_names_every_eim() -> None:
    spots = (EimSpot(SECOND, "https", config={"binding": "json"}), EimSpot(THIRD))
    async with Bench(BenchOptions(provision="agent", more_eims=spots)) as bench:
        rows = tomllib.loads((bench.folder / "agent.toml").read_text())["eim"]
        assert [row["id"] for row in rows] == [bench.identity.eim_id, SECOND, THIRD]
        assert rows[1]["port"] == bench.eims[SECOND].port
        assert rows[1]["binding"] == "json"
        initial = der.parse((bench.folder / "initial-eim.der").read_bytes())
        assert len(initial.get(0xA0).children) == 3


async def test_no_network_is_no_network_for_every_eim() -> None:
    async with Bench(BenchOptions(provision="card", more_eims=SPOTS)) as bench:
        gate, proxy = bench.eims[SECOND].gate, bench.eims[THIRD].proxy
        assert gate is not None
        assert proxy is not None
        bench.set_link_up(False)
        assert (gate.up, proxy.link.blackout) == (False, True)
        bench.set_link_up(True)
        assert (gate.up, proxy.link.blackout) == (True, False)


async def test_a_used_folder_keeps_the_keys_of_every_eim(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        async with Bench(BenchOptions(provision="card", more_eims=SPOTS), tmp_path) as bench:
            keys.append(
                [
                    (site.identity.signing_spki, site.identity.tls.spki_der, site.identity.signing_certificate)
                    for site in bench.eims.values()
                ]
            )
            assert len(bench.card.state.eims) == 3
    assert keys[0] == keys[1]


def test_a_carrier_that_is_none_is_refused() -> None:
    with pytest.raises(BenchError):
        EimSpot(SECOND, "pigeon")
