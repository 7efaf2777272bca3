"""The change to the fallback profile and the return from it, whatever the card says or does not get to say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import CardError, ModemError, Remedy, StoreError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.local_switch_record import DOCUMENT, LocalSwitchRecord, What
from ipad_agent.procedures.switching import fallback_mechanism
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch, settle
from virtual_time import run

from .fakes import Bench, FakeMemory
from .local_card import ECALL, EIMS, SPARE, WORK, device, local_switch_record, profiles, says, switches_to, told

LOST = CardError("the card was reset")
Call = Callable[[Context, LocalSwitchRecord, tuple[str, ...]], Awaitable[LocalSwitch]]


class NotThere(CardError):
    remedy = Remedy.GIVE_UP


async def execute(bench: Bench) -> LocalSwitch:
    return await fallback_mechanism.execute(bench.context, local_switch_record(bench), EIMS)


async def return_back(bench: Bench) -> LocalSwitch:
    return await fallback_mechanism.return_back(bench.context, local_switch_record(bench), EIMS)


# -- what the card does ------------------------------------------------------------------------------------------------


async def test_every_eim_is_told_that_the_fallback_profile_is_enabled() -> None:
    bench = device()
    bench.card.local = [switches_to(bench, SPARE)]
    assert await execute(bench) == LocalSwitch(What.FALLBACK, End.DONE, WORK, SPARE, ResultCode(0))
    assert bench.card.log == ["execute fallback", "recover"]
    assert told(bench) == [StateChangeCause.FALLBACK] * 2
    assert bench.context.changes.known_profiles() == {WORK: "disabled", SPARE: "enabled", ECALL: "disabled"}


async def test_the_return_is_told_as_well() -> None:
    bench = device(SPARE)
    bench.card.local = [switches_to(bench, WORK)]
    switch = await return_back(bench)
    assert (switch.end, switch.previous, switch.enabled) == (End.DONE, SPARE, WORK)
    assert bench.card.log == ["return from fallback", "recover"]
    assert told(bench) == [StateChangeCause.FALLBACK] * 2


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (2, End.ALREADY),
        (6, End.NOT_AVAILABLE),
        (7, End.REFUSED),
        (104, End.EMERGENCY),
        (127, End.REFUSED),
        (99, End.REFUSED),
    ],
)
async def test_a_refusal_of_the_change_changes_nothing(code: int, end: End) -> None:
    bench = device()
    bench.card.local = [says(code)]
    switch = await execute(bench)
    assert (switch.end, switch.enabled, switch.code) == (end, WORK, code)
    assert bench.card.log == ["execute fallback"]
    assert told(bench) == [None, None]
    assert bench.memory.documents[DOCUMENT] == {}


@pytest.mark.parametrize("code", [6, 7])
async def test_a_card_that_has_recorded_no_profile_may_say_so_in_two_ways(code: int) -> None:
    bench = device(SPARE)
    bench.card.local = [says(code)]
    assert (await return_back(bench)).end is End.NOT_AVAILABLE


@pytest.mark.parametrize(("call", "enabled"), [(execute, WORK), (return_back, SPARE)])
async def test_a_card_without_the_function_is_no_trouble(
    call: Callable[[Bench], Awaitable[LocalSwitch]], enabled: str
) -> None:
    bench = device(enabled)
    bench.card.local = [says(NotThere("6A88"))]
    switch = await call(bench)
    assert (switch.end, switch.enabled) == (End.NOT_AVAILABLE, enabled)
    assert bench.memory.documents[DOCUMENT] == {}


@pytest.mark.parametrize("call", [execute, return_back])
async def test_the_emergency_profile_is_left_alone(call: Callable[[Bench], Awaitable[LocalSwitch]]) -> None:
    bench = device(ECALL)
    assert (await call(bench)).end is End.EMERGENCY
    assert bench.card.log == []


async def test_a_device_on_the_fallback_profile_already_does_not_ask_the_card() -> None:
    bench = device(SPARE)
    switch = await execute(bench)
    assert (switch.end, switch.enabled) == (End.ALREADY, SPARE)
    assert bench.card.log == []


async def test_a_card_that_does_not_tell_who_has_the_attribute_is_asked() -> None:
    bench = device()
    bench.card.profiles = [profiles(WORK)[0]]
    bench.card.local = [says(6)]
    assert (await execute(bench)).end is End.NOT_AVAILABLE
    assert bench.card.log == ["execute fallback"]


def test_a_busy_card_is_asked_three_times_two_seconds_apart() -> None:
    async def story() -> None:
        bench = device()
        begin_s = asyncio.get_running_loop().time()
        bench.card.local = [says(5), says(5), says(5), switches_to(bench, SPARE)]
        assert (await execute(bench)).end is End.BUSY
        assert bench.card.log == ["execute fallback"] * 3
        assert asyncio.get_running_loop().time() - begin_s == pytest.approx(4.0)

    run(story())


def test_a_card_that_is_busy_for_a_moment_does_it_after_all() -> None:
    async def story() -> None:
        bench = device()
        bench.card.local = [says(5), switches_to(bench, SPARE)]
        assert (await execute(bench)).end is End.DONE

    run(story())


# -- what gets lost ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [LOST, ModemError("the port vanished")])
async def test_a_lost_answer_of_a_card_that_switched_is_a_change(failure: CardError | ModemError) -> None:
    bench = device()
    bench.card.local = [switches_to(bench, SPARE, failure)]
    switch = await execute(bench)
    assert (switch.end, switch.previous, switch.enabled) == (End.DONE, WORK, SPARE)
    assert bench.card.log == ["execute fallback", "verify"]
    assert told(bench) == [StateChangeCause.FALLBACK] * 2


async def test_a_lost_answer_of_a_card_that_did_nothing_is_no_change() -> None:
    bench = device()
    bench.card.local = [says(LOST)]
    assert (await execute(bench)).end is End.NOT_BEGUN
    assert told(bench) == [None, None]


@pytest.mark.parametrize("full_disk", [False, True])
async def test_the_card_is_reset_before_it_is_asked_what_it_did(full_disk: bool) -> None:
    """Some cards list the states from before a switch until they are reset."""
    bench = device()
    if full_disk:
        bench.memory = FullMemory()
    bench.card.local = [says(LOST)]

    async def verify(expected: str | None = None) -> None:
        bench.card.log.append("verify")
        bench.card.profiles = profiles(SPARE)

    bench.card.verify_switched = verify  # type: ignore[method-assign]  # a card that shows it only now
    assert (await execute(bench)).end is End.DONE


async def unreachable(expected: str | None = None) -> None:
    raise CardError("gone")


@pytest.mark.parametrize("switched", [True, False])
async def test_a_card_that_stays_away_is_asked_after_the_restart(switched: bool) -> None:
    bench = device()
    bench.card.local = [switches_to(bench, SPARE, LOST) if switched else says(LOST)]
    verify = bench.card.verify_switched
    bench.card.verify_switched = unreachable  # type: ignore[method-assign]  # for now
    with pytest.raises(CardError, match="gone"):
        await execute(bench)
    bench.card.verify_switched = verify  # type: ignore[method-assign]  # the card is back
    found = await settle(bench.context, local_switch_record(bench), EIMS)
    assert found is not None
    assert found.end is (End.DONE if switched else End.NOT_BEGUN)
    assert told(bench) == [StateChangeCause.FALLBACK if switched else None] * 2
    assert await settle(bench.context, local_switch_record(bench), EIMS) is None


async def test_an_order_that_was_carried_out_before_the_restart_is_not_given_twice() -> None:
    bench = device(SPARE)
    local_switch_record(bench).begin(str(bench.context.eid), What.RETURN, SPARE)
    bench.card.profiles = profiles(WORK)
    switch = await return_back(bench)
    assert (switch.end, switch.previous, switch.enabled) == (End.DONE, SPARE, WORK)
    assert bench.card.log == ["verify"]


async def test_an_order_that_did_not_reach_the_card_before_the_restart_is_given() -> None:
    bench = device()
    local_switch_record(bench).begin(str(bench.context.eid), What.FALLBACK, WORK)
    bench.card.local = [switches_to(bench, SPARE)]
    assert (await execute(bench)).end is End.DONE
    # Reset once more: the card might only look as if nothing had been done.
    assert bench.card.log == ["verify", "recover", "execute fallback", "recover"]


async def test_the_way_back_from_a_return_that_was_cut_off_leads_to_the_fallback_profile() -> None:
    bench = device(SPARE)
    local_switch_record(bench).begin(str(bench.context.eid), What.RETURN, SPARE)
    bench.card.profiles = profiles(WORK)
    bench.card.local = [switches_to(bench, SPARE)]
    switch = await execute(bench)
    assert (switch.what, switch.end, switch.enabled) == (What.FALLBACK, End.DONE, SPARE)


async def test_what_another_card_was_ordered_is_forgotten() -> None:
    bench = device(SPARE)
    local_switch_record(bench).begin("89049032000000000000000000000999", What.FALLBACK, WORK)
    assert await settle(bench.context, local_switch_record(bench), EIMS) is None
    assert told(bench) == [None, None]
    assert bench.card.log == []


@pytest.mark.parametrize(
    "damage", [{"what": 7}, {"what": "ELSE"}, {"eid": None}, {"previous": 3}, {"previous": False}, {"what": None}]
)
async def test_a_damaged_note_is_forgotten(damage: Mapping[str, object]) -> None:
    bench = device(SPARE)
    local_switch_record(bench).begin(str(bench.context.eid), What.FALLBACK, WORK)
    bench.memory.documents[DOCUMENT] = {**bench.memory.documents[DOCUMENT], **damage}
    assert await settle(bench.context, local_switch_record(bench), EIMS) is None
    assert bench.card.log == []
    assert bench.memory.documents[DOCUMENT] == {}


async def test_it_is_written_down_before_the_card_is_touched() -> None:
    bench = device()
    seen: list[object] = []

    def act() -> int:
        seen.append(dict(bench.memory.documents[DOCUMENT]))
        bench.card.profiles = profiles(SPARE)
        return 0

    bench.card.local = [act]
    await execute(bench)
    assert seen == [{"eid": str(bench.context.eid), "what": "FALLBACK", "previous": WORK, "by": "guardian"}]
    assert bench.memory.documents[DOCUMENT] == {}


@pytest.mark.parametrize("room_for", [0, 1], ids=["the profiles", "who has to be told"])
async def test_the_note_stays_until_the_news_are_noted(room_for: int) -> None:
    bench = device()
    bench.card.local = [switches_to(bench, SPARE)]
    save = bench.memory.save
    room = [room_for]

    def full(name: str, document: Mapping[str, object]) -> None:
        if name == "profiles":
            if not room[0]:
                raise StoreError("full")
            room[0] -= 1
        save(name, document)

    bench.memory.save = full  # type: ignore[method-assign]  # a disk that fills up now
    with pytest.raises(StoreError):
        await execute(bench)
    bench.memory.save = save  # type: ignore[method-assign]  # somebody made room
    found = await settle(bench.context, local_switch_record(bench), EIMS)
    assert found is not None
    assert found.end is End.DONE
    assert told(bench) == [StateChangeCause.FALLBACK] * 2


class FullMemory(FakeMemory):
    """Takes everything but the note of what is about to be done."""

    def save(self, name: str, document: Mapping[str, object]) -> None:
        if name == DOCUMENT:
            raise StoreError("full")
        super().save(name, document)


@pytest.mark.parametrize("lost", [True, False])
async def test_a_full_disk_does_not_keep_a_device_off_its_last_way_to_the_network(lost: bool) -> None:
    bench = device()
    bench.memory = FullMemory()
    bench.card.local = [switches_to(bench, SPARE, LOST if lost else 0)]
    assert (await execute(bench)).end is End.DONE
    assert told(bench) == [StateChangeCause.FALLBACK] * 2


async def test_a_lost_answer_on_a_full_disk_is_no_change_either_if_nothing_changed() -> None:
    bench = device()
    bench.memory = FullMemory()
    bench.card.local = [says(LOST)]
    assert (await execute(bench)).end is End.NOT_BEGUN
