"""A consumer card that the agent emulates the IoT functions of: the eIM verifies every result by the device key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ipad_agent.errors import IpadError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, Quirks
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd
from ipad_agent.procedures.startup.device_start import CardKind, kind_of

from .emulated import EmulatedWorld


def facts_of(result: dict[str, Any]) -> dict[str, Any]:
    """What the eIM read in a result."""
    facts: dict[str, Any] = result["facts"]
    return facts


def codes_of(result: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Operation by operation."""
    return [(one["operation"], one.get("code")) for one in facts_of(result)["operations"]]


@pytest.fixture
def world(pki_folder: Path) -> EmulatedWorld:
    return EmulatedWorld.consumer(pki_folder)


async def test_enable_with_rollback_ends_acknowledged_and_verified(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("enable", OPERATOR_A, "--rollback")
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert world.card.enabled_iccid == world.card.active_iccid == OPERATOR_A
    (result,) = world.results
    assert result["ok"]
    assert facts_of(result)["signature"] == "right (token)"
    assert world.stored["results"] == ()
    assert world.stored["running"] is None
    assert world.journal.entries() == ()


@pytest.mark.parametrize("apdus", range(1, 60))
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_t35_a_power_cut_at_any_apdu_executes_nothing_twice_and_tells_the_truth(
    pki_folder: Path, apdus: int, answer_lost: bool
) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    order = world.order("enable", OPERATOR_A, "+", "delete", OPERATOR_B)
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    try:
        await world.poll()
    except IpadError:
        world.restart()
    world.restart()
    for _ in range(3):
        report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert world.journal.entries() == ()
    (result,) = world.results
    codes = codes_of(result)
    told_enabled = ("enable", 0) in codes
    told_deleted = ("delete", 0) in codes
    assert told_enabled == (world.card.enabled_iccid == OPERATOR_A), codes
    assert told_deleted == (OPERATOR_B not in world.card.profile_states()), codes
    assert facts_of(result)["signature"].startswith("right")
    assert order.state in ("done", "failed")


async def test_the_kind_says_that_it_is_emulated(world: EmulatedWorld) -> None:
    info2 = await world.euicc.get_euicc_info2()
    assert kind_of(info2) is CardKind.EMULATED
    assert info2.iot is not None
    assert b"\xb4" not in info2.raw[:3]
    assert BOOTSTRAP in world.card.profile_states()
    assert Quirks().consumer is False
