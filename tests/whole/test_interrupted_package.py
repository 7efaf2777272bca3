"""What became of a package whose result no disk has, when the device has gone back meanwhile: the card's own pending
notifications tell that its enable was done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ipad_agent.card.errors import NotSupportedByCard
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.notifications import AllPackageResults, ListedNotifications
from ipad_agent.emulation.card_memory import CardMemory
from ipad_agent.errors import IpadError
from ipad_agent.lab.eim.orders.package_bytes import delete, disable, enable, set_fallback
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B
from ipad_agent.lab.euicc.state.card_state import ENABLE
from ipad_agent.lab.euicc.state.profile_switching import add_notifications

from .emulated import EmulatedWorld
from .test_emulated_card import load
from .test_emulated_counter import GatewayOffError, disk_is_full

ENABLED, ROLLED_BACK, INTERRUPTED = ("enable", True), ("rollback", True), ("processingTerminated", False)
Told = list[tuple[str, bool]]


async def told(world: EmulatedWorld) -> Told:
    """The operations of the last result on the card."""
    *_, last = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    return [(operation.name, operation.ok) for operation in last.results]


async def provisioned(folder: Path) -> EmulatedWorld:
    world = EmulatedWorld.consumer(folder)
    await world.provision()
    return world


async def go_back(world: EmulatedWorld) -> None:
    await world.euicc.recover()
    assert (await world.euicc.profile_rollback()).result == 0
    await world.euicc.recover()
    assert world.card.enabled_iccid == BOOTSTRAP


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The disk has what a package begins with, and nothing after that."""
    monkeypatch.setattr(CardMemory, "hold", disk_is_full)
    return monkeypatch


@pytest.mark.usefixtures("full_disk")
async def test_an_enable_that_was_undone_before_any_disk_knew_is_told_with_its_rollback(pki_folder: Path) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True))
    world.restart()
    assert await told(world) == [ENABLED]
    await go_back(world)
    for _ in range(2):
        world.restart()
        assert await told(world) == [ENABLED, ROLLED_BACK]
        assert (await world.euicc.profile_rollback()).result == 1
    assert world.card.enabled_iccid == BOOTSTRAP


@pytest.mark.usefixtures("full_disk")
async def test_so_is_one_that_was_undone_by_the_run_that_did_it(pki_folder: Path) -> None:
    world = await provisioned(pki_folder)
    await load(world, disable(BOOTSTRAP), enable(OPERATOR_A, rollback=True))
    await go_back(world)
    world.restart()
    assert await told(world) == [("disable", True), ENABLED, ROLLED_BACK]


async def test_a_disk_that_works_again_gets_the_whole_result(pki_folder: Path, full_disk: pytest.MonkeyPatch) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True))
    await go_back(world)
    full_disk.undo()
    world.restart()
    assert await told(world) == [ENABLED, ROLLED_BACK]
    assert (world.stored["running"], world.stored["rollback"]) == (None, None)
    world.restart()
    assert await told(world) == [ENABLED, ROLLED_BACK]


async def test_an_enable_that_was_left_for_the_fallback_profile_is_told_and_grants_no_way_back(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await provisioned(pki_folder)
    world.allowed = frozenset({OPERATOR_B})
    world.restart()
    await load(world, set_fallback(OPERATOR_B))
    monkeypatch.setattr(CardMemory, "hold", disk_is_full)
    await load(world, enable(OPERATOR_A, rollback=True), counter=8)
    await world.euicc.recover()
    assert await world.euicc.execute_fallback() == 0
    world.restart()
    assert await told(world) == [ENABLED]
    assert (await world.euicc.profile_rollback()).result == 1
    assert world.card.enabled_iccid == OPERATOR_B


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("apdus", range(1, 30, 2))
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_a_way_back_that_is_cut_off_anywhere_is_told_if_it_was_gone(
    pki_folder: Path, apdus: int, answer_lost: bool
) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True))
    world.restart()
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError):
        await world.euicc.profile_rollback()
    with contextlib.suppress(IpadError):
        world.restart()
        await world.euicc.retrieve_notifications()  # the cut may come as late as this
    world.restart()
    went_back = world.card.enabled_iccid == BOOTSTRAP
    assert await told(world) == [ENABLED, *([ROLLED_BACK] if went_back else [])]


async def lists_nothing(card: ConsumerEuicc) -> ListedNotifications:
    raise NotSupportedByCard("ListNotification: the card answered 6A88")


async def lists_what_nobody_can_read(card: ConsumerEuicc) -> ListedNotifications:
    return ListedNotifications.parse(bytes.fromhex("BF2806A004BF2F0181"))


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("list_notifications", [lists_nothing, lists_what_nobody_can_read])
async def test_an_order_needs_no_list_of_notifications_and_an_unreadable_one_counts_as_none(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch, list_notifications: Callable[..., object]
) -> None:
    world = await provisioned(pki_folder)
    with monkeypatch.context() as patch:
        patch.setattr(ConsumerEuicc, "list_notifications", list_notifications)
        done = await load(world, enable(OPERATOR_A, rollback=True))
    assert [one.ok for one in done.results] == [True]
    await go_back(world)
    world.restart()
    assert await told(world) == [INTERRUPTED]


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("why", ["the card kept no notification", "a release before this wrote down no number"])
async def test_without_the_cards_word_the_package_counts_as_interrupted(pki_folder: Path, why: str) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True))
    await go_back(world)
    if why.startswith("the card"):
        for notification in (await world.euicc.retrieve_notifications()).notifications:
            await world.euicc.remove_notification(notification.seq_number)
    else:
        running = dict(world.stored["running"])  # type: ignore[call-overload]  # a mapping
        del running["last_notification"]
        world.files.file(world.card.eid).write({**world.stored, "running": running})
    world.restart()
    assert await told(world) == [INTERRUPTED]


async def gateway_off(card: ConsumerEuicc, iccid: bytes) -> ResultCode:
    raise GatewayOffError


async def test_the_notification_of_an_older_enable_proves_nothing(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await provisioned(pki_folder)
    for counter, iccid in ((1, OPERATOR_A), (2, BOOTSTRAP)):
        await load(world, enable(iccid), counter=counter)
        await world.euicc.recover()
    monkeypatch.setattr(ConsumerEuicc, "enable_profile", gateway_off)
    with pytest.raises(GatewayOffError):
        await load(world, enable(OPERATOR_A, rollback=True), counter=3)
    world.restart()
    assert await told(world) == [INTERRUPTED]


async def test_a_notification_of_an_enable_that_nothing_followed_proves_nothing(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that is cut off in the middle may have written it before the switch, and dropped the switch."""
    world = await provisioned(pki_folder)
    monkeypatch.setattr(ConsumerEuicc, "enable_profile", gateway_off)
    with pytest.raises(GatewayOffError):
        await load(world, enable(OPERATOR_A, rollback=True))
    isdr = world.card.isdr
    (profile,) = (one for one in isdr.state.profiles if one.iccid == OPERATOR_A)
    add_notifications(isdr, profile, ENABLE)
    isdr.commit()
    world.restart()
    assert await told(world) == [INTERRUPTED]


@pytest.mark.usefixtures("full_disk")
async def test_a_rollback_after_a_later_operation_of_the_package_is_told_too(pki_folder: Path) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True), delete(OPERATOR_B))
    await go_back(world)
    world.restart()
    assert await told(world) == [ENABLED, ("delete", True), ROLLED_BACK]


async def test_a_rollback_of_a_package_that_was_cut_off_after_its_enable_is_told(
    pki_folder: Path, full_disk: pytest.MonkeyPatch
) -> None:
    world = await provisioned(pki_folder)
    await load(world, enable(OPERATOR_A, rollback=True), delete(OPERATOR_B))
    full_disk.undo()
    world.restart()
    assert await told(world) == [ENABLED, ("delete", True)]
    await go_back(world)
    assert await told(world) == [ENABLED, ("delete", True), ROLLED_BACK]
