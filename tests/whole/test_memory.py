"""Agent, card and eIM together: what the eIM ordered happens once, and the eIM learns the truth, whatever is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.errors import IpadError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd

from .memory import World


async def test_an_enable_order_ends_acknowledged_with_nothing_left_on_the_card(world: World) -> None:
    world.order("enable", OPERATOR_A, "--rollback")
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert world.card.enabled_iccid == OPERATOR_A
    (result,) = world.results
    assert result["ok"]
    assert world.card.state.results == []
    assert world.journal.entries() == ()


async def test_every_answer_lost_on_the_way_back_is_made_good_by_the_next_poll(world: World) -> None:
    world.order("enable", OPERATOR_A)
    world.carrier.cut = lambda when, function: (when, function) == ("after", "ProvideEimPackageResult")
    with pytest.raises(IpadError):
        await world.poll()
    world.restart()
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert world.card.enabled_iccid == OPERATOR_A
    assert world.journal.entries() == ()


@pytest.mark.parametrize("apdus", range(1, 40))
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_a_power_cut_at_any_apdu_runs_nothing_twice_and_loses_nothing(
    pki_folder: Path, apdus: int, answer_lost: bool
) -> None:
    world = World.make(pki_folder)
    world.order("enable", OPERATOR_A)
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    try:
        await world.poll()
    except IpadError:
        world.restart()
    world.restart()
    for _ in range(3):
        report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert world.card.enabled_iccid == OPERATOR_A
    assert world.card.profile_states()[BOOTSTRAP] is False
    assert world.journal.entries() == ()
    assert [result["ok"] for result in world.results][-1:] == [True]
