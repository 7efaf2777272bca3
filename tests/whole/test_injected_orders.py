"""A package that the eIM pushes, with the whole agent on the lab's card and eIM in virtual time: it goes the way of a
fetched one, and the eIM hears nothing but the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from ipad_agent.agent.injected_orders import ANOTHER, SWITCH_UNDER_WAY, WAIT_S
from ipad_agent.codec.esipa.eim_package import EimPackage, NoPackage, parse_get_eim_package_response
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Order, build_order
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B
from ipad_agent.policy import Wake
from ipad_agent.policy.polling.hold_reason import Held
from virtual_time import run

from .agent_bench import SECOND_EIM, AgentBench

HOUR_S = 3600.0


def built(bench: AgentBench, *words: str) -> tuple[Order, EimPackage]:
    """An order of the bench's eIM that is pushed, and its package as the listener reads it."""
    order = build_order(list(words))
    raw = bench.eim.push(bench.card.eid, order)
    package = parse_get_eim_package_response(der.tlv(0xBF4F, raw))
    assert not isinstance(package, NoPackage)
    return order, package


async def push(bench: AgentBench, *words: str) -> str | None:
    """Push and tell the eIM what it heard; why it was not taken, or None."""
    order, package = built(bench, *words)
    why = await bench.agent.injected_orders.take(bench.identity.eim_id, package)
    bench.eim.push_answered(bench.card.eid, order, why or "received", received=why is None)
    return why


async def served(folder: Path) -> AgentBench:
    """Half an hour after the first poll: the next one is hours away."""
    bench = AgentBench(folder)
    bench.start()
    await bench.until(HOUR_S / 2)
    return bench


def test_a_pushed_package_is_carried_out_at_once_and_its_result_delivered(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        polls = len(bench.network.polls())
        assert await push(bench, "list-profiles") is None
        await bench.until(HOUR_S / 2 + 5)
        assert [result["order"] for result in bench.results] == ["list-profiles"]
        assert len(bench.network.polls()) == polls + 1  # it asks whether there is more, once
        await bench.stop()

    run(story())


def test_received_is_said_when_the_package_is_in_the_journal_and_not_before(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        assert await push(bench, "list-profiles") is None
        await bench.kill()  # in the same moment
        assert not bench.results
        bench.disk.allowance = None
        bench.start()
        await bench.until(HOUR_S)
        assert [result["order"] for result in bench.results] == ["list-profiles"]
        await bench.stop()

    run(story())


def test_a_package_that_the_disk_does_not_take_is_refused_and_not_carried_out(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        bench.disk.free_bytes = 0
        assert await push(bench, "enable", OPERATOR_A) == "the journal is full"
        await bench.until(HOUR_S / 2 + 10)
        assert bench.card.enabled_iccid != OPERATOR_A
        await bench.stop()

    run(story())


def test_never_two_pushed_packages_at_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        both = list(await asyncio.gather(push(bench, "list-profiles"), push(bench, "list-profiles", "5A")))
        assert both == [None, ANOTHER]
        await bench.stop()

    run(story())


def test_a_package_that_is_pushed_while_a_switch_is_under_way_is_refused(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        assert await push(bench, "enable", OPERATOR_A, "--rollback") is None
        await bench.until(HOUR_S / 2 + 60)
        assert bench.agent.switches.open() is not None
        assert await push(bench, "enable", OPERATOR_B) == SWITCH_UNDER_WAY
        await bench.until(HOUR_S * 2)
        assert bench.agent.switches.open() is None
        await bench.stop()

    run(story())


def test_a_package_that_waits_when_a_switch_turns_out_to_be_under_way_is_refused(pki_folder: Path) -> None:
    """It was pushed in the moment in which the card is found again."""

    async def story() -> None:
        bench = await served(pki_folder)
        orders = bench.agent.injected_orders
        bench.radio.dark.add(OPERATOR_A)
        assert await push(bench, "enable", OPERATOR_A, "--rollback") is None
        await bench.until(HOUR_S / 2 + 60)
        orders._switching = lambda: False  # as it seems while nothing is served
        _, package = built(bench, "enable", OPERATOR_B)
        assert await orders.take(bench.identity.eim_id, package) is not None
        assert bench.card.enabled_iccid == OPERATOR_A
        await bench.stop()

    run(story())


def test_what_an_eim_pushes_and_hands_out_at_the_same_time_is_carried_out_once(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        order, package = built(bench, "list-profiles")
        order.state = "queued"  # an eIM that does not mind
        pushing: list[asyncio.Task[str | None]] = []

        def while_it_is_fetched(when: str, function: str) -> bool:
            if function == "GetEimPackage" and not pushing:
                taking = bench.agent.injected_orders.take(bench.identity.eim_id, package)
                pushing.append(asyncio.create_task(taking))
            return False

        bench.network.cut = while_it_is_fetched
        bench.agent.poke(Wake.COMMAND)
        await bench.until(HOUR_S / 2 + 30)
        assert [one.result() for one in pushing] == [None]
        assert [cast(Any, result)["facts"]["variant"] for result in bench.results] == ["result"]
        await bench.stop()

    run(story())


def test_an_eim_that_is_not_on_the_card_pushes_nothing(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        _, package = built(bench, "list-profiles")
        assert await bench.agent.injected_orders.take("stranger.example", package) == "the card does not know this eIM"
        await bench.stop()

    run(story())


def test_without_a_card_a_package_is_refused_with_the_reason(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        _, package = built(bench, "list-profiles")
        why = await bench.agent.injected_orders.take(bench.identity.eim_id, package)
        assert why == "the agent has not found the card yet"
        await bench.stop()

    run(story())


def test_what_the_site_holds_back_is_refused(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        bench.site.held = (Held("battery", "the battery is low"),)
        assert await push(bench, "list-profiles") == "work is held back"
        assert bench.eim.device(bench.card.eid).queue  # it waits for a poll
        await bench.stop()

    run(story())


def test_an_eim_that_gives_up_waiting_takes_its_package_along(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await served(pki_folder)
        held = asyncio.Event()

        async def hold(*_: object) -> None:
            await held.wait()

        turn = asyncio.create_task(bench.agent.card_requests.ask(hold))
        await asyncio.sleep(0)
        _, package = built(bench, "enable", OPERATOR_A)
        waiting = asyncio.create_task(bench.agent.injected_orders.take(bench.identity.eim_id, package))
        await asyncio.sleep(WAIT_S + 1)
        assert waiting.done()
        assert waiting.result() == "the agent is busy with something else"
        held.set()
        await turn
        await bench.until(HOUR_S)
        assert bench.card.enabled_iccid != OPERATOR_A
        await bench.stop()

    run(story())


def test_acknowledgements_that_are_pushed_take_only_results_of_that_eim_off_the_card(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.add_second_eim()
        bench.start()
        await bench.until(HOUR_S / 2)
        bench.network.down |= {bench.identity.eim_id, SECOND_EIM}
        assert await push(bench, "list-profiles") is None
        order = build_order(["list-profiles"])
        second = bench.network.eims[SECOND_EIM]
        package = parse_get_eim_package_response(der.tlv(0xBF4F, second.push(bench.card.eid, order)))
        assert await bench.agent.injected_orders.take(SECOND_EIM, package) is None
        await bench.until(HOUR_S / 2 + 10)
        owner = {result.seq: result.eim_id for result in bench.card.state.results}
        assert sorted(owner.values()) == sorted([bench.identity.eim_id, SECOND_EIM])
        assert await bench.agent.injected_orders.acknowledged(bench.identity.eim_id, (*owner, 4711)) is None
        assert [owner[result.seq] for result in bench.card.state.results] == [SECOND_EIM]
        await bench.stop()

    run(story())
