"""Downloads on a consumer card whose IoT functions the agent emulates: the card's own part, and what is enabled."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.errors import IpadError
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import BOOTSTRAP
from ipad_agent.lab.smdp import OrderState
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd

from .downloads import CODE, ICCID, SMDP, DownloadWorld
from .emulated import EmulatedWorld

BOTH_WAYS = pytest.mark.parametrize("direct", [True, False], ids=["directly", "through the eIM"])


@dataclass
class EmulatedDownloadWorld(EmulatedWorld, DownloadWorld):
    """A consumer card under an eIM, and a profile that waits at an SM-DP+."""

    @classmethod
    async def make_ready(cls, folder: Path, *, direct: bool) -> EmulatedDownloadWorld:
        world = cls.with_servers(folder, direct=direct, consumer_card=True)
        await world.provision(indirect_download=not direct)
        return world


def assert_settled(world: EmulatedDownloadWorld, order: Order, *, installed: bool) -> None:
    """Nobody owes anybody anything, and all know the same."""
    assert world.journal.entries() == ()
    assert world.card.state.notifications == []
    assert world.stored["results"] == ()
    assert world.unfinished_at_eim == []
    assert world.installed is installed
    assert order.state == ("done" if installed else "failed")
    assert (world.profile.state is OrderState.INSTALLED) is installed


@BOTH_WAYS
async def test_emulated_download_puts_a_profile_on_the_card_and_everybody_knows(pki_folder: Path, direct: bool) -> None:
    world = await EmulatedDownloadWorld.make_ready(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    assert (await world.poll()).end is PollEnd.NO_MORE_WORK
    assert_settled(world, order, installed=True)
    assert world.card.enabled_iccid == BOOTSTRAP
    assert [record.kind for record in world.smdp.notifications] == ["install-result", "event"]
    assert world.smdp.notifications[0].verified  # by the card's own certificate
    results: list[dict[str, Any]] = world.results
    signatures = [one["facts"]["signature"] for one in results if "signature" in one["facts"]]
    assert "wrong" not in signatures  # as it would be if the eIM took the device's key for the card's


@BOTH_WAYS
@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("apdus", range(2, 84, 4))
async def test_emulated_download_that_is_cut_at_any_apdu_ends_in_the_truth(
    pki_folder: Path, direct: bool, apdus: int, answer_lost: bool
) -> None:
    world = await EmulatedDownloadWorld.make_ready(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError):
        await world.poll()
    world.restart()
    for _ in range(4):
        try:
            await world.poll()
        except IpadError:
            world.restart()
    assert_settled(world, order, installed=world.installed)
    assert world.card.enabled_iccid == BOOTSTRAP


@BOTH_WAYS
async def test_emulated_immediate_enable_is_on_the_new_profile_and_the_eim_is_told(
    pki_folder: Path, direct: bool
) -> None:
    world = await EmulatedDownloadWorld.make_ready(pki_folder, direct=direct)
    world.order("immediate-enable", "on")
    await world.poll()
    order = world.order("trigger", CODE)
    await world.poll()
    assert world.card.enabled_iccid == world.card.active_iccid == ICCID
    assert (order.state, world.unfinished_at_eim) == ("done", [])
    told = [item["stateChange"] for item in world.eim.history if item.get("stateChange")]
    assert told == ["immediateEnableProfile"]
    assert world.stored["local"] is None


async def test_emulated_immediate_enable_is_for_the_smdp_that_it_was_allowed_for(pki_folder: Path) -> None:
    for address, enabled in (("another.example", BOOTSTRAP), (SMDP.upper(), ICCID)):
        world = EmulatedDownloadWorld.with_servers(pki_folder, direct=True, consumer_card=True)
        assert await world.euicc.configure_immediate_enabling(enable=True, smdp_address=address) == 0
        await world.provision()
        order = world.order("trigger", CODE)
        await world.poll()
        assert (world.card.enabled_iccid, order.state) == (enabled, "done"), address


async def test_emulated_immediate_enable_without_a_download_before_it_enables_nothing(pki_folder: Path) -> None:
    world = await EmulatedDownloadWorld.make_ready(pki_folder, direct=True)
    assert await world.euicc.immediate_enable() == 1
    world.order("immediate-enable", "on")
    await world.poll()
    assert await world.euicc.immediate_enable() == 4
    assert world.card.enabled_iccid == BOOTSTRAP
