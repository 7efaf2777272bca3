"""The whole agent over days: when it asks whom, what trouble does to that, and that nothing is lost at any moment.

Long: days in the life of one agent, all on one bench.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.agent.card_startup import PROVISION_GAP_S
from ipad_agent.agent.main_loop import LONGEST_PAUSE_S, LOOK_AGAIN_S, Agent
from ipad_agent.card.apdu_channel import RecoveryPlan
from ipad_agent.card.errors import CardNotReady
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import CardError, ModemError, NetworkError
from ipad_agent.lab.eim import add_initial_eim
from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B, Quirks, StatusError
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.net import BackendLacks
from ipad_agent.policy import Wake
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.owed_work import WorkKind, WorkList
from ipad_agent.procedures.startup.silent_card_resets import GAPS_S
from virtual_time import run

from .agent_bench import CALM, SECOND_EIM, START_S, AgentBench, now_s

DAY_S = 86_400.0
BACKOFF_S = CALM.backoff_first_s


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The ids of all warnings and errors."""
    return [event.id for record in caplog.records if (event := getattr(record, "event", None)) is not None]


def after_start(times: list[float]) -> list[float]:
    return [at - START_S for at in times]


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


# -- the schedule ------------------------------------------------------------------------------------------------------
def test_the_first_poll_comes_after_the_modem_had_its_time_and_at_this_devices_place(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        first_s = CALM.first_s + bench.phase_s
        await bench.until(first_s - 0.1)
        assert bench.network.requests == []
        await bench.until(first_s + 0.1)
        assert after_start(bench.network.polls()) == pytest.approx([first_s])
        await bench.stop()

    run(story())


def test_without_anything_going_on_polls_come_at_the_interval_for_days(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(10 * DAY_S)
        polls = bench.network.polls()
        assert len(polls) == 10
        assert gaps(polls) == pytest.approx([CALM.interval_s] * 9)
        assert "next poll" in bench.notifier.texts[-1]
        await bench.stop()

    run(story())


def test_after_the_start_polls_are_frequent_for_an_hour(pki_folder: Path) -> None:
    async def story() -> None:
        settings = replace(CALM, fast_phase_s=3600.0)
        bench = AgentBench(pki_folder, settings=settings)
        bench.start()
        await bench.until(5000)
        polls = bench.network.polls()
        assert gaps(polls) == pytest.approx([settings.fast_interval_s] * (len(polls) - 1))
        assert polls[-1] - START_S < 3600 + settings.fast_interval_s
        await bench.stop()

    run(story())


def test_an_eim_that_cannot_be_reached_is_left_alone_longer_and_longer_and_found_again(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.down = {bench.identity.eim_id}
        bench.start()
        await bench.until(2 * DAY_S)
        polls = bench.network.polls()
        assert gaps(polls) == pytest.approx([BACKOFF_S, 0.75 * CALM.interval_s, CALM.interval_s])
        await bench.until(6 * DAY_S)
        assert gaps(bench.network.polls())[3:5] == pytest.approx([CALM.interval_s] * 2)
        bench.network.down = set()
        await bench.until(9 * DAY_S)
        assert gaps(bench.network.polls())[-2:] == pytest.approx([CALM.interval_s] * 2)
        await bench.stop()

    run(story())


def test_each_eim_has_a_schedule_of_its_own(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.network.down = {SECOND_EIM}
        bench.start()
        await bench.until(2.5 * DAY_S)
        first, second = bench.network.polls(bench.identity.eim_id), bench.network.polls(SECOND_EIM)
        assert gaps(first) == pytest.approx([CALM.interval_s] * 2)
        assert gaps(second) == pytest.approx([BACKOFF_S, 0.75 * CALM.interval_s, CALM.interval_s])
        await bench.stop()

    run(story())


def test_an_eim_without_any_way_to_it_does_not_keep_the_others_waiting(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        del bench.network.eims[bench.identity.eim_id]
        bench.start()
        await bench.until(2.5 * DAY_S)
        assert gaps(bench.network.polls(SECOND_EIM)) == pytest.approx([CALM.interval_s] * 2)
        await bench.stop()

    run(story())


# -- what brings a poll forward ----------------------------------------------------------------------------------------
def test_a_command_polls_every_eim_at_once_even_in_a_back_off(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.network.down = {SECOND_EIM}
        agent = bench.start()
        await bench.until(5000)
        before = len(bench.network.polls())
        agent.poke(Wake.COMMAND)
        await bench.until(5001)
        assert after_start(bench.network.polls()[before:]) == pytest.approx([5000, 5000])
        await bench.until(5600)
        assert len(bench.network.polls()) == before + 2  # once, and then the schedule goes on
        await bench.stop()

    run(story())


def test_a_command_during_a_poll_is_done_after_it(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()

        def order(when: str, function: str) -> bool:
            if len(bench.network.polls()) == 1:
                agent.poke(Wake.COMMAND)
            return False

        bench.network.cut = order
        await bench.until(1000)
        assert gaps(bench.network.polls()) == pytest.approx([0.0])
        await bench.stop()

    run(story())


def test_a_command_ends_the_wait_for_a_card_that_was_in_trouble(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.access.trouble = ModemError("the port is gone")
        agent = bench.start()
        await bench.until(500)
        bench.access.trouble = None
        agent.poke(Wake.COMMAND)
        await bench.until(500.1)
        assert after_start(bench.network.polls()) == pytest.approx([500])
        await bench.stop()

    run(story())


def test_a_command_ends_the_wait_for_somebody_to_provision_the_card(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        agent = bench.start()
        await bench.until(10)
        bench.add_second_eim()
        agent.poke(Wake.COMMAND)
        await bench.until(11)
        assert after_start(bench.network.polls()) == pytest.approx([10])
        await bench.stop()

    run(story())


def test_a_command_does_not_wake_the_next_pause_too(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()
        await bench.until(5000)
        agent.poke(Wake.COMMAND)
        await bench.until(5001)
        said = len(bench.notifier.texts)
        await bench.until(5010)  # before the guardian looks
        assert len(bench.notifier.texts) == said
        await bench.stop()

    run(story())


def test_an_attach_does_not_poll_more_often_than_its_gap(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()
        for minute in range(12 * 60):
            await bench.until(60 * minute)
            agent.poke(Wake.ATTACH)
        assert 10 <= len(bench.network.polls()) <= 12
        await bench.stop()

    run(story())


def test_a_result_that_is_owed_at_the_start_does_not_wait_for_the_phase(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        assert bench.phase_s > 1  # or this would show nothing
        bench.order("enable", OPERATOR_A)
        bench.network.cut = lambda when, function: function == "ProvideEimPackageResult"
        bench.start()
        await bench.until(2 * 3600)  # long enough to be no boot loop
        assert bench.results == []
        await bench.stop()
        bench.network.cut = lambda when, function: False
        bench.clock.reboots += 1
        rebooted = now_s()
        bench.network.requests.clear()
        bench.start()
        await bench.until(2 * 3600 + CALM.first_s + 1)
        (delivered,) = [at for at, _, function, _ in bench.network.requests if function == "ProvideEimPackageResult"]
        assert delivered - rebooted == pytest.approx(CALM.first_s)
        assert [result["ok"] for result in bench.results] == [True]
        await bench.stop()

    run(story())


def state_change(body: bytes) -> StateChangeCause | None:
    """stateChangeCause (81) of a GetEimPackage, which stands behind notifyStateChange (80 00)."""
    _, found, rest = body.partition(bytes.fromhex("80008101"))
    return StateChangeCause(rest[0]) if found else None


def test_a_switch_that_one_eim_ordered_is_told_to_the_other_at_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.start()
        await bench.until(1000)
        before = len(bench.network.requests)
        bench.order("enable", OPERATOR_A)
        bench.agent.poke(Wake.COMMAND)
        await bench.until(1001)
        told = [
            (at - START_S, state_change(body))
            for at, eim_id, function, body in bench.network.requests[before:]
            if (eim_id, function) == (SECOND_EIM, "GetEimPackage")
        ]
        assert told[-1][0] == pytest.approx(1000, abs=1)
        assert told[-1][1] is StateChangeCause.OTHER_EIM
        await bench.until(2000)
        assert len(bench.network.polls(SECOND_EIM)) <= 3
        await bench.stop()

    run(story())


def test_a_switch_ordered_in_a_regular_poll_brings_the_others_poll_forward(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.network.down = {SECOND_EIM}
        bench.start()
        await bench.until(500)
        bench.network.down = set()  # from now on the second one's turn comes ten minutes after the first one's
        await bench.until(DAY_S)
        bench.order("enable", OPERATOR_A, eim_id=SECOND_EIM)
        await bench.until(2 * DAY_S)
        first, second = bench.network.polls(bench.identity.eim_id), bench.network.polls(SECOND_EIM)
        switched_at = second[2]
        assert first[1] < switched_at - 500
        assert first[2] == pytest.approx(switched_at, abs=1)
        assert len(first) == 3
        await bench.stop()

    run(story())


def test_a_change_nobody_ordered_is_told_right_after_the_start(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(1000)
        await bench.stop()
        bench.card.update_profile(OPERATOR_B, enabled=False)
        for profile in list(bench.card.state.profiles):
            if profile.iccid == OPERATOR_B:
                bench.card.state.profiles.remove(profile)
        bench.card.isdr.commit()
        before = len(bench.network.requests)
        bench.start()
        await bench.until(1001)
        (request,) = bench.network.requests[before:][:1]
        assert request[0] - START_S == pytest.approx(1000, abs=1)
        assert state_change(request[3]) is StateChangeCause.UNDEFINED
        await bench.until(2000)
        assert len(bench.network.polls()) == 2
        await bench.stop()

    run(story())


# -- trouble -----------------------------------------------------------------------------------------------------------
def test_a_card_in_trouble_is_tried_with_growing_pauses_and_found_again(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.access.trouble = ModemError("the port is gone")
        bench.start()
        await bench.until(600)
        assert gaps(bench.access.attempts) == pytest.approx([2, 4, 8, 16, 32] + [60] * (len(bench.access.attempts) - 6))
        assert gaps(bench.access.attempts)[-1] == LONGEST_PAUSE_S
        assert "the port is gone" in bench.notifier.texts[-1]
        bench.access.trouble = None
        await bench.until(600 + LONGEST_PAUSE_S + CALM.first_s + bench.phase_s + 1)
        assert len(bench.network.polls()) == 1
        await bench.stop()

    run(story())


def test_trouble_after_a_good_while_begins_with_the_shortest_pause_again(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.access.trouble = ModemError("the port is gone")
        agent = bench.start()
        await bench.until(300)
        bench.access.trouble = None
        await bench.until(2000)
        bench.access.trouble = ModemError("gone again")
        attempts = len(bench.access.attempts)
        agent.poke(Wake.COMMAND)
        await bench.until(2020)
        assert gaps(bench.access.attempts[attempts:])[:3] == pytest.approx([2, 4, 8])
        await bench.stop()

    run(story())


def test_trouble_with_the_card_in_every_poll_is_no_storm(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(1000)
        bench.network.requests.clear()
        attempts = len(bench.access.attempts)

        # The modem restarts whenever the network is used, and is back soon after.
        def restart(when: str, function: str) -> bool:
            bench.access.trouble = ModemError("the modem restarts")
            asyncio.get_running_loop().call_later(30, bring_back)
            bench.access.generation += 1
            return False

        def bring_back() -> None:
            bench.access.trouble = None

        bench.order("enable", OPERATOR_A)
        bench.network.cut = restart
        await bench.until(1000 + 2 * DAY_S)
        contacts = sorted({at for at, *_ in bench.network.requests})
        assert 1 < len(contacts) <= 60  # at most one an hour, which is what local trouble costs
        assert len(bench.access.attempts) - attempts < 20 * len(contacts)
        await bench.stop()

    run(story())


def test_a_link_that_cannot_be_closed_well_changes_nothing(pki_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.close_trouble = NetworkError("no answer to close_notify")
        bench.start()
        await bench.until(3 * DAY_S)
        assert gaps(bench.network.polls()) == pytest.approx([CALM.interval_s] * 2)
        await bench.stop()

    run(story())
    assert "IPA-1006" not in said(caplog)


def test_an_error_nobody_expected_does_not_end_the_agent(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.access.trouble = ZeroDivisionError("a defect")  # type: ignore[assignment]
        bench.start()
        await bench.until(100)
        assert gaps(bench.access.attempts)[:3] == pytest.approx([2, 4, 8])
        bench.access.trouble = None
        await bench.until(600)
        assert len(bench.network.polls()) == 1
        await bench.stop()

    run(story())


def test_a_process_that_is_restarted_again_and_again_keeps_the_time_it_had(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        for restart in range(240):
            bench.start()
            await bench.until(30.0 * (restart + 1))
            await bench.kill()
        assert after_start(bench.network.polls()) == pytest.approx([CALM.first_s + bench.phase_s])

    run(story())


def once(error: Exception, then: Callable[[str], object]) -> Callable[[str], object]:
    """A function that fails at its first call."""
    errors = [error]

    def call(text: str) -> object:
        if errors:
            raise errors.pop()
        return then(text)

    return call


def test_an_agent_that_is_restarted_after_its_eim_was_out_of_reach_polls_soon(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.network.down = set(bench.network.eims)
        bench.start()
        await bench.until(DAY_S)  # the dice show the most: the second back-off is 18 hours
        tried = len(bench.network.requests)
        bench.network.down.clear()
        # A modem that goes and comes back is no person who has repaired something.
        looked = len(bench.access.attempts)
        monkeypatch.setattr(bench.notifier, "status", once(ModemError("unplugged"), bench.notifier.status))
        bench.agent.poke(Wake.TIMER)
        await bench.until(DAY_S + 3600)
        assert len(bench.access.attempts) > looked
        assert len(bench.network.requests) == tried
        await bench.stop()
        bench.start()
        await bench.until(DAY_S + 3600 + CALM.phase_window_s + 10)
        assert len(bench.network.requests) > tried
        await bench.stop()

    run(story())


def test_a_process_that_dies_in_every_poll_polls_less_and_less(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("enable", OPERATOR_A)
        bench.start()
        died = asyncio.Event()

        def die(when: str, function: str) -> bool:
            died.set()
            return False

        bench.network.cut = die
        deaths = 0
        while now_s() - START_S < DAY_S:
            waiting = asyncio.create_task(died.wait())
            await asyncio.wait([waiting], timeout=DAY_S + START_S - now_s())
            waiting.cancel()
            if not died.is_set():
                break
            died.clear()
            deaths += 1
            await bench.kill()
            await asyncio.sleep(15)
            bench.start()
        contacts = sorted({at for at, *_ in bench.network.requests})
        assert 5 <= deaths <= 12
        assert max(gaps(contacts)) > 4 * 3600
        bench.network.cut = lambda when, function: False
        await bench.until(4 * DAY_S)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.journal.entries() == ()
        await bench.stop()

    run(story())


def test_a_gateway_that_reboots_again_and_again_polls_later_and_later(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        for boot in range(48):
            bench.clock.reboots = boot
            bench.start()
            await bench.until(300.0 * (boot + 1))
            await bench.kill()
        assert len(bench.network.polls()) <= 3

    run(story())


def test_with_a_full_disk_polls_go_on_but_no_order_is_begun_that_cannot_be_written_down(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(1000)
        before = bench.card.enabled_iccid
        bench.disk.free_bytes = 0
        bench.order("enable", OPERATOR_A)
        await bench.until(2 * DAY_S + 1000)
        assert 3 <= len(bench.network.polls()) <= 20
        assert bench.card.enabled_iccid == before
        bench.disk.free_bytes = None
        await bench.until(4 * DAY_S)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.journal.entries() == ()
        await bench.stop()

    run(story())


# -- cards and eIMs that come and go -----------------------------------------------------------------------------------
def test_an_empty_card_is_provisioned_and_polled_without_the_phase(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        bench.initial_eims = add_initial_eim(bench.identity.configuration(fqdn="eim.example"))
        bench.start()
        await bench.until(1)
        (entry,) = bench.card.state.eims
        assert entry.eim_id == bench.identity.eim_id
        bench.eim.add_device(bench.card.eid, token=entry.token, certificate_der=bench.certificate)
        await bench.until(CALM.first_s + 1)
        assert after_start(bench.network.polls()) == pytest.approx([CALM.first_s])
        await bench.stop()

    run(story())


def test_an_empty_card_without_anything_to_provision_it_with_is_looked_at_again(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        bench.start()
        await bench.until(3600)
        assert bench.network.requests == []
        assert len(bench.access.attempts) <= 2 * 3600 / LOOK_AGAIN_S + 2
        bench.add_second_eim()  # somebody else did it
        await bench.until(3600 + LOOK_AGAIN_S + CALM.first_s + bench.phase_s + 1)
        assert len(bench.network.polls(SECOND_EIM)) == 1
        await bench.stop()

    run(story())


def test_a_list_that_the_card_refuses_is_not_offered_again(pki_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        good = bench.identity.configuration(fqdn="eim.example")
        bad = good.replace(bytes.fromhex("8401FF"), bytes.fromhex("840105"))  # a token is for the card to make up
        assert bad != good
        bench.initial_eims = add_initial_eim(bad)
        bench.start()
        await bench.until(3600)
        assert bench.card.state.eims == []
        await bench.stop()

    run(story())
    assert said(caplog).count("IPA-4005") == 1


def test_a_consumer_card_is_left_alone(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, quirks=Quirks(consumer=True), associated=False)
        bench.initial_eims = add_initial_eim(bench.identity.configuration(fqdn="eim.example"))
        before = bench.card.profile_states()
        bench.start()
        await bench.until(3600)
        assert bench.network.requests == []
        assert bench.card.profile_states() == before
        assert bench.card.state.eims == []
        assert "consumer" in bench.notifier.texts[-1]
        assert len(bench.access.attempts) <= 3600 / LOOK_AGAIN_S + 1
        await bench.stop()

    run(story())


def test_the_last_eim_that_deletes_itself_gets_its_result_and_leaves_an_empty_card(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("delete-eim", bench.identity.eim_id)
        bench.start()
        await bench.until(3600)
        assert bench.card.state.eims == []
        assert len(bench.results) == 1
        assert bench.journal.entries() == ()
        requests = len(bench.network.requests)
        await bench.until(DAY_S)
        assert len(bench.network.requests) == requests  # nobody is asked any more
        assert "no eIM" in bench.notifier.texts[-1]
        await bench.stop()

    run(story())


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_eim_that_deleted_itself_gets_its_result_although_the_first_attempt_failed(
    pki_folder: Path, when: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.order("delete-eim", bench.identity.eim_id)
        cut = [True]

        def lose(moment: str, function: str) -> bool:
            return (moment, function) == (when, "ProvideEimPackageResult") and cut != [] and cut.pop()

        bench.network.cut = lose
        bench.start()
        await bench.until(400)
        assert bench.card.state.eims == []
        assert len(bench.journal.entries()) == 1
        await bench.kill()
        bench.start()
        await bench.until(400 + 2 * BACKOFF_S)
        assert bench.results
        assert bench.journal.entries() == ()
        await bench.stop()

    run(story())


def test_a_deleted_eim_that_took_its_result_without_acknowledging_it_is_asked_once_more(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.eim.faults.arm(Fault("result", "empty"))
        bench.order("delete-eim", bench.identity.eim_id)
        bench.start()
        await bench.until(3 * DAY_S)
        assert bench.card.state.eims == []
        assert bench.card.state.results == []  # nobody else would ever have it removed
        assert bench.journal.entries() == ()
        await bench.stop()

    run(story())


def test_a_card_that_lost_the_eim_it_was_given_is_given_it_again_but_not_at_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        bench.initial_eims = add_initial_eim(bench.identity.configuration(fqdn="eim.example"))
        bench.start()
        await bench.until(1)
        token = bench.card.state.eims[0].token
        bench.eim.add_device(bench.card.eid, token=token, certificate_der=bench.certificate)
        bench.order("delete-eim", bench.identity.eim_id)
        await bench.until(CALM.first_s + 10)
        assert bench.card.state.eims == []
        await bench.until(PROVISION_GAP_S - 1)
        assert bench.card.state.eims == []
        await bench.until(PROVISION_GAP_S + LOOK_AGAIN_S + 1)
        assert len(bench.card.state.eims) == 1
        await bench.stop()

    run(story())


def test_an_old_file_does_not_set_the_counter_of_an_eim_back(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, associated=False)
        bench.initial_eims = add_initial_eim(bench.identity.configuration(fqdn="eim.example", ask_for_token=False))
        bench.start()
        await bench.until(1)
        bench.eim.add_device(bench.card.eid, token=None, certificate_der=bench.certificate)
        bench.order("delete-eim", bench.identity.eim_id)
        await bench.until(CALM.first_s + 10)
        assert bench.card.state.eims == []
        await bench.until(2 * PROVISION_GAP_S)
        assert bench.card.state.eims == []  # every order that was ever signed could be replayed
        assert "IPA-4007" in said(caplog)
        await bench.stop()

    run(story())


def test_work_whose_eim_cannot_be_read_any_more_does_not_stop_the_rest(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(10)
        WorkList(bench.journal).take("gone.example", bytes.fromhex("3005800165A600"), WorkKind.PACKAGE, b"", None)
        await bench.stop()
        bench.start()
        await bench.until(1000)
        assert len(bench.network.polls()) == 1
        await bench.stop()

    run(story())


# -- told to stop, at any moment ---------------------------------------------------------------------------------------
Ending = Callable[[AgentBench], Coroutine[Any, Any, None]]
SOON = replace(CALM, first_s=1.0, phase_window_s=0.0, backoff_first_s=10.0, backoff_local_s=10.0, interval_s=3600.0)


async def switch(bench: AgentBench) -> None:
    bench.order("enable", OPERATOR_A)
    bench.order("delete", OPERATOR_B)


async def count_steps(folder: Path) -> int:
    bench = AgentBench(folder, settings=SOON)
    await switch(bench)
    bench.start()
    await bench.until(100)
    await bench.stop()
    assert len(bench.results) == 2
    return bench.steps.count


async def interrupted(folder: Path, at: int, *, kill: bool) -> None:
    bench = AgentBench(folder, settings=SOON)
    await switch(bench)
    reached = asyncio.Event()

    def act() -> None:
        reached.set()
        if not kill:
            bench.task.cancel()  # in the middle of the very step

    bench.steps.at, bench.steps.action = at, act
    bench.start()
    await asyncio.wait_for(reached.wait(), 1000)
    if kill:
        await bench.kill()
    else:
        await asyncio.wait([bench.task])
        assert bench.task.cancelled()
        bench.journal.detach()
    agent: Agent = bench.start()
    assert not agent.overdue
    await asyncio.sleep(3000)
    assert bench.card.enabled_iccid == OPERATOR_A
    assert OPERATOR_B not in bench.card.profile_states()
    assert bench.journal.entries() == ()
    assert bench.card.state.results == []
    assert bench.card.state.notifications == []
    # Some results are brought twice, but they are always the ones of the only execution.
    assert {(result["order"], result["ok"]) for result in bench.results} == {
        (f"enable {OPERATOR_A}", True),
        (f"delete {OPERATOR_B}", True),
    }, at
    assert bench.card.state.eims[0].counter == 2
    await bench.stop()


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_told_to_stop_at_any_moment_the_next_process_finishes_the_work_and_nothing_happens_twice(
    pki_folder: Path, kill: bool
) -> None:
    steps = run(count_steps(pki_folder))
    assert steps > 40
    for at in range(1, steps + 1):
        run(interrupted(pki_folder, at, kill=kill))


def test_a_card_that_stays_silent_is_reset_but_ever_more_seldom_also_over_restarts(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.access.trouble = CardNotReady("nobody answers")  # type: ignore[assignment]
        resets: list[float] = []

        async def reset_card(*, rung: int) -> None:
            resets.append(now_s())

        bench.access.reset_card = reset_card  # type: ignore[method-assign]
        bench.access.recovery_plan = lambda: RecoveryPlan(wait_s=1.0, rungs=(0, 1))  # type: ignore[method-assign]
        bench.start()
        await bench.until(1000)
        await bench.kill()
        bench.start()
        await bench.until(6 * 3600)
        assert resets[0] - START_S < 30
        assert gaps(resets)[:5] == [pytest.approx(wait_s, abs=120) for wait_s in GAPS_S[:5]]
        assert min(gaps(resets)[5:]) >= GAPS_S[-1]
        bench.access.trouble = None
        await bench.until(7 * 3600)
        assert bench.network.polls()
        await bench.stop()

    run(story())


# -- a card that answers, only not as it should ------------------------------------------------------------------------
GET_PROFILES, GET_INFO2, REMOVE, ADD_INITIAL = 0xBF2D, 0xBF22, 0xBF30, 0xBF57


def _error(isdr: Isdr, raw: bytes) -> bytes:
    raise StatusError(0x6F00)


def test_a_card_whose_list_of_profiles_cannot_be_used_is_served_all_the_same_and_not_reset(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.card.es10.register(GET_PROFILES, _error)
        orders = [bench.order("get-rat"), bench.order("set-default-dp", "smdp.example")]
        bench.start()
        await bench.until(DAY_S)
        assert [order.state for order in orders] == ["done", "done"]
        assert bench.access.generation == 0
        assert "IPA-1004" not in said(caplog)  # nor was the card ever called lost
        await bench.stop()

    run(story())


def test_a_card_that_answers_with_errors_is_asked_again_but_never_reset(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        own = bench.card.es10.handler(GET_INFO2)
        bench.card.es10.register(GET_INFO2, _error)
        bench.start()
        await bench.until(DAY_S)
        assert bench.access.generation == 0
        assert set(said(caplog)) & {"IPA-1010", "IPA-1013"} == {"IPA-1013"}
        bench.card.es10.register(GET_INFO2, own)
        order = bench.order("get-rat")
        await bench.until(2 * DAY_S)
        assert order.state == "done"
        await bench.stop()

    run(story())


@pytest.mark.parametrize("answer", ["", "BF3000"], ids=["9000 alone", "BF30 without a status"])
def test_a_card_that_removes_and_does_not_say_so_readably_costs_nothing(
    pki_folder: Path, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        own = bench.card.es10.handler(REMOVE)

        def mute(isdr: Isdr, raw: bytes) -> bytes:
            own(isdr, raw)
            return bytes.fromhex(answer)

        bench.card.es10.register(REMOVE, mute)
        orders = [bench.order("get-rat") for _ in range(3)]
        bench.start()
        await bench.until(DAY_S)
        assert [order.state for order in orders] == ["done"] * 3
        assert len(bench.results) == 3
        assert not bench.agent.journal.entries()
        assert "IPA-1004" not in said(caplog)
        await bench.stop()

    run(story())


def test_a_card_that_answers_the_provisioning_with_an_error_is_not_asked_without_end(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        other = AgentBench(pki_folder, associated=False)
        request = add_initial_eim(other.identity.configuration(fqdn="localhost"))
        bench = AgentBench(pki_folder, associated=False, initial_eims=request)
        own, asked = bench.card.es10.handler(ADD_INITIAL), []

        def odd(isdr: Isdr, raw: bytes) -> bytes:
            asked.append(now_s())
            raise StatusError(0x6F00)

        bench.card.es10.register(ADD_INITIAL, odd)
        bench.start()
        await bench.until(DAY_S)
        assert 2 < len(asked) <= DAY_S / PROVISION_GAP_S
        assert bench.access.generation == 0
        assert "IPA-1004" not in said(caplog)
        bench.card.es10.register(ADD_INITIAL, own)
        await bench.until(DAY_S + 2 * PROVISION_GAP_S)
        assert bench.card.state.eims
        await bench.stop()

    run(story())


def test_what_the_card_says_to_a_person_in_vain_is_no_trouble_for_the_agent(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        agent = bench.start()
        await bench.until(2 * CALM.first_s)
        bench.card.es10.register(GET_PROFILES, _error)

        async def job(context: Context, eims: tuple[str, ...]) -> object:
            return await context.card.get_profiles()

        with pytest.raises(CardError):
            await agent.card_requests.ask(job)
        await bench.until(3 * CALM.first_s)
        assert "IPA-1004" not in said(caplog)
        await bench.stop()

    run(story())


def test_a_library_that_lacks_what_one_eim_needs_is_no_unexpected_error_and_the_other_is_served(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()

        def lacking(when: str, function: str) -> bool:
            if bench.network.requests[-1][1] == SECOND_EIM:
                raise BackendLacks("the TLS library does not know this curve")
            return False

        bench.network.cut = lacking
        order = bench.order("get-rat")
        bench.start()
        await bench.until(2 * DAY_S)
        assert order.state == "done"
        assert "IPA-1006" not in said(caplog)
        (second,) = [eim for eim in bench.agent.board.snapshot().eims if eim.eim_id == SECOND_EIM]
        assert second.last_poll is not None
        assert second.last_poll.outcome == "card and configuration lead to no way to the eIM"
        await bench.stop()

    run(story())
