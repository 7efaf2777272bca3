"""A consumer card that the agent emulates the IoT functions of: the eIM verifies every result by the device key."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.codec.es10.es10_requests import ResetOption
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.es10.notifications import AllPackageResults, BySeqNumber
from ipad_agent.emulation import associated_eims
from ipad_agent.emulation.emulated_state import MAX_COUNTER, EmulatedState, RunningPackage, StoredResult
from ipad_agent.errors import CardError, IpadError
from ipad_agent.lab.eim.eim_faults import PackageFaults
from ipad_agent.lab.eim.orders.package_bytes import PackageHead, enable, euicc_package
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


async def load(world: EmulatedWorld, *operations: bytes, counter: int = 7) -> EuiccPackageResult:
    """Hand the card a package as an eIM would sign it, with nobody who would act on the result."""
    identity, token = world.eim.identity, world.eim.device(world.card.eid).token
    head = PackageHead(identity.eim_id, bytes.fromhex(world.card.eid), counter)
    package = euicc_package(head, "psmo", operations, key=identity.signing_key, token=token)
    return await world.euicc.load_euicc_package(package)


async def poll_once(world: EmulatedWorld) -> dict[str, Any]:
    """The result of the one order that waits."""
    before = len(world.results)
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert len(world.results) == before + 1
    result: dict[str, Any] = world.results[-1]
    assert facts_of(result).get("signature", "right").startswith("right"), facts_of(result)
    return result


async def test_emulated_psmo_all_every_operation_has_its_result(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("list-profiles", "+", "get-rat", "+", "immediate-enable", "on", "+", "set-default-dp", "dp.example")
    result = await poll_once(world)
    assert result["ok"], facts_of(result)
    assert [name for name, _ in codes_of(result)] == [
        "listProfileInfo",
        "getRAT",
        "configureImmediateEnable",
        "setDefaultDpAddress",
    ]
    assert world.card.state.default_smdp == "dp.example"
    assert world.stored["immediate"] == (None, None)
    world.order("set-fallback", BOOTSTRAP)
    assert codes_of(await poll_once(world)) == [("setFallbackAttribute", 2)]  # its operator does not allow it
    world.allowed = frozenset({BOOTSTRAP})
    world.restart()
    world.order("set-fallback", BOOTSTRAP, "+", "set-fallback", BOOTSTRAP)
    assert codes_of(await poll_once(world)) == [("setFallbackAttribute", 0)] * 2
    world.order("list-profiles", "5A", "9F26")
    (listed,) = facts_of(await poll_once(world))["operations"]
    told = {one["iccid"]: one.get("fallback", False) for one in listed["profiles"]}
    assert told == {BOOTSTRAP: True, OPERATOR_A: False, OPERATOR_B: False}
    world.order("unset-fallback")
    assert codes_of(await poll_once(world)) == [("unsetFallbackAttribute", 3)]
    world.order("disable", BOOTSTRAP, "+", "enable", OPERATOR_A, "+", "delete", OPERATOR_B)
    assert codes_of(await poll_once(world)) == [("disable", 0), ("enable", 0), ("delete", 0)]
    assert world.card.profile_states() == {BOOTSTRAP: False, OPERATOR_A: True}


async def test_a_package_stops_at_the_first_operation_that_fails(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("delete", BOOTSTRAP, "+", "delete", OPERATOR_B)
    assert codes_of(await poll_once(world)) == [("delete", 2)]
    assert OPERATOR_B in world.card.profile_states()
    world.order("enable", OPERATOR_A, "+", "enable", OPERATOR_B)
    assert codes_of(await poll_once(world)) == [("enable", 0), ("enable", 127)]
    world.order("enable", OPERATOR_B, "+", "list-profiles")
    assert codes_of(await poll_once(world)) == [("enable", 0), ("listProfileInfo", 11)]


async def test_emulated_eco_all_changes_the_eims_and_survives_a_restart(world: EmulatedWorld) -> None:
    await world.provision()
    other = replace(world.eim.identity, eim_id="second.example").configuration(fqdn="second.example")
    world.order("add-eim", other.hex(), "+", "list-eim", "+", "add-eim", other.hex())
    result = await poll_once(world)
    assert [name for name, _ in codes_of(result)] == ["addEim", "listEim", "addEim"]
    assert codes_of(result)[-1] == ("addEim", 2)
    world.restart()
    assert [config.eim_id for config in await world.euicc.get_eim_configuration()] == [
        "eim.lab.example",
        "second.example",
    ]
    changed = replace(world.eim.identity, eim_id="second.example").configuration(
        fqdn="other.example", ask_for_token=False, counter=None, signing="none"
    )
    world.order("update-eim", changed.hex(), "+", "delete-eim", "third.example")
    assert codes_of(await poll_once(world)) == [("updateEim", 0), ("deleteEim", 1)]
    assert (await world.euicc.get_eim_configuration())[1].fqdn == "other.example"
    world.order("delete-eim", "second.example", "+", "delete-eim", "eim.lab.example", "+", "list-eim")
    report = await world.poll()
    assert report.end is PollEnd.EIM_CHANGED
    result = world.results[-1]
    assert codes_of(result)[:2] == [("deleteEim", 0), ("deleteEim", 2)]
    assert await world.euicc.get_eim_configuration() == ()


@pytest.mark.parametrize(("by", "left"), [("eim.lab.example", []), ("second.example", [7])])
async def test_results_for_an_eim_that_another_deletes_are_not_kept_for_ever(
    world: EmulatedWorld, by: str, left: list[int]
) -> None:
    await world.provision()
    other = replace(world.eim.identity, eim_id="second.example").configuration(fqdn="other.example")
    world.order("add-eim", other.hex())
    await poll_once(world)
    state = EmulatedState.from_document(world.stored)
    owed = StoredResult(7, b"", "second.example", 1, None, None, ())
    running = RunningPackage(by, 2, None, None, 8, b"", None)
    after, code = associated_eims.delete(replace(state, results=(owed,), running=running), "second.example")
    assert (code, [one.seq for one in after.results]) == (0, left)


async def test_the_same_package_again_is_a_replay_and_changes_nothing(world: EmulatedWorld) -> None:
    await world.provision()
    order = world.order("enable", OPERATOR_A)
    await poll_once(world)
    assert order.package is not None
    world.restart()
    again = await world.euicc.load_euicc_package(order.package)
    assert again.variant == "error_signed"
    assert again.error_code == 4
    world.order("enable", BOOTSTRAP)
    await poll_once(world)
    assert (await world.euicc.load_euicc_package(order.package)).error_code == 4
    assert world.card.enabled_iccid == BOOTSTRAP


async def test_a_package_of_a_stranger_or_with_a_wrong_signature_uses_up_no_counter(world: EmulatedWorld) -> None:
    await world.provision()
    order = world.order("enable", OPERATOR_A)
    order.faults = PackageFaults(signature="corrupt")
    await world.poll()
    assert order.package is not None
    assert world.card.enabled_iccid == BOOTSTRAP
    assert world.counter == 0
    stranger = order.package.replace(b"eim.lab.example", b"eim.bad.example")
    answer = await world.euicc.load_euicc_package(stranger)
    assert answer.variant == "error_unsigned"
    assert answer.association_token is None


async def test_a_package_for_another_card_is_refused_with_a_signature(world: EmulatedWorld) -> None:
    await world.provision()
    device = world.eim.device(world.card.eid)
    key, token = world.eim.identity.signing_key, device.token
    head = PackageHead(world.eim.identity.eim_id, bytes(16), 9)
    package = euicc_package(head, "psmo", [enable(OPERATOR_A)], key=key, token=token)
    answer = await world.euicc.load_euicc_package(package)
    assert (answer.variant, answer.error_code) == ("error_signed", 3)


async def test_emulated_rollback_gives_one_result_that_tells_of_both(world: EmulatedWorld) -> None:
    await world.provision()
    await load(world, enable(OPERATOR_A, rollback=True))
    assert world.card.enabled_iccid == OPERATOR_A
    world.restart()
    result = await world.euicc.profile_rollback()
    assert result.result == 0
    await world.euicc.recover()
    assert world.card.enabled_iccid == world.card.active_iccid == BOOTSTRAP
    assert (await world.euicc.profile_rollback()).result == 1
    stored = await world.euicc.retrieve_notifications(AllPackageResults())
    (one,) = stored.package_results
    assert [(operation.name, operation.ok) for operation in one.results] == [("enable", True), ("rollback", True)]


async def test_a_device_without_coverage_goes_back_and_the_eim_learns_both(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("enable", OPERATOR_A, "--rollback")
    world.carrier.cut = lambda when, function: function == "ProvideEimPackageResult"
    with contextlib.suppress(IpadError):
        await world.poll()
    assert world.card.enabled_iccid == world.card.active_iccid == BOOTSTRAP
    world.carrier.cut = lambda when, function: False
    result = await poll_once(world)
    assert codes_of(result) == [("enable", 0), ("rollback", 0)]
    assert world.stored["results"] == ()


async def test_a_counter_that_could_never_be_followed_by_another_is_refused(world: EmulatedWorld) -> None:
    await world.provision()
    answer = await load(world, enable(OPERATOR_A), counter=MAX_COUNTER + 1)
    assert (answer.variant, answer.error_code) == ("error_signed", 6)
    assert not (await load(world, enable(OPERATOR_A), counter=MAX_COUNTER)).error_code


async def test_an_update_of_an_eim_with_nothing_in_it_is_a_command_error(world: EmulatedWorld) -> None:
    await world.provision()
    name = world.eim.identity.eim_id.encode()
    content = bytes([0x80, len(name)]) + name
    world.order("update-eim", (bytes([0x30, len(content)]) + content).hex())
    assert codes_of(await poll_once(world)) == [("updateEim", 7)]


async def test_rollback_ends_with_the_next_package_whatever_is_in_it(world: EmulatedWorld) -> None:
    await world.provision()
    await load(world, enable(OPERATOR_A, rollback=True))
    await load(world, bytes.fromhex("A600"), counter=8)
    assert (await world.euicc.profile_rollback()).result == 1
    assert world.card.enabled_iccid == OPERATOR_A


async def test_rollback_ends_when_the_eim_has_the_result(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("enable", OPERATOR_A, "--rollback")
    await poll_once(world)
    assert (await world.euicc.profile_rollback()).result == 1
    assert world.card.enabled_iccid == OPERATOR_A


@pytest.mark.parametrize("apdus", range(1, 12))
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_a_rollback_that_is_cut_off_is_found_out(pki_folder: Path, apdus: int, answer_lost: bool) -> None:
    world = EmulatedWorld.consumer(pki_folder)
    await world.provision()
    await load(world, enable(OPERATOR_A, rollback=True))
    world.restart()
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError):
        await world.euicc.profile_rollback()
    world.restart()
    stored = await world.euicc.retrieve_notifications(AllPackageResults())
    (one,) = stored.package_results
    assert (one.results[-1].name == "rollback") == (world.card.enabled_iccid == BOOTSTRAP)
    assert world.stored["local"] is None


@pytest.mark.parametrize("resets", [True, False], ids=["the reset is one", "the modem only says so"])
async def test_a_card_that_shows_the_old_state_has_not_rolled_back(pki_folder: Path, resets: bool) -> None:
    """Torture seed 501259: the eIM was told of a rollback, and the profile stayed enabled."""
    world = EmulatedWorld.consumer(pki_folder, quirks=Quirks(consumer=True, old_state_until_reset=True))
    await world.provision()
    await load(world, enable(OPERATOR_A, rollback=True))
    world.restart()
    if not resets:
        world.access.reset = lambda: None  # type: ignore[method-assign]
    stored = await world.euicc.retrieve_notifications(AllPackageResults())
    (one,) = stored.package_results
    assert [operation.name for operation in one.results] == ["enable"]
    assert world.card.enabled_iccid == OPERATOR_A


async def test_emulated_fallback_and_return(world: EmulatedWorld) -> None:
    await world.provision()
    world.allowed = frozenset({BOOTSTRAP})
    world.restart()
    assert await world.euicc.execute_fallback() == 6
    world.order("set-fallback", BOOTSTRAP, "+", "enable", OPERATOR_A)
    await poll_once(world)
    assert await world.euicc.return_from_fallback() == 6
    assert await world.euicc.execute_fallback() == 0
    await world.euicc.recover()
    assert world.card.enabled_iccid == world.card.active_iccid == BOOTSTRAP
    assert await world.euicc.execute_fallback() == 2
    world.order("delete", OPERATOR_A)
    assert codes_of(await poll_once(world)) == [("delete", 21)]
    assert await world.euicc.return_from_fallback() == 0
    await world.euicc.recover()
    assert world.card.enabled_iccid == OPERATOR_A
    assert await world.euicc.return_from_fallback() == 6


async def test_what_a_consumer_card_cannot_give_is_not_available(world: EmulatedWorld) -> None:
    await world.provision()
    assert (await world.euicc.get_certs()).error == 127
    assert (await world.euicc.get_connectivity_parameters()).error == 1
    assert await world.euicc.enable_emergency_profile() == 8
    assert await world.euicc.disable_emergency_profile() == 8
    world.order("data-request", "info1,info2,token,eum,euicc,results,smdp")
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    facts = facts_of(world.results[-1])
    assert facts["ok"], facts
    assert "euiccCertificate" not in facts


async def test_emulated_data_request_tells_what_the_card_and_this_device_have(world: EmulatedWorld) -> None:
    await world.provision()
    await load(world, enable(OPERATOR_A))
    await world.euicc.recover()
    world.order("data-request", "info1,info2,token,results,smdp")
    assert (await world.poll()).end is PollEnd.NO_MORE_WORK
    facts = facts_of(world.results[-1])
    assert facts["ok"], facts
    assert facts["associationToken"] == 42
    assert facts["defaultSmdpAddress"] == "smdp.lab.example"
    assert facts["packageResults"] == []  # delivered before, and acknowledged
    assert facts["euiccInfo2"]["raw"] == (await world.euicc.get_euicc_info2()).raw.hex().upper()  # as the card tells it
    assert facts["euiccInfo1"] == (await world.euicc.get_euicc_info1()).raw.hex().upper()


async def test_a_maker_allows_immediate_enabling_by_hand_until_an_eim_manages_the_card(world: EmulatedWorld) -> None:
    assert await world.euicc.configure_immediate_enabling(enable=True, smdp_address="smdp.lab.example") == 0
    assert list(world.stored["immediate"]) == [None, "smdp.lab.example"]  # type: ignore[call-overload]
    await world.provision()
    refused = await world.euicc.configure_immediate_enabling(enable=False)
    assert (refused, refused.name) == (2, "associatedEimAlreadyExists")
    assert list(world.stored["immediate"]) == [None, "smdp.lab.example"]  # type: ignore[call-overload]


async def test_the_default_smdp_of_a_consumer_card_is_the_cards_own(world: EmulatedWorld) -> None:
    assert await world.euicc.set_default_dp("smdp.lab.example") == 0
    assert (await world.euicc.get_configured_addresses()).default_smdp == "smdp.lab.example"


async def test_memory_reset_takes_the_parts_where_they_are(world: EmulatedWorld) -> None:
    await world.provision()
    reset = await world.euicc.memory_reset([ResetOption.EIM_CONFIGURATION, ResetOption.IMMEDIATE_ENABLE_CONFIGURATION])
    assert (reset.result, reset.eim_result, reset.immediate_enable_result) == (0, 0, 0)
    assert await world.euicc.get_eim_configuration() == ()
    assert (await world.euicc.memory_reset([ResetOption.EIM_CONFIGURATION])).eim_result == 1
    assert (await world.euicc.memory_reset([ResetOption.OPERATIONAL_PROFILES])).result == 0
    assert world.card.profile_states() == {BOOTSTRAP: True}
    with pytest.raises(CardError):
        await world.euicc.memory_reset([ResetOption.PROVISIONING_PROFILES])


async def test_the_cards_own_notifications_and_stored_results_do_not_meet(world: EmulatedWorld) -> None:
    await world.provision()
    await load(world, enable(OPERATOR_A))
    await world.euicc.recover()
    results = (await world.euicc.retrieve_notifications(AllPackageResults())).package_results
    notifications = (await world.euicc.retrieve_notifications()).notifications
    assert results[0].seq_number is not None
    assert results[0].seq_number >= 0x40000000 > notifications[0].seq_number
    found = await world.euicc.retrieve_notifications(BySeqNumber(results[0].seq_number))
    assert found.package_results == results


async def test_a_card_with_iot_functions_is_passed_through(pki_folder: Path) -> None:
    world = EmulatedWorld.consumer(pki_folder, quirks=Quirks())
    assert kind_of(await world.euicc.get_euicc_info2()) is CardKind.IOT
    assert await world.euicc.get_eim_configuration() == ()
    assert world.keys.key is None


async def test_a_lost_key_is_never_replaced_and_the_card_left_alone(world: EmulatedWorld) -> None:
    await world.provision()
    world.keys.key = None
    world.restart()
    assert kind_of(await world.euicc.get_euicc_info2()) is CardKind.CONSUMER
    assert world.keys.key is None


async def test_a_damaged_state_is_lost_and_not_answered_from_an_older_one(world: EmulatedWorld) -> None:
    await world.provision()
    world.order("enable", OPERATOR_A)
    await poll_once(world)
    path = f"/state/emulated-{world.card.eid}.json"
    file = world.disk.create(path)
    file.write(b"damaged")
    file.sync()
    world.restart()
    assert await world.euicc.get_eim_configuration() == ()
    assert world.disk.read(path + ".damaged") == b"damaged"


async def test_a_key_that_comes_back_is_used_at_the_next_look(
    world: EmulatedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await world.provision()
    key, world.keys.key = world.keys.key, None
    world.restart()
    for _ in range(3):
        world.euicc.ask_anew()
        assert kind_of(await world.euicc.get_euicc_info2()) is CardKind.CONSUMER
    assert len([line for line in caplog.messages if "device key" in line and "not to be had" in line]) == 1
    world.keys.key = key
    world.euicc.ask_anew()
    assert kind_of(await world.euicc.get_euicc_info2()) is CardKind.EMULATED
