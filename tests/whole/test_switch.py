"""A switch as a transaction, with the whole agent on the lab's card and eIM in virtual time: whatever happens, the
device ends with a profile that works if there is one, and the eIM learns what is so.

Long: one transaction, interrupted at each of its moments.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.card.errors import ChannelLost, LossReason
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.errors import NetworkError
from ipad_agent.lab.eim import build_order
from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B
from ipad_agent.policy import Wake
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.person_decision import Call
from virtual_time import run

from .agent_bench import CALM, START_S, AgentBench, now_s

CONFIRM_S = SwitchSettings().confirm_s
DAY_S = 86_400.0


def operations(result: dict[str, Any]) -> list[str]:
    """``enable ok`` and so on, of one result in the eIM's history."""
    return [f"{item['operation']} {item['name']}" for item in result["facts"]["operations"]]


def said(bench: AgentBench) -> list[list[str]]:
    """What the eIM was told about packages, oldest first."""
    return [operations(dict(result)) for result in bench.results]


def clean(bench: AgentBench) -> bool:
    """Nothing is owed any more, on the disk or on the card."""
    return bench.journal.entries() == () and not bench.card.state.results and not bench.card.state.notifications


async def first_poll(bench: AgentBench) -> None:
    await bench.until(CALM.first_s + bench.phase_s - 1)


# -- it works ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rollback", [[], ["--rollback"]])
def test_a_profile_that_proves_itself_is_committed_with_the_acknowledged_result(
    pki_folder: Path, rollback: list[str]
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, *rollback)
        bench.start()
        await first_poll(bench)
        await bench.until(600)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        assert bench.site.told[0][1]["ICCID"] == OPERATOR_A
        assert bench.site.told[0][1]["PREVIOUS_ICCID"] == BOOTSTRAP
        assert bench.site.told[0][1]["APN"] == "iot.example"
        assert bench.radio.connections == [PacketConnection("iot.example")]  # told before the UICC was reset
        await bench.stop()

    run(story())


def test_what_the_card_says_about_its_connection_reaches_scripts_and_modem_and_nobody_else(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.site.known_apn = None
        # Bearer description of EPS with IPv4v6, the name, user and password (ETSI TS 102 223).
        told = bytes.fromhex("3502098D 470403696F74 0D06046D65746572 0D0704733363726574")
        next(one for one in bench.card.state.profiles if one.iccid == OPERATOR_A).http_params = told
        bench.order("enable", OPERATOR_A)
        bench.start()
        await first_poll(bench)
        await bench.until(600)
        assert bench.radio.connections == [PacketConnection("iot", "IPV4V6", "meter", "s3cret")]
        facts = dict(bench.site.told)["post-switch"]
        wanted = {"APN": "iot", "PDP_TYPE": "IPV4V6", "APN_USER": "meter", "APN_PASSWORD": "s3cret"}
        assert dict(facts) | wanted == dict(facts)
        await bench.stop()
        assert all(b"s3cret" not in bench.disk.read(name) for name in bench.disk.names())

    with caplog.at_level(logging.DEBUG):
        run(story())
    assert "s3cret" not in caplog.text


def test_the_result_waits_until_the_new_profile_is_registered(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.ethernet = True  # the eIM could be told at once, but nothing would be proved by that
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await first_poll(bench)
        await bench.until(CALM.first_s + bench.phase_s + 200)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == []
        bench.radio.dark.clear()
        await bench.until(CALM.first_s + bench.phase_s + 230)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_being_registered_with_the_old_profile_proves_nothing(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.stuck = BOOTSTRAP  # registered, with an address, and the eIM answers
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await first_poll(bench)
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S / 2)
        assert said(bench) == []
        bench.radio.stuck = None
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


# -- it does not work --------------------------------------------------------------------------------------------------
def test_without_coverage_the_device_goes_back_once_and_the_eim_gets_the_new_result_only(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        switched_s = CALM.first_s + bench.phase_s
        await bench.until(switched_s + CONFIRM_S - 5)
        assert bench.card.enabled_iccid == OPERATOR_A
        await bench.until(switched_s + CONFIRM_S + 30)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert clean(bench)
        assert bench.site.moments == ["pre-switch", "post-switch", "rolled-back"]
        await bench.stop()

    run(story())


def test_an_eim_that_does_not_answer_over_the_new_profile_is_reason_enough(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.reachable = lambda: bench.radio.used != OPERATOR_A
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_without_a_grant_the_device_stays_keeps_trying_and_tells_when_it_can(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 3600)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == []
        bench.radio.dark.clear()
        await bench.until(2 * DAY_S)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        assert bench.site.moments == ["pre-switch", "post-switch", "committed"]
        await bench.stop()

    run(story())


def test_without_a_grant_another_bearer_may_tell_the_eim_at_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.ethernet = True
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 30)
        assert said(bench) == [["enable ok"]]
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 3600)
        assert [entry.facts["phase"] for entry in bench.journal.entries("switch")] == ["unproved"]
        bench.radio.dark.clear()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 2 * 3600)
        assert clean(bench)
        await bench.stop()

    run(story())


def test_an_eim_that_refuses_the_result_gets_the_old_profile_back(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.faults.arm(Fault("result", "refuse"))
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 120)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench)[-1] == ["enable ok", "rollback ok"]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_an_eim_that_answers_a_result_with_a_status_twice_is_asked_again_before_anything_is_given_up(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.faults.arm(Fault("result", "status", "5.00", times=4))  # two attempts, each in two forms
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 300)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


@pytest.mark.parametrize("answer", ["5.00", "garbage"])
def test_an_eim_that_never_takes_the_result_of_a_switch_gets_the_old_profile_back_and_other_orders_are_done(
    pki_folder: Path, answer: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.settings.strict_sequence = False
        switch = bench.order("enable", OPERATOR_A, "--rollback")
        bench.refuse_results_of(switch, answer)
        later = [bench.order("unset-fallback"), bench.order("disable", OPERATOR_B), bench.order("unset-fallback")]
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + bench.switching.confirm_s + 120)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert bench.agent.switches.open() is None
        assert all(order.state in ("done", "failed") for order in later)
        bench.take_results_again()
        await bench.until(2 * DAY_S)
        assert clean(bench)
        assert ["enable ok", "rollback ok"] in said(bench)  # the truth
        await bench.stop()

    run(story())


@pytest.mark.parametrize("answer", ["127", "5.00", "garbage"])
def test_a_switch_without_a_way_back_is_proved_by_an_eim_that_answers_though_it_does_not_take_the_result(
    pki_folder: Path, answer: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.settings.strict_sequence = False
        switch = bench.order("enable", OPERATOR_A)
        bench.refuse_results_of(switch, answer)
        later = bench.order("get-rat")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 30)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.agent.switches.open() is None
        assert later.state == "done"
        bench.take_results_again()
        await bench.until(2 * DAY_S)
        assert clean(bench)
        assert switch.state == "done"
        await bench.stop()

    run(story())


def test_with_both_profiles_dark_the_truth_is_told_when_one_of_them_comes_back(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        switched_s = CALM.first_s + bench.phase_s
        await bench.until(switched_s - 0.5)
        bench.radio.dark |= {OPERATOR_A}
        await bench.until(switched_s + 60)
        bench.radio.dark |= {OPERATOR_A, BOOTSTRAP}
        await bench.until(switched_s + 4 * 3600)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == []
        bench.radio.dark.clear()
        await bench.until(switched_s + 2 * DAY_S)
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert clean(bench)
        await bench.stop()

    run(story())


def test_when_the_disable_works_and_the_enable_does_not_the_eim_hears_at_once_by_what_bearer_there_is(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.ethernet = True
        disable, enable = build_order(["disable", BOOTSTRAP]), build_order(["enable", "89490200009999999999"])
        both = replace(disable, operations=(*disable.operations, *enable.operations))
        bench.eim.enqueue(bench.card.eid, both)
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        assert bench.card.enabled_iccid is None
        assert said(bench) == [["disable ok", "enable iccidOrAidNotFound"]]
        assert clean(bench)
        await bench.stop()

    run(story())


# -- it is cut off -----------------------------------------------------------------------------------------------------
def _lost(bench: AgentBench, tag: bytes, *, after: bool) -> Callable[[], int]:
    """Lose the answer to the first ES10 request with this tag (``after``), or the request itself."""
    count = 0
    direct = bench.access.transmit

    def transmit(apdu: bytes) -> bytes:
        nonlocal count
        if tag not in apdu:
            return direct(apdu)
        count += 1
        if count > 1:
            return direct(apdu)
        if after:
            direct(apdu)
        bench.access.generation += 1
        raise ChannelLost("the line broke", reason=LossReason.RESET, may_have_executed=True)

    bench.access.transmit = transmit  # type: ignore[method-assign]
    return lambda: count


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_to_the_rollback_costs_neither_the_way_back_nor_the_truth(pki_folder: Path, after: bool) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        orders = _lost(bench, bytes.fromhex("BF5803"), after=after)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 120)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert orders() == (1 if after else 2)
        assert clean(bench)
        await bench.stop()

    run(story())


@pytest.mark.usefixtures("disk_is_looked_after_hourly")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("off_s", [15.0, 3600.0])
def test_a_power_cut_at_any_moment_of_a_switch_ends_with_a_working_profile_and_the_truth(
    pki_folder: Path, dark: bool, off_s: float
) -> None:
    async def story(at: int) -> bool:
        bench = AgentBench(pki_folder)
        if dark:
            bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await first_poll(bench)
        reached = asyncio.Event()
        bench.steps.at, bench.steps.action = bench.steps.count + at, reached.set
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([waiting], timeout=3600)
        waiting.cancel()
        if not reached.is_set():
            await bench.stop()
            return False
        await bench.kill()
        bench.card.reset()
        bench.access.generation += 1
        await asyncio.sleep(off_s)
        bench.clock.reboots += 1
        bench.start()
        await asyncio.sleep(2 * DAY_S)
        results = said(bench)
        if dark:
            assert bench.card.enabled_iccid == BOOTSTRAP, at
            assert results[-1] == ["enable ok", "rollback ok"], (at, results)
        else:
            proved = bench.card.enabled_iccid == OPERATOR_A
            assert results[-1] == (["enable ok"] if proved else ["enable ok", "rollback ok"]), (at, results)
        assert clean(bench), (at, bench.journal.entries(), bench.card.state.results)
        await bench.stop()
        return True

    at = 1
    while run(story(at)):
        at += 1
    assert at > 20


def test_after_a_reboot_with_the_time_over_the_device_goes_back_at_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        await bench.kill()
        await asyncio.sleep(CONFIRM_S)
        bench.clock.reboots += 1
        bench.start()
        await asyncio.sleep(10)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())


def test_after_a_reboot_without_a_clock_there_is_a_short_grace(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        monkeypatch.setattr(bench.clock, "wall", lambda: 100.0)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        await bench.kill()
        await asyncio.sleep(5000)
        bench.clock.reboots += 1
        bench.start()
        await asyncio.sleep(110)
        assert bench.card.enabled_iccid == OPERATOR_A
        await asyncio.sleep(30)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())


# -- a person ----------------------------------------------------------------------------------------------------------
def test_a_person_may_accept_the_profile_and_the_result_stays_owed(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        agent = bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        agent.person_decision.say(Call.CONFIRM)
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.journal.entries("switch") == ()
        assert len(bench.journal.entries("package")) == 1
        await bench.stop()

    run(story())


def test_a_person_may_call_the_old_profile_back(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        agent = bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        agent.person_decision.say(Call.ROLLBACK)
        await bench.until(CALM.first_s + bench.phase_s + 90)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        await bench.stop()

    run(story())


# -- policy ------------------------------------------------------------------------------------------------------------
def test_a_private_network_is_proved_by_the_application_without_the_eim(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, switching=SwitchSettings(success="application-probe"))
        bench.network.reachable = lambda: bench.radio.used != OPERATOR_A
        bench.radio.works = True
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.journal.entries("switch") == ()
        assert len(bench.journal.entries("package")) == 1
        await bench.stop()

    run(story())


def test_a_profile_that_the_application_proved_is_reported_at_once_where_the_eim_can_be_reached(
    pki_folder: Path,
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, switching=SwitchSettings(success="application-probe"))
        bench.radio.works = True
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 30)
        assert said(bench) == [["enable ok"]]
        assert clean(bench)
        assert bench.site.moments[-1] == "committed"
        await bench.stop()

    run(story())


def test_with_an_application_that_gets_nothing_the_eims_acknowledgement_is_not_even_asked_for(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, switching=SwitchSettings(success="application-probe"))
        bench.radio.works = False
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 2 * CONFIRM_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        await bench.stop()

    run(story())


def test_while_the_site_holds_work_back_nothing_is_fetched_and_a_command_overrides_it(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.site.held = (Held("external_power", "the device runs on its battery"),)
        bench.order("enable", OPERATOR_A)
        agent = bench.start()
        await bench.until(DAY_S)
        assert bench.network.requests == []
        agent.poke(Wake.COMMAND)
        await bench.until(DAY_S + 60)
        assert said(bench) == [["enable ok"]]
        await bench.stop()

    run(story())


def test_work_is_not_held_back_for_ever(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.site.held = (Held("window", "outside of the maintenance window"),)
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(6.9 * DAY_S)
        assert bench.network.requests == []
        await bench.until(7.1 * DAY_S)
        assert said(bench) == [["enable ok"]]
        await bench.stop()

    run(story())


def test_what_is_owed_is_delivered_although_new_work_is_held_back(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.cut = lambda when, function: function == "ProvideEimPackageResult" and now_s() < START_S + 3600
        bench.order("list-profiles")
        bench.start()
        await bench.until(1200)
        assert said(bench) == []
        bench.site.held = (Held("window", "outside of the maintenance window"),)
        bench.order("enable", OPERATOR_A)
        await bench.until(2 * DAY_S)
        assert len(bench.results) == 1
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())


def test_trouble_of_the_network_alone_never_ends_the_agent(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.close_trouble = NetworkError("the session is gone")
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + CONFIRM_S + 60)
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())
