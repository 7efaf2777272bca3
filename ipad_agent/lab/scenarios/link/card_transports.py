"""Stories about the ways through a modem to the card."""

from __future__ import annotations

import re

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support import card_and_eim_checks

OFTEN = {"poll": {"interval_s": 2}}


def _used(bench: Bench, command: str) -> int:
    """How often the host gave this command (not its test form)."""
    heard = b"".join(data for _, way, data in bench.modem.trace if way == ">")
    return len(re.findall(re.escape(f"AT{command}=").encode() + rb'[0-9"]', heard))


@scenario("cgla-only", "Through a modem that has no AT+CSIM, profiles are listed and switched over AT+CGLA.")
async def cgla_only(run: Run) -> None:
    """Two orders, one of them a switch that the modem carries out by itself (REFRESH)."""
    async with run.bench(
        BenchOptions(personality="eg25", modem={"transports": "cgla"}, provision="card", config=OFTEN)
    ) as bench:
        bench.order("list-profiles")
        await card_and_eim_checks.first_poll(run, bench)
        await card_and_eim_checks.answers_order(run, bench)
        bench.order("enable", OPERATOR_A)
        await card_and_eim_checks.switches_to(run, bench, OPERATOR_A)
        run.check("the card was spoken to by AT+CGLA", _used(bench, "+CGLA") > 0, f"{_used(bench, '+CGLA')} times")
        await card_and_eim_checks.ends_when_told(run, bench)


@scenario("csim-only", "Through a modem that only has AT+CSIM and ignores REFRESH, a switch still takes effect.")
async def csim_only(run: Run) -> None:
    """The agent must manage the channel itself and reset the card itself."""
    async with run.bench(BenchOptions(personality="sim7600", provision="card", config=OFTEN)) as bench:
        bench.order("list-profiles")
        await card_and_eim_checks.first_poll(run, bench)
        await card_and_eim_checks.answers_order(run, bench)
        bench.order("enable", OPERATOR_B)
        await card_and_eim_checks.switches_to(run, bench, OPERATOR_B, deadline_s=100)
        run.check("no session was opened", bench.modem.module.uicc.sessions == {})
        run.check("the card was spoken to by AT+CSIM", _used(bench, "+CSIM") > 0, f"{_used(bench, '+CSIM')} times")
        run.check("the modem executed no REFRESH", bench.modem.module.refresh_count == 0)
        await card_and_eim_checks.ends_when_told(run, bench)


@scenario("echo-and-urcs", "With returning echo and unsolicited lines inside every answer, orders are carried out.")
async def echo_and_urcs(run: Run) -> None:
    """The line is as noisy as lines get: echo on, foreign lines before the answer and before OK, leaked channels."""
    modem = {
        "noise_lines": ("+CREG: 2", "+QIND: SMS DONE", "RING", '+CEREG: 1,"1F3B","0A1B2C03",7', "+CSQ: 20,99"),
        "sim_events": "quectel",
        "boot_lines": ("RDY", "+CFUN: 1"),
        "leaked_channels": 2,
    }
    async with run.bench(BenchOptions(modem=modem, provision="card", config=OFTEN)) as bench:
        bench.order("list-profiles")
        await card_and_eim_checks.first_poll(run, bench)
        await card_and_eim_checks.answers_order(run, bench)
        async with run.step("the module restarts in between, and its echo is on again"):
            bench.modem.order(lambda module: module.restart())
            await bench.modem.present.wait()
        bench.order("enable", OPERATOR_A)
        await card_and_eim_checks.switches_to(run, bench, OPERATOR_A)
        await card_and_eim_checks.ends_when_told(run, bench)
