"""The counter of a package is used up on the disk before anything of it runs, also where nothing changes the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.codec.es10.notifications import AllPackageResults
from ipad_agent.emulation.card_memory import CardMemory
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.lab.eim.orders.package_bytes import (
    PackageHead,
    add_eim,
    configure_immediate_enable,
    euicc_package,
    get_rat,
    list_profile_info,
)
from ipad_agent.lab.euicc import BOOTSTRAP

from .emulated import EmulatedWorld

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
