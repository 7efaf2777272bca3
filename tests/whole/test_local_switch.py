"""Changes of the profile that the device orders itself, on a whole card, with the power cut wherever it can be."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import IpadError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, Quirks
from ipad_agent.procedures.startup import device_start, euicc_memory_reset
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch
from virtual_time import run

from .local_switches import DISABLE, ECALL, ENABLE, Bench

P = ParamSpec("P")


def in_virtual_time(story: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Nobody waits for the card to come back."""

    @functools.wraps(story)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        run(story(*args, **kwargs))

    return test


class GatewayOffError(BaseException):
    """The gateway loses its power: not an error of anything, the end of the process."""


# -- the way there and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refreshes", [True, False], ids=["the modem refreshes", "the agent resets"])
async def test_to_the_fallback_profile_and_back(pki_folder: Path, refreshes: bool) -> None:
    bench = Bench(pki_folder, refreshes=refreshes)
    await bench.start()
    there = await bench.execute()
    assert (there.end, there.previous, there.enabled) == (End.DONE, OPERATOR_A, BOOTSTRAP)
    assert bench.works_with(BOOTSTRAP)
    assert bench.pending is StateChangeCause.FALLBACK
    assert (await bench.execute()).end is End.ALREADY
    back = await bench.return_back()
    assert (back.end, back.previous, back.enabled) == (End.DONE, BOOTSTRAP, OPERATOR_A)
    assert bench.works_with(OPERATOR_A)
    assert (await bench.return_back()).end is End.NOT_AVAILABLE


async def test_the_next_poll_tells_the_eim_of_the_fallback_until_it_answered(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    await bench.execute()
    await bench.world.poll()
    asked = [item for item in bench.world.eim.history if "state_change" in str(item)]
    assert bench.pending is None, asked


async def test_a_card_without_a_fallback_profile_and_one_without_the_function(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    bench.card.update_profile(BOOTSTRAP, fallback_attribute=False)
    await bench.start()
    assert (await bench.execute()).end is End.NOT_AVAILABLE
    old = Bench(pki_folder, quirks=Quirks(fallback_supported=False))
    await old.start()
    assert (await old.execute()).end is End.NOT_AVAILABLE
    assert old.works_with(OPERATOR_A)


async def test_a_card_that_shows_the_old_states_until_its_reset(pki_folder: Path) -> None:
    bench = Bench(pki_folder, quirks=Quirks(old_state_until_reset=True), refreshes=False)
    await bench.start()
    assert (await bench.execute()).enabled == BOOTSTRAP


async def test_to_the_emergency_profile_and_back(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    assert (await bench.emergency_on()).enabled == ECALL
    assert bench.news == []
    bench.boot()
    await bench.start()
    assert bench.works_with(ECALL)
    assert (await bench.execute()).end is End.EMERGENCY
    assert (await bench.return_back()).end is End.EMERGENCY
    off = await bench.emergency_off()
    assert (off.end, off.previous, off.enabled) == (End.DONE, ECALL, OPERATOR_A)
    assert bench.pending is StateChangeCause.EMERGENCY_PROFILE
    assert (await bench.emergency_off()).end is End.ALREADY


async def test_an_emergency_on_the_fallback_profile_ends_on_the_fallback_profile(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    await bench.execute()
    await bench.emergency_on()
    assert (await bench.emergency_off()).enabled == BOOTSTRAP
    assert (await bench.return_back()).enabled == OPERATOR_A


async def test_nothing_is_downloaded_told_or_executed_during_an_emergency(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    await bench.emergency_on()
    orders = [bench.world.order("data-request", "BF22"), bench.world.order("enable", OPERATOR_B)]
    await bench.world.poll()
    assert [order.state for order in orders] == ["failed", "failed"]
    assert ["104" in str(item) or "ecall" in str(item).lower() for item in bench.world.results] == [True, True]


# -- power -------------------------------------------------------------------------------------------------------------

Call = Callable[[Bench], Awaitable[LocalSwitch]]
ORDERS: list[tuple[str, list[Call], Call, str, StateChangeCause]] = [
    ("fallback", [], Bench.execute, BOOTSTRAP, StateChangeCause.FALLBACK),
    ("return", [Bench.execute], Bench.return_back, OPERATOR_A, StateChangeCause.FALLBACK),
    ("emergency", [], Bench.emergency_on, ECALL, StateChangeCause.EMERGENCY_PROFILE),
    ("end of emergency", [Bench.emergency_on], Bench.emergency_off, OPERATOR_A, StateChangeCause.EMERGENCY_PROFILE),
]
EACH = pytest.mark.parametrize(
    ("before", "call", "target", "cause"), [o[1:] for o in ORDERS], ids=[o[0] for o in ORDERS]
)
APDUS = range(1, 18)
"""One more than any of them takes."""
RESET_APDUS = range(1, 28)


async def prepared(folder: Path, before: list[Call], **options: Any) -> Bench:
    bench = Bench(folder, **options)
    await bench.start()
    for call in before:
        await call(bench)
    for eim_id in bench.eims:
        bench.context.changes.told(eim_id)
    bench.card.state.notifications.clear()
    bench.card.isdr.commit()
    return bench


def assert_once(bench: Bench, target: str, cause: StateChangeCause) -> None:
    """The profile is enabled, card and modem agree, everybody will be told why, and it happened once."""
    assert bench.works_with(target)
    assert bench.pending is cause
    if cause is StateChangeCause.FALLBACK:
        other = OPERATOR_A if target == BOOTSTRAP else BOOTSTRAP
        assert bench.news == [(DISABLE, other), (ENABLE, target)]
    assert bench.card.state.fallback_return == (OPERATOR_A if target == BOOTSTRAP else None)
    assert (bench.card.state.emergency_return is not None) is (target == ECALL)
    assert bench.local_switch_record.under_way(str(bench.world.eid)) is None


async def until_done(bench: Bench, call: Call) -> None:
    """Order it again, as the guardian or a person would, if the device is not where it should be."""
    started = await bench.start()
    if started is None or started.end is not End.DONE:
        switch = await call(bench)
        assert switch.end in (End.DONE, End.ALREADY, End.NOT_AVAILABLE)


@EACH
@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("apdus", APDUS)
@in_virtual_time
async def test_a_card_that_loses_its_power_at_any_apdu_switches_once(
    pki_folder: Path,
    before: list[Call],
    call: Call,
    target: str,
    cause: StateChangeCause,
    apdus: int,
    answer_lost: bool,
) -> None:
    bench = await prepared(pki_folder, before)
    bench.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError):
        await call(bench)
    bench.boot()
    await until_done(bench, call)
    assert_once(bench, target, cause)


@EACH
@pytest.mark.parametrize("step", ["before-swap", "after-swap"])
@in_virtual_time
async def test_a_card_that_loses_its_power_in_the_middle_of_the_switch_switches_once(
    pki_folder: Path, before: list[Call], call: Call, target: str, cause: StateChangeCause, step: str
) -> None:
    bench = await prepared(pki_folder, before)
    bench.card.power_cut_at(step)
    switch = await call(bench)
    # The same process notices, and does not give an order twice.
    assert switch.end is (End.DONE if step == "after-swap" else End.NOT_BEGUN)
    await until_done(bench, call)
    assert_once(bench, target, cause)


@EACH
@pytest.mark.parametrize("card_too", [True, False], ids=["power cut", "killed"])
@pytest.mark.parametrize("refreshes", [True, False], ids=["the modem refreshes", "the agent resets"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("apdus", APDUS)
@in_virtual_time
async def test_a_gateway_that_goes_off_at_any_apdu_has_switched_once_in_the_end(
    pki_folder: Path,
    before: list[Call],
    call: Call,
    target: str,
    cause: StateChangeCause,
    apdus: int,
    when: str,
    refreshes: bool,
    card_too: bool,
) -> None:
    bench = await prepared(pki_folder, before, refreshes=refreshes)
    transmit, left = bench.world.access.transmit, [apdus]

    def dying(apdu: bytes) -> bytes:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            raise GatewayOffError
        answer = transmit(apdu)
        if left[0] == 0:
            raise GatewayOffError
        return answer

    bench.world.access.transmit = dying  # type: ignore[method-assign]  # the wire ends here
    with contextlib.suppress(GatewayOffError):
        await call(bench)
    bench.boot(card_too=card_too)
    await until_done(bench, call)
    assert_once(bench, target, cause)


@in_virtual_time
async def test_the_power_cuts_reach_just_beyond_the_last_apdu(pki_folder: Path) -> None:
    counts = []
    for _, before, call, _, _ in ORDERS:
        counts.append(await apdus_of(await prepared(pki_folder, before, refreshes=False), call))
    assert max(counts) + 1 == APDUS[-1]
    reset_count = await apdus_of(await prepared(pki_folder, []), lambda bench: wipe(bench, "operational-profiles"))
    assert reset_count + 1 == RESET_APDUS[-1]


async def apdus_of(bench: Bench, call: Callable[[Bench], Awaitable[object]]) -> int:
    transmit, count = bench.world.access.transmit, 0

    def counting(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        return transmit(apdu)

    bench.world.access.transmit = counting  # type: ignore[method-assign]  # listens on the wire
    await call(bench)
    return count


# -- factory reset -----------------------------------------------------------------------------------------------------


async def wipe(bench: Bench, *what: str) -> euicc_memory_reset.ResetReport:
    return await euicc_memory_reset.reset(bench.context, bench.world.documents, what, allowed=True)


async def test_a_reset_leaves_a_card_that_can_be_provisioned_again(pki_folder: Path) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    report = await wipe(bench, "operational-profiles", "eims")
    assert (report.result.result.ok, report.eims) == (True, ())
    assert OPERATOR_A not in bench.card.profile_states()
    assert BOOTSTRAP in bench.card.profile_states()
    facts = await device_start.read_card(bench.world.euicc)
    assert facts.eims == ()


@pytest.mark.parametrize("apdus", RESET_APDUS)
@in_virtual_time
async def test_a_power_cut_during_a_reset_is_told_truthfully(pki_folder: Path, apdus: int) -> None:
    bench = await prepared(pki_folder, [])
    bench.card.power_cut_after(apdus, answer_lost=True)
    with contextlib.suppress(IpadError):
        await wipe(bench, "operational-profiles")
    bench.boot()
    await bench.start()
    gone = OPERATOR_A not in bench.card.profile_states()
    assert bench.pending is (StateChangeCause.RESET if gone else None)
