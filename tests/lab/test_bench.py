"""The bench: its parts fit each other, and it keeps hold of whatever runs in the agent's place."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.crypto import der
from ipad_agent.lab.errors import BenchError, NothingHappenedError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B
from ipad_agent.lab.modem import AtEngine, Cell
from ipad_agent.lab.modem.line.memory_port import MemoryPort

from .by_hand import Hand, get_eim_package, provide_result

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}
SLEEPER = [
    sys.executable,
    "-c",
    "import sys, signal\nprint('awake', file=sys.stderr, flush=True)\nsignal.pause()",
]


def by_hand(bench: Bench) -> tuple[Hand, MemoryPort]:
    """A modem of its own around the bench's card, in virtual time."""
    engine = AtEngine(bench.slot, bench.options.modem_options(), coverage=bench.coverage)
    port = MemoryPort(engine)
    hand = Hand(port)
    hand.open()
    return hand, port


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
async def test_an_order_goes_from_eim_through_modem_to_card_and_its_result_is_accepted(curve: str) -> None:
    async with Bench(BenchOptions(provision="card", curve=curve, modem=QUICK)) as bench:
        bench.order("enable", OPERATOR_A, "--rollback")
        hand, port = by_hand(bench)
        package = der.parse(bench.eim.exchange(get_eim_package(bench.eid)).body).children[0].raw
        result, status = hand.es10(package)
        assert status >> 8 == 0x91
        assert bench.card.active_iccid == BOOTSTRAP
        port.wait(2)
        assert bench.card.active_iccid == OPERATOR_A
        assert port.exchange("AT+CIMI").split()[1].startswith(b"26202")
        bench.eim.exchange(provide_result(bench.eid, result))
        entry = await bench.eim.entry("result", deadline_s=1)
        assert entry["ok"] is True
        assert entry["facts"]["operations"] == [{"operation": "enable", "code": 0, "name": "ok"}]


async def test_a_card_without_eim_takes_the_one_from_the_file_and_its_orders() -> None:
    async with Bench(BenchOptions(provision="agent", modem=QUICK)) as bench:
        hand, _ = by_hand(bench)
        answer, status = hand.es10((bench.folder / "initial-eim.der").read_bytes())
        assert status == 0x9000
        assert answer[:2] == b"\xbf\x57"
        bench.order("list-profiles")
        package = der.parse(bench.eim.exchange(get_eim_package(bench.eid)).body).children[0].raw
        result, _ = hand.es10(package)
        bench.eim.exchange(provide_result(bench.eid, result))
        assert (await bench.eim.entry("result", deadline_s=1))["ok"] is True


async def test_the_agents_configuration_says_where_everything_is() -> None:
    changes: dict[str, Table] = {"poll": {"interval_s": 60}, "modem": {"transport": "csim"}, "eim": {"path": "/x"}}
    async with Bench(BenchOptions(config=changes, tls="psk")) as bench:
        config = tomllib.loads((bench.folder / "agent.toml").read_text())
        assert config["modem"]["port"] == str(bench.modem.path)
        assert config["modem"]["transport"] == "csim"
        assert config["poll"]["interval_s"] == 60
        assert config["poll"]["first_s"] == 0.2
        assert (config["eim"][0]["host"], config["eim"][0]["port"]) == bench.proxy.address
        assert config["eim"][0]["path"] == "/x"
        assert os.stat(config["eim"][0]["psk_key_file"]).st_mode & 0o777 == 0o600
        assert config["log"]["style"] == "json"


async def test_the_network_passes_only_while_the_modem_is_registered() -> None:
    options = BenchOptions(modem=QUICK, cells={OPERATOR_B: None}, provision="card")
    async with Bench(options) as bench:
        assert not bench.proxy.link.blackout
        bench.cover(BOOTSTRAP, None)
        assert bench.proxy.link.blackout
        up = asyncio.Event()
        bench.modem.on_link = lambda cell: up.set() if cell else None
        bench.cover(BOOTSTRAP, Cell(plmn="26201"))
        async with asyncio.timeout(60):
            await up.wait()


async def test_an_armed_power_cut_takes_the_agent_with_it_and_power_comes_back() -> None:
    options = BenchOptions(modem=QUICK, provision="card", agent_command=SLEEPER)
    async with Bench(options) as bench:
        await bench.agent.start()
        await bench.agent.event(deadline_s=10)
        bench.order("enable", OPERATOR_A)
        bench.card.power_cut_at("after-swap")
        hand, _ = by_hand(bench)
        package = der.parse(bench.eim.exchange(get_eim_package(bench.eid)).body).children[0].raw
        block = bytes([0x80, 0xE2, 0x91, 0x00, len(package)]) + package
        answer = hand.port.exchange(f'AT+CGLA={hand.session},{2 * len(block)},"{block.hex()}"')
        assert re.search(rb"ERROR", answer)
        assert bench.power_lost.is_set()
        assert await bench.agent.wait_ended(deadline_s=10) == -9
        assert bench.slot.trace[-1][1] is None
        await bench.power_back()
        assert (await bench.agent.event(deadline_s=10)).run == 2
        async with asyncio.timeout(60):
            await bench.modem.present.wait()


async def test_a_used_folder_goes_on_where_it_was(tmp_path: Path) -> None:
    async with Bench(BenchOptions(provision="card"), tmp_path) as bench:
        eid, pin = bench.eid, bench.identity.signing_spki
        bench.order("list-profiles")
    async with Bench(BenchOptions(provision="card"), tmp_path) as bench:
        assert (bench.eid, bench.identity.signing_spki) == (eid, pin)
        assert bench.card.state.eim(bench.identity.eim_id) is not None
        assert [order.label for order in bench.eim.eim.device(eid).queue] == ["list-profiles"]


async def test_everything_is_gone_after_the_bench(tmp_path: Path) -> None:
    async with Bench(BenchOptions(agent_command=SLEEPER)) as bench:
        await bench.agent.start()
        await bench.agent.event(deadline_s=10)
        folder, agent, modem = bench.folder, bench.agent, bench.modem
    assert not folder.exists()
    assert not agent.running
    assert not modem.present.is_set()


async def test_what_does_not_arrive_at_the_eim_is_reported_with_what_did() -> None:
    async with Bench(BenchOptions(provision="card")) as bench:
        bench.eim.exchange(get_eim_package(bench.eid))
        with pytest.raises(NothingHappenedError, match="request"):
            await bench.eim.entry("result", deadline_s=0.05)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BenchError):
        BenchOptions(provision="magic")
    with pytest.raises(BenchError):
        BenchOptions(tls="none")


async def test_a_pki_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"manifest\.json"):
        async with Bench(pki_folder=tmp_path):
            pass
