"""The counter of a package is used up on the disk before anything of it runs, also where nothing changes the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.codec.es10.notifications import AllPackageResults
from ipad_agent.emulation.card_memory import CardMemory
from ipad_agent.emulation.device_key import KeyTrouble, SoftwareKey
from ipad_agent.emulation.emulated_state import LAST_SEQ, EmulatedState
from ipad_agent.errors import CardError
from ipad_agent.lab.eim.orders.package_bytes import (
    PackageHead,
    add_eim,
    configure_immediate_enable,
    enable,
    euicc_package,
    get_rat,
    list_profile_info,
)
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks

from .emulated import DEVICE_KEY, EmulatedWorld
from .test_emulated_card import facts_of

COUNTER = 7
ONLY_READS = (list_profile_info(), get_rat())


class GatewayOffError(BaseException):
    """The gateway loses its power: not an error of anything, the end of the process."""


def package(world: EmulatedWorld, kind: str, *operations: bytes) -> bytes:
    identity = world.eim.identity
    head = PackageHead(identity.eim_id, bytes.fromhex(world.card.eid), COUNTER)
    token = world.eim.device(world.card.eid).token
    return euicc_package(head, kind, operations, key=identity.signing_key, token=token)


def power_goes(memory: CardMemory, state: EmulatedState) -> None:
    raise GatewayOffError


def disk_is_full(memory: CardMemory, state: EmulatedState) -> None:
    """What is held counts at once, and never gets to the disk."""
    memory._state = state


@pytest.mark.parametrize("operations", [ONLY_READS, (configure_immediate_enable(on=True),)], ids=["reads", "state"])
async def test_a_package_that_changes_no_profile_is_not_carried_out_again_after_a_cut_before_its_result(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch, operations: tuple[bytes, ...]
) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    raw = package(world, "psmo", *operations)
    with monkeypatch.context() as patch:
        patch.setattr(CardMemory, "hold", power_goes)
        with pytest.raises(GatewayOffError):
            await world.euicc.load_euicc_package(raw)
    world.restart()
    again = await world.euicc.load_euicc_package(raw)
    assert (again.variant, again.error_code) == ("error_signed", 4)
    (stored,) = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    assert (stored.counter, [one.name for one in stored.results]) == (COUNTER, ["processingTerminated"])
    assert world.counter == COUNTER
    assert world.stored["immediate"] is None
    assert world.card.enabled_iccid == BOOTSTRAP


async def test_a_result_that_went_out_but_not_to_the_disk_is_not_signed_again_under_its_number(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    raw = package(world, "psmo", *ONLY_READS)
    with monkeypatch.context() as patch:
        patch.setattr(CardMemory, "hold", disk_is_full)
        given_out = await world.euicc.load_euicc_package(raw)
    assert [one.name for one in given_out.results] == ["listProfileInfo", "getRAT"]
    world.restart()
    assert (await world.euicc.load_euicc_package(raw)).error_code == 4
    (stored,) = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    assert stored.seq_number != given_out.seq_number
    assert [one.name for one in stored.results] == ["processingTerminated"]


async def test_a_package_of_ecos_is_cut_off_before_it_or_after_it_and_never_between(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    other = world.eim.identity.configuration(fqdn="second.example").replace(b"eim.lab.example", b"two.lab.example")
    raw = package(world, "eco", add_eim(other))
    with monkeypatch.context() as patch:
        patch.setattr(CardMemory, "write", power_goes)
        with pytest.raises(GatewayOffError):
            await world.euicc.load_euicc_package(raw)
    world.restart()
    assert [entry.eim_id for entry in await world.euicc.get_eim_configuration()] == ["eim.lab.example"]
    assert (await world.euicc.retrieve_notifications(AllPackageResults())).package_results == ()
    done = await world.euicc.load_euicc_package(raw)
    assert [one.name for one in done.results] == ["addEim"]
    world.restart()
    assert (await world.euicc.load_euicc_package(raw)).error_code == 4
    assert len(await world.euicc.get_eim_configuration()) == 2
    assert (await world.euicc.retrieve_notifications(AllPackageResults())).package_results == (done,)


async def test_a_rollback_that_no_disk_knows_of_is_told_under_a_number_that_was_never_used(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    enabled = await world.euicc.load_euicc_package(package(world, "psmo", enable(OPERATOR_A, rollback=True)))
    await world.euicc.recover()
    with monkeypatch.context() as patch:
        patch.setattr(CardMemory, "hold", disk_is_full)
        taken = (await world.euicc.profile_rollback()).package_result
        await world.euicc.recover()
    assert taken is not None
    assert taken.seq_number is not None
    world.restart()
    (stored,) = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    assert [one.name for one in stored.results] == ["enable", "rollback"]
    assert stored.seq_number is not None
    assert stored.seq_number > taken.seq_number
    assert enabled.seq_number not in (taken.seq_number, stored.seq_number)
    assert (await world.euicc.profile_rollback()).result == 1


async def test_a_card_that_shows_the_old_profile_until_its_reset_has_not_gone_back(pki_folder: Path) -> None:
    world = EmulatedWorld.consumer(pki_folder, quirks=Quirks(consumer=True, old_state_until_reset=True))
    await world.provision()
    await world.euicc.load_euicc_package(package(world, "psmo", enable(OPERATOR_A, rollback=True)))
    world.restart()  # the agent alone
    (stored,) = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    assert [one.name for one in stored.results] == ["enable"]
    assert world.card.enabled_iccid == OPERATOR_A


def test_numbers_follow_the_clock_so_that_two_runs_without_a_disk_use_different_ones() -> None:
    state = EmulatedState.fresh(bytes(16), "", wall_s=0.0, token=1)
    first, second = state.after_start(1_800_000_000.0), state.after_start(1_800_000_060.0)
    assert state.next_seq < first.next_seq < second.next_seq
    assert state.after_start(0.0).next_seq > state.next_seq + 3  # the clock is not set
    assert state.after_start(9e9).next_seq < LAST_SEQ - 2**28  # it is far ahead


class KeyInToken:
    """A key in a token that can be pulled out."""

    def __init__(self) -> None:
        self._key = SoftwareKey(DEVICE_KEY)
        self.away = False

    @property
    def spki(self) -> bytes:
        return self._key.spki

    def sign(self, data: bytes) -> bytes:
        if self.away:
            raise KeyTrouble("the token answers CKR_DEVICE_REMOVED")
        return self._key.sign(data)


async def test_an_order_whose_token_is_pulled_out_is_signed_when_the_token_is_back(pki_folder: Path) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    key = world.keys.key = KeyInToken()
    world.restart()
    await world.provision()
    order = world.order("enable", OPERATOR_A, "--rollback")
    key.away = True
    with pytest.raises(CardError, match="CKR_DEVICE_REMOVED"):
        await world.poll()
    assert world.card.enabled_iccid == OPERATOR_A
    with pytest.raises(CardError, match="CKR_DEVICE_REMOVED"):
        await world.euicc.retrieve_notifications(AllPackageResults())
    key.away = False
    for _ in range(2):
        await world.poll()
    *before, result = world.results
    assert not any("signature" in facts_of(one) for one in before)  # perhaps that nobody knows
    assert (order.state, facts_of(result)["signature"]) == ("done", "right (token)")
    assert [one["code"] for one in facts_of(result)["operations"]] == [0]
    assert world.stored["running"] is None
