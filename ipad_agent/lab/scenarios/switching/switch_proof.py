"""Stories about switches that have to prove themselves: what the new profile must show, and the way back from it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from ipad_agent.lab.bench.journal_view import boots
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.eim import Fault, Order
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import until
from ipad_agent.lab.scenarios.support.switch_steps import (
    ARMED,
    COMMITTED,
    GOING_BACK,
    LONG_S,
    NO_WAY_BACK,
    RESUMED,
    ROLLBACK,
    SHORT_S,
    STAGE,
    SWITCHED,
    WENT_BACK,
    Hooks,
    check_end,
    count_calls,
    modem_state,
    proving,
    ready,
    refuse_rollback,
    said,
    told,
    works_with,
)

NOT_COVERED = {OPERATOR_A: None}
GOOD = (ARMED, SWITCHED, COMMITTED)
BACK = (ARMED, SWITCHED, GOING_BACK, WENT_BACK)
DARK_S, TOLERANCE_S = 1.5, 0.5
"""Clocks of two boots are compared by the wall clock, and what is said is said a little later than it happens."""


@scenario(
    "switch-ok",
    "A switch is armed, proved stage by stage and committed once the eIM has the result; each hook is called.",
    deadline_s=60,
)
async def switch_ok(run: Run) -> None:
    """The proof is taken from the new profile: when the result arrives the modem is registered with it."""
    async with run.bench(proving(modem={"attach_s": 1.5})) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the switch is armed", ARMED)
        await said(run, bench, "the new profile is not registered at once", STAGE)
        await told(run, bench, order, "enable ok")
        run.check("the result came over the new profile", works_with(bench, OPERATOR_A), modem_state(bench))
        await said(run, bench, "the switch is committed", COMMITTED)
        await check_end(run, bench, OPERATOR_A, [order], chapters=GOOD)
        hooks.check(run, "pre-switch", "post-switch", "committed", iccids=(BOOTSTRAP, OPERATOR_A))
        run.check("nobody asked for a rollback", asked[ROLLBACK] == 0, str(asked[ROLLBACK]))


@scenario(
    "switch-no-coverage-rollback",
    "A profile without coverage is given up when its time is over; the eIM hears of the rollback over the old one.",
    deadline_s=60,
)
async def switch_no_coverage_rollback(run: Run) -> None:
    """Exactly one ProfileRollback, and of the two results that the card made only the second ever leaves the device."""
    async with run.bench(proving(cells=NOT_COVERED, confirm_s=SHORT_S)) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the card switches", SWITCHED)
        async with run.step("the modem has the new profile, and no network"):
            await until(lambda: bench.modem.module.uicc.iccid == OPERATOR_A, "new profile", deadline_s=5)
        run.check("nothing passes", bench.proxy.link.blackout)
        await said(run, bench, "its time is over", GOING_BACK)
        await said(run, bench, "the old profile is back", WENT_BACK)
        await told(run, bench, order, "enable ok", "rollback ok")
        run.check("the result came over the old profile", works_with(bench, BOOTSTRAP), modem_state(bench))
        await check_end(run, bench, BOOTSTRAP, [order], chapters=BACK)
        hooks.check(run, "pre-switch", "post-switch", "rolled-back", iccids=(BOOTSTRAP, OPERATOR_A))
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))


@scenario(
    "switch-rollback-not-allowed",
    "When the card refuses the rollback, the agent keeps the new profile and delivers as soon as there is a network.",
    deadline_s=60,
)
async def switch_rollback_not_allowed(run: Run) -> None:
    """A second rollback must not be tried; the original result is what the eIM gets, however late."""
    async with run.bench(proving(cells=NOT_COVERED, confirm_s=SHORT_S)) as bench:
        bench.card.es10.register(ROLLBACK, refuse_rollback)
        asked = count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the card refuses the rollback", NO_WAY_BACK)
        run.check("the eIM heard nothing yet", not bench.eim.seen("result"))
        bench.set_coverage(OPERATOR_A, True)
        await told(run, bench, order, "enable ok")
        await said(run, bench, "the switch is committed after all", COMMITTED)
        # The card's own grant ends with the result's removal; this card only refused to honour it.
        await check_end(run, bench, OPERATOR_A, [order], chapters=(ARMED, SWITCHED, GOING_BACK, NO_WAY_BACK, COMMITTED))
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))


@scenario(
    "switch-result-refused",
    "An eIM that answers the result of a switch with an error gets the old profile back, and a result that says so.",
    deadline_s=60,
)
async def switch_result_refused(run: Run) -> None:
    """The refusal is as good as silence, so that nobody waits for the time to be over; the second result is taken."""
    async with run.bench(proving()) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        bench.eim.eim.faults.arm(Fault("result", "refuse", 127))
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the result is refused", GOING_BACK, deadline_s=LONG_S - 10)
        await told(run, bench, order, "enable ok", "rollback ok")
        run.check("the result came over the old profile", works_with(bench, BOOTSTRAP), modem_state(bench))
        await check_end(run, bench, BOOTSTRAP, [order], chapters=BACK)
        hooks.check(run, "pre-switch", "post-switch", "rolled-back", iccids=(BOOTSTRAP, OPERATOR_A))
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))


@scenario(
    "switch-cable-proves-nothing",
    "A device that reaches its eIM by Ethernet all the time still gives up a profile that finds no network.",
    deadline_s=60,
)
async def switch_cable_proves_nothing(run: Run) -> None:
    """The result must not leave by the cable while the profile has not registered: it would end the way back."""
    async with run.bench(proving(cells=NOT_COVERED, confirm_s=SHORT_S, link_follows_modem=False)) as bench:
        asked = count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the agent waits for the network of the new profile", STAGE)
        run.check("the eIM can be reached meanwhile", not bench.proxy.link.blackout)
        await said(run, bench, "its time is over", GOING_BACK)
        run.check("the eIM was told nothing", not bench.eim.seen("result"))
        await told(run, bench, order, "enable ok", "rollback ok")
        await check_end(run, bench, BOOTSTRAP, [order], chapters=BACK)
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))


@scenario(
    "switch-6985-until-reset",
    "A card that says 6985 to everything until its reset is switched and rolled back all the same.",
    deadline_s=60,
)
async def switch_6985_until_reset(run: Run) -> None:
    """The switch with a modem that resets the card late, the way back with one that has to be told to."""
    quirks = Quirks(refuse_until_reset=True)
    for personality, modem, covered in (
        ("eg25", {"refresh": "late", "refresh_late_s": 0.8}, True),
        ("sim7600", {"refresh": "ignored"}, False),
    ):
        options = proving(personality, modem=modem, quirks=quirks, **_covered(covered))
        async with run.bench(options) as bench:
            await ready(bench)
            await _switch(run, bench, f"{modem['refresh']} REFRESH", covered=covered)
            refused = sum(answer == b"\x69\x85" for _, answer in bench.slot.trace)
            run.check("the card refused meanwhile", refused > 0, f"{refused} times")


@scenario(
    "switch-refresh-ignored",
    "A modem that goes on with the old profile proves nothing: it is reset before the eIM hears of the switch.",
    deadline_s=60,
)
async def switch_refresh_ignored(run: Run) -> None:
    """The modem stays registered with the old profile, so that every stage would look good; only the ICCID tells."""
    async with run.bench(proving("sim7600", modem={"refresh": "ignored"})) as bench:
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await told(run, bench, order, "enable ok")
        run.check("the result came over the new profile", works_with(bench, OPERATOR_A), modem_state(bench))
        await said(run, bench, "the switch is committed", COMMITTED)
        run.check("the modem executed no REFRESH", bench.modem.module.refresh_count == 0)
        await check_end(run, bench, OPERATOR_A, [order], chapters=GOOD)


@scenario(
    "switch-port-reenumerates",
    "The port goes with the REFRESH or the reset and comes back under another name; switch and rollback go on.",
    deadline_s=90,
)
async def switch_port_reenumerates(run: Run) -> None:
    """A module that re-enumerates on REFRESH, and one that ignores it and loses its port by AT+CFUN=0."""
    for name, personality, modem, covered in (
        ("CFUN", "eg916q", {"refresh": "ignored", "cfun0_drops_port": True}, True),
        ("REFRESH", "eg25", {"refresh_drops_port": True}, False),
    ):
        async with run.bench(proving(personality, modem=modem, **_covered(covered))) as bench:
            await ready(bench)
            before = os.readlink(bench.modem.path)
            opened = bench.modem.ports_opened
            async with run.step(f"{name}: the port goes") as step:
                order = bench.order("enable", OPERATOR_A, "--rollback")
                await _another_port(bench, opened)
                after = step.detail = os.readlink(bench.modem.path)
            run.check(f"{name}: and is back under another name", after != before, f"{before}, then {after}")
            await _switch(run, bench, name, covered=covered, order=order)
            opened = bench.modem.ports_opened - opened
            run.check(f"{name}: it went with each reset of the card", opened >= 2 - covered, f"{opened} times")


@scenario(
    "switch-power-cut-in-window",
    "Power is cut while a switch waits for its proof: after the boot the same time counts on, and the way back holds.",
    deadline_s=60,
)
async def switch_power_cut_in_window(run: Run) -> None:
    """Agent, modem and card lose power; boot id and boot-time clock are new ones, only journal and card remember."""
    async with run.bench(proving(cells=NOT_COVERED, confirm_s=SHORT_S)) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        began = await said(run, bench, "the card switches", SWITCHED)
        await said(run, bench, "the agent waits for the network", STAGE)
        async with run.step("the power goes, and comes back"):
            await bench.power_cut()
            await asyncio.sleep(DARK_S)  # time that has to count although nobody was there to count it
            await bench.power_back()
        resumed = await said(run, bench, "the agent goes on with the switch", RESUMED)
        whole_s = float(resumed.facts["left_s"]) + (resumed.t_s or 0.0) - (began.t_s or 0.0)
        run.check("the boot gave it no new time", whole_s < scaled(SHORT_S + TOLERANCE_S), f"{whole_s:.1f} s in all")
        await said(run, bench, "its time is over", GOING_BACK)
        await told(run, bench, order, "enable ok", "rollback ok")
        await check_end(run, bench, BOOTSTRAP, [order], chapters=BACK)
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))
        seen = len(boots(bench.folder / "agent-state"))
        run.check("the agent knew that there was a boot in between", seen == 2, f"{seen} boots in the journal")
        ends = hooks.ends
        run.check("the hook of the end was called once", ends == ["rolled-back"], " ".join(ends))


@scenario(
    "switch-agent-killed-in-window",
    "The agent is killed while a switch waits for its proof; started again it proves it, and nothing is done twice.",
    deadline_s=60,
)
async def switch_agent_killed_in_window(run: Run) -> None:
    """Twice: killed before there is coverage, and killed between the arrival of the result and its acknowledgement."""
    async with run.bench(proving(cells=NOT_COVERED, config={"eim": {"dialect": "1.2"}})) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the agent waits for the network", STAGE)
        async with run.step("it is killed and started again"):
            await bench.agent.kill()
            await bench.agent.start()
        await said(run, bench, "the agent goes on with the switch", RESUMED)
        bench.eim.eim.faults.arm(Fault("result", "lose-answer", times=-1))
        bench.set_coverage(OPERATOR_A, True)
        async with run.step("killed again when the result has arrived, and the acknowledgement has not"):
            await bench.eim.entry("result", deadline_s=20)
            await bench.agent.kill()
        bench.eim.eim.faults.clear()
        async with run.step("and started again"):
            await bench.agent.start()
        await said(run, bench, "the switch is committed", COMMITTED)
        await check_end(run, bench, OPERATOR_A, [order])
        told_once = [event.id for event in bench.agent.said(COMMITTED, GOING_BACK)]
        run.check("committed once, and never taken back", told_once == [COMMITTED], " ".join(map(str, told_once)))
        run.check("nobody asked for a rollback", asked[ROLLBACK] == 0, str(asked[ROLLBACK]))
        ends = hooks.ends
        run.check("the hook of the end was called once", ends == ["committed"], " ".join(ends))


def _covered(covered: bool) -> dict[str, Any]:
    """Options for a new profile that works, or for one that has to fail soon."""
    return {"confirm_s": LONG_S} if covered else {"confirm_s": SHORT_S, "cells": NOT_COVERED}


async def _switch(run: Run, bench: Bench, name: str, *, covered: bool, order: Order | None = None) -> None:
    """One switch to its end, which is the new profile when that is ``covered``."""
    order = order or bench.order("enable", OPERATOR_A, "--rollback")
    if covered:
        await told(run, bench, order, "enable ok")
        await said(run, bench, f"{name}: the switch is committed", COMMITTED)
    else:
        await said(run, bench, f"{name}: the way back is taken", WENT_BACK)
        await told(run, bench, order, "enable ok", "rollback ok")
    enabled, chapters = (OPERATOR_A, GOOD) if covered else (BOOTSTRAP, BACK)
    run.check("the result came over this profile", works_with(bench, enabled), modem_state(bench))
    await check_end(run, bench, enabled, [order], chapters=chapters)


async def _another_port(bench: Bench, opened: int) -> None:
    await until(lambda: bench.modem.ports_opened > opened, "another port", deadline_s=20)
