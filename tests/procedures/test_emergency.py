"""The emergency profile, enabled and disabled by the device. What is refused meanwhile: ``test_data_request``,
``test_download`` and ``test_fallback``."""

from __future__ import annotations

import asyncio

import pytest

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.procedures.download import immediate_enable
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.records.owed_work import WorkKind
from ipad_agent.procedures.records.switch_record import UNKNOWN
from ipad_agent.procedures.switching import emergency_profile
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch, settle
from virtual_time import run

from .fakes import Bench
from .local_card import ECALL, EIMS, WORK, device, local_switch_record, profiles, says, switches_to, told


async def enable(bench: Bench) -> LocalSwitch:
    return await emergency_profile.enable(bench.context, local_switch_record(bench), EIMS)


async def disable(bench: Bench) -> LocalSwitch:
    return await emergency_profile.disable(bench.context, local_switch_record(bench), EIMS)


async def test_every_eim_is_told_that_the_emergency_profile_is_enabled_and_that_it_is_not_any_more() -> None:
    bench = device()
    bench.card.local = [switches_to(bench, ECALL), switches_to(bench, WORK)]
    on = await enable(bench)
    assert (on.end, on.previous, on.enabled) == (End.DONE, WORK, ECALL)
    assert told(bench) == [StateChangeCause.EMERGENCY_PROFILE] * 2
    for eim_id in EIMS:
        bench.context.changes.told(eim_id)
    off = await disable(bench)
    assert (off.end, off.previous, off.enabled) == (End.DONE, ECALL, WORK)
    assert told(bench) == [StateChangeCause.EMERGENCY_PROFILE] * 2
    assert bench.card.log == ["enable emergency profile", "recover", "disable emergency profile", "recover"]


async def test_a_card_without_enabled_profile_gets_there_and_back_to_none() -> None:
    bench = device(None)
    bench.card.local = [switches_to(bench, ECALL), switches_to(bench, None)]
    assert (await enable(bench)).previous is None
    off = await disable(bench)
    assert (off.end, off.enabled) == (End.DONE, None)


@pytest.mark.parametrize(("code", "end"), [(2, End.ALREADY), (8, End.NOT_AVAILABLE), (127, End.REFUSED), (5, End.BUSY)])
def test_a_refusal_changes_nothing(code: int, end: End) -> None:
    async def story() -> None:
        bench = device()
        bench.card.local = [says(code)] * 3
        assert (await enable(bench)).end is end
        assert told(bench) == [None, None]

    run(story())


async def test_a_card_of_v1_3_may_say_that_it_has_no_emergency_profile_to_disable() -> None:
    # DisableEmergencyProfileResponse: ecallNotAvailable(8) since v1.3
    bench = device()
    bench.card.local = [says(8)]
    assert (await disable(bench)).end is End.NOT_AVAILABLE
    assert told(bench) == [None, None]


async def test_what_is_so_already_needs_no_order() -> None:
    bench = device(ECALL)
    assert (await enable(bench)).end is End.ALREADY
    assert bench.card.log == []


async def test_a_card_is_asked_to_disable_also_when_its_list_does_not_show_the_emergency_profile() -> None:
    bench = device()
    bench.card.local = [says(2)]
    assert (await disable(bench)).end is End.ALREADY
    assert bench.card.log == ["disable emergency profile"]


async def test_after_a_restart_in_the_middle_the_eims_are_told_all_the_same() -> None:
    bench = device()
    local_switch_record(bench).begin(str(bench.context.eid), What.EMERGENCY_ON, WORK)
    bench.card.profiles = profiles(ECALL)
    bench.context.changes.note(EIMS, StateChangeCause.UNDEFINED)  # as the start does, which knows no better
    found = await settle(bench.context, local_switch_record(bench), EIMS)
    assert found is not None
    assert (found.what, found.end) == (What.EMERGENCY_ON, End.DONE)
    assert told(bench) == [StateChangeCause.EMERGENCY_PROFILE] * 2


def test_the_emergency_profile_is_the_one_with_the_indication() -> None:
    found = emergency_profile.find(profiles(WORK))
    assert found is not None
    assert (str(found.profile.iccid), found.enabled) == (ECALL, False)
    found = emergency_profile.find([*profiles(WORK), *profiles(ECALL)])
    assert found is not None
    assert found.enabled
    assert emergency_profile.find(profiles(WORK)[:2]) is None


# -- immediate enabling, whose card may be busy as well ----------------------------------------------------------------


@pytest.mark.parametrize(("times", "enabled", "log"), [(0, True, 1), (2, True, 3), (3, False, 3)])
def test_immediate_enabling_asks_a_busy_card_three_times(times: int, enabled: bool, log: int) -> None:
    async def story() -> None:
        bench = device()
        answers = iter([5] * times + [0])

        async def enable_at_once() -> ResultCode:
            bench.card.log.append("enable")
            return ResultCode(next(answers))

        bench.card.immediate_enable = enable_at_once  # type: ignore[method-assign]  # one answer after the other
        begin_s = asyncio.get_running_loop().time()
        work = bench.context.work.take("eim1", bench.eim.config.raw, WorkKind.TRIGGER, b"", None)
        assert await immediate_enable.try_enable(bench.context, bench.eim, work, UNKNOWN) is enabled
        assert bench.card.log.count("enable") == log
        assert asyncio.get_running_loop().time() - begin_s == pytest.approx(2.0 * (log - 1))

    run(story())
