"""The world around the modem: who has coverage, what passes meanwhile, and what the device can do about it."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc import BOOTSTRAP, EMERGENCY, OPERATOR_A, default_profiles, emergency_profile
from ipad_agent.lab.modem import AtEngine, Cell
from ipad_agent.lab.modem.line.modem_pty import PtyModem
from ipad_agent.lab.modem.module_radio import RadioState

from .modem.lab_fakecard import FakeCard

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}


async def link(bench: Bench, *, up: bool) -> None:
    """Until the modem's packet service is so."""
    news = asyncio.Event()
    usual = bench.modem.on_link
    assert usual is not None

    def changed(cell: Cell | None) -> None:
        usual(cell)
        news.set()

    bench.modem.on_link = changed
    async with asyncio.timeout(60):
        while bench.modem.module.radio.passes_data != up:
            news.clear()
            await news.wait()
    bench.modem.on_link = usual


def passes(bench: Bench) -> bool:
    gate = bench.https_gate
    assert gate is not None
    assert gate.up is not bench.proxy.link.blackout
    return gate.up


async def test_a_profile_without_coverage_leaves_the_device_without_network_until_it_is_covered() -> None:
    async with Bench(BenchOptions(provision="card", modem=QUICK, carrier="both")) as bench:
        assert passes(bench)
        bench.set_coverage(BOOTSTRAP, False)
        assert bench.modem.module.radio.state is RadioState.SEARCHING
        assert not passes(bench)
        bench.set_coverage(BOOTSTRAP, True)
        await link(bench, up=True)
        assert passes(bench)
        cell = bench.modem.module.radio.cell
        assert cell is not None
        assert cell.plmn == "26201"


async def test_coverage_belongs_to_the_profile_that_the_modem_has_read_not_to_the_one_enabled_on_the_card() -> None:
    async with Bench(BenchOptions(provision="card", modem=QUICK, carrier="both")) as bench:
        bench.set_coverage(OPERATOR_A, False)
        assert passes(bench)
        bench.card.update_profile(BOOTSTRAP, enabled=False)
        bench.card.update_profile(OPERATOR_A, enabled=True)
        assert bench.modem.module.uicc.iccid == BOOTSTRAP
        assert passes(bench)
        bench.modem.order(lambda module: module.restart_card())
        async with asyncio.timeout(60):
            while bench.modem.module.uicc.iccid != OPERATOR_A:  # noqa: ASYNC110 - the card's start wakes nobody
                await asyncio.sleep(0.01)
        assert bench.modem.module.radio.state is RadioState.SEARCHING
        assert not passes(bench)


async def test_registration_can_take_its_time() -> None:
    async with Bench(BenchOptions(provision="card", modem=QUICK, carrier="both")) as bench:
        bench.set_coverage(BOOTSTRAP, True, attach_s=3600)
        assert bench.modem.module.radio.state is RadioState.SEARCHING
        bench.set_coverage(BOOTSTRAP, True, attach_s=0)
        await link(bench, up=True)


async def test_with_ethernet_everything_passes_whatever_the_modem_does() -> None:
    async with Bench(BenchOptions(provision="card", modem=QUICK, carrier="both")) as bench:
        bench.plug_ethernet(True)
        bench.set_coverage(BOOTSTRAP, False)
        assert passes(bench)
        bench.plug_ethernet(False)
        assert not passes(bench)
        bench.plug_ethernet(True)
        assert passes(bench)
        bench.set_coverage(BOOTSTRAP, True)
        await link(bench, up=True)
        bench.plug_ethernet(False)
        assert passes(bench)


async def test_coverage_of_a_profile_that_is_not_there_is_refused() -> None:
    async with Bench(BenchOptions(provision="card", modem=QUICK)) as bench:
        with pytest.raises(BenchError, match=EMERGENCY):
            bench.set_coverage(EMERGENCY, True)
    profiles = [*default_profiles(), emergency_profile()]
    async with Bench(BenchOptions(provision="card", modem=QUICK, profiles=profiles)) as bench:
        assert bench.coverage.cell_for(EMERGENCY) == Cell(plmn="26204")


async def test_a_port_that_comes_back_never_has_the_name_it_had(tmp_path: Path) -> None:
    async with PtyModem(AtEngine(FakeCard()), tmp_path / "modem") as modem:
        names = [os.readlink(modem.path)]
        for _ in range(5):
            modem.order(lambda module: module.drop_port(0.0))
            async with asyncio.timeout(60):
                await modem.present.wait()
            names.append(os.readlink(modem.path))
    assert all(one != other for one, other in itertools.pairwise(names))
