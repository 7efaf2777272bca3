"""A device that is cut off from its network: the modem may be what is wrong, and the network may come back."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP
from ipad_agent.policy.polling.poll_schedule import ATTACH_SPREAD_S
from virtual_time import run

from .agent_bench import START_S, AgentBench, now_s

HOUR_S = 3600.0
CHECK_S = 600.0


class StuckModem:
    """Finds no network from ``after_s`` on, until it is restarted; ``restarts`` tells when it was."""

    def __init__(self, bench: AgentBench, *, helps: bool = True) -> None:
        self._bench = bench
        self._helps = helps
        self.restarts: list[float] = []
        reset = bench.access.reset_card

        async def reset_card(*, rung: int) -> None:
            await reset(rung=rung)
            if rung == max(bench.access.recovery_plan().rungs):
                self.restarts.append(now_s() - START_S)
                if self._helps:
                    bench.radio.dark.clear()

        bench.access.reset_card = reset_card  # type: ignore[method-assign]

    def get_stuck(self) -> None:
        self._bench.radio.dark.add(BOOTSTRAP)


def test_a_modem_that_is_stuck_in_its_search_is_restarted_and_the_eim_is_polled_soon(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        modem = StuckModem(bench)
        bench.start()
        await bench.until(20 * HOUR_S)
        polls = len(bench.network.polls())
        modem.get_stuck()
        await bench.until(40 * HOUR_S)
        (restarted_s,) = modem.restarts
        assert 24 * HOUR_S < restarted_s < 26 * HOUR_S, "soon after the first poll that met the silence"
        first_s = next(at - START_S for at in bench.network.polls()[polls:] if at - START_S > restarted_s)
        assert first_s - restarted_s < CHECK_S + ATTACH_SPREAD_S + 60
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())


def test_a_device_that_no_eim_manages_yet_gets_its_modem_restarted_too(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        modem = StuckModem(bench)
        bench.start()
        await bench.until(HOUR_S)
        modem.get_stuck()
        await bench.until(2 * HOUR_S + 2 * CHECK_S)
        assert len(modem.restarts) == 1
        assert bench.network.polls() == []
        await bench.until(40 * HOUR_S)
        assert len(modem.restarts) == 1
        await bench.stop()

    run(story())


def test_a_restart_that_does_not_help_is_made_less_and_less_often(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        modem = StuckModem(bench, helps=False)
        bench.start()
        await bench.until(HOUR_S)
        modem.get_stuck()
        await bench.until(15 * 24 * HOUR_S)
        gaps = [round((after - before) / HOUR_S) for before, after in itertools.pairwise(modem.restarts)]
        assert gaps[:4] == [1, 2, 4, 8]
        assert all(16 <= gap <= 48 for gap in gaps[4:]), "about once a day, for ever"
        assert sum(gaps) > 12 * 24
        await bench.stop()

    run(story())


@pytest.mark.parametrize("hours", [2, 6, 12])
def test_a_network_that_comes_back_by_itself_brings_the_poll_forward(pki_folder: Path, hours: int) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(HOUR_S)
        bench.radio.dark.add(BOOTSTRAP)
        await bench.until((25 + hours) * HOUR_S)
        bench.radio.dark.clear()
        before = len(bench.network.polls())
        await bench.until((27 + hours) * HOUR_S + CHECK_S + ATTACH_SPREAD_S)
        assert len(bench.network.polls()) > before
        await bench.stop()

    run(story())
