"""Whole downloads: the profile gets onto the card once, everybody learns the truth, whatever is cut or broken."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.errors import IpadError
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import BOOTSTRAP
from ipad_agent.lab.smdp import Fault, Metadata, OrderState
from ipad_agent.procedures.context import DownloadRules
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollEnd

from .downloads import CODE, ICCID, SMDP, SMDS, DownloadWorld

BOTH_WAYS = pytest.mark.parametrize("direct", [True, False], ids=["directly", "through the eIM"])


async def until_quiet(world: DownloadWorld, polls: int = 4) -> None:
    """Poll as the daemon would after trouble: anew, with what disk and card remember."""
    for _ in range(polls):
        try:
            await world.poll()
        except IpadError:
            world.restart()


def assert_settled(world: DownloadWorld, order: Order, *, installed: bool) -> None:
    """Nobody owes anybody anything, all know the same, and the device is on the profile it was on."""
    assert world.journal.entries() == ()
    assert world.card.state.notifications == []
    assert world.unfinished_at_eim == []
    assert world.installed is installed
    assert order.state == ("done" if installed else "failed")
    assert (world.profile.state is OrderState.INSTALLED) is installed
    assert world.card.enabled_iccid == BOOTSTRAP


@BOTH_WAYS
async def test_a_profile_is_downloaded_and_everybody_knows(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    report = await world.poll()
    assert report.end is PollEnd.NO_MORE_WORK
    assert_settled(world, order, installed=True)
    assert [record.kind for record in world.smdp.notifications] == ["install-result", "event"]


@BOTH_WAYS
@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("apdus", range(1, 84))
async def test_a_power_cut_at_any_apdu_ends_in_the_truth(
    pki_folder: Path, direct: bool, apdus: int, answer_lost: bool
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError):
        await world.poll()
    world.restart()
    await until_quiet(world)
    assert_settled(world, order, installed=world.installed)
    assert world.profile.bindings <= 2


@BOTH_WAYS
async def test_a_cut_before_the_package_is_loaded_still_ends_with_the_profile(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    world.card.power_cut_after(20, answer_lost=False)
    with contextlib.suppress(IpadError):
        await world.poll()
    world.restart()
    await until_quiet(world)
    assert_settled(world, order, installed=True)


FUNCTIONS = ["InitiateAuthentication", "AuthenticateClient", "GetBoundProfilePackage", "HandleNotification"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("function", [*FUNCTIONS, "ProvideEimPackageResult"])
@BOTH_WAYS
async def test_a_message_lost_once_is_made_good(pki_folder: Path, direct: bool, function: str, when: str) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    lost: list[str] = []

    def once(at: str, called: str) -> bool:
        if (at, called) == (when, function) and not lost:
            lost.append(called)
            return True
        return False

    world.network.cut = once
    world.carrier.cut = once
    try:
        await world.poll()
    except IpadError:
        world.restart()
    await until_quiet(world)
    later(world)
    await until_quiet(world)
    assert_settled(world, order, installed=True)


class GatewayOffError(BaseException):
    """The gateway loses its power: not an error of anything, the end of the process."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("function", [*FUNCTIONS, "ProvideEimPackageResult"])
@BOTH_WAYS
async def test_a_gateway_that_goes_off_at_any_message_ends_in_the_truth(
    pki_folder: Path, direct: bool, function: str, when: str
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    off: list[str] = []

    def once(at: str, called: str) -> bool:
        if (at, called) == (when, function) and not off:
            off.append(called)
            raise GatewayOffError
        return False

    world.network.cut = once
    world.carrier.cut = once
    with contextlib.suppress(GatewayOffError):
        await world.poll()
    world.access.reset()  # card and modem lose it too
    world.restart()
    await until_quiet(world)
    assert_settled(world, order, installed=True)
    assert world.profile.bindings <= 2


def later(world: DownloadWorld) -> None:
    """The pauses of receivers are over."""
    world.documents.documents.pop("notifications", None)


HOSTILE: list[tuple[str, str, Any]] = [
    ("initiateAuthentication", "wrong-challenge", None),
    ("initiateAuthentication", "wrong-address", "evil.example"),
    ("initiateAuthentication", "wrong-transaction", None),
    ("initiateAuthentication", "signed-transaction", None),
    ("initiateAuthentication", "wrong-ci", None),
    ("initiateAuthentication", "wrong-signature", None),
    ("initiateAuthentication", "wrong-certificate", "expired"),
    ("initiateAuthentication", "wrong-certificate", "not-yet-valid"),
    ("initiateAuthentication", "wrong-certificate", "foreign"),
    ("initiateAuthentication", "wrong-certificate", "dppb"),
    ("initiateAuthentication", "status", "8.8.1/3.8"),
    ("initiateAuthentication", "http", 500),
    ("authenticateClient", "signed-transaction", None),
    ("authenticateClient", "wrong-signature", None),
    ("authenticateClient", "wrong-certificate", "expired"),
    ("authenticateClient", "wrong-certificate", "other-oid"),
    ("authenticateClient", "wrong-certificate", "foreign"),
    ("authenticateClient", "certificate-shown", "dpauth"),
    ("authenticateClient", "wrong-cc-flag", None),
    ("authenticateClient", "metadata", Metadata("89490200009000000099")),
    ("authenticateClient", "status", "8.2.6/3.8"),
    ("getBoundProfilePackage", "bpp-transaction", None),
    ("getBoundProfilePackage", "bpp-signature", None),
    ("getBoundProfilePackage", "bpp-key-type", 0x99),
    ("getBoundProfilePackage", "bpp-mac", 1),
    ("getBoundProfilePackage", "bpp-mac", 2),
    ("getBoundProfilePackage", "bpp-mac", 99),
    ("getBoundProfilePackage", "bpp-swap", 4),
    ("getBoundProfilePackage", "bpp-drop", 4),
    ("getBoundProfilePackage", "bpp-repeat", 4),
    ("getBoundProfilePackage", "bpp-keys", None),
    ("getBoundProfilePackage", "bpp-metadata", Metadata("89490200009000000099")),
    ("getBoundProfilePackage", "bpp-cut", 3),
    ("getBoundProfilePackage", "bpp-cut-bytes", 900),
    ("getBoundProfilePackage", "bpp-length", 5),
    ("getBoundProfilePackage", "bpp-length", -5),
    ("getBoundProfilePackage", "bpp-group-length", (0xA3, 4)),
    ("getBoundProfilePackage", "bpp-trailing", b"\x00\x00"),
    ("getBoundProfilePackage", "status", "8.2.7/2.2"),
]


@BOTH_WAYS
@pytest.mark.parametrize(("function", "action", "value"), HOSTILE, ids=lambda item: str(item)[:24])
async def test_a_hostile_server_ends_in_a_report_and_the_device_keeps_its_profile(
    pki_folder: Path, direct: bool, function: str, action: str, value: Any
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    world.smdp.faults.arm(Fault(function, action, value, times=-1))
    await until_quiet(world)
    assert_settled(world, order, installed=False)


@BOTH_WAYS
async def test_the_default_smdp_serves_the_order_reserved_for_this_card(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    world.profile.matching_id, world.profile.eid = "", world.card.eid
    order = world.order("trigger", "default")
    await world.poll()
    assert_settled(world, order, installed=True)


@BOTH_WAYS
async def test_an_event_at_the_smds_leads_to_the_profile(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    world.smds.add_event(world.card.eid, world.profile.matching_id, SMDP)
    order = world.order("trigger", f"smds:{SMDS}")
    await world.poll()
    assert_settled(world, order, installed=True)


@BOTH_WAYS
async def test_a_confirmation_code_of_the_configuration_opens_the_order(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    world.profile.confirmation_code = "12345678"
    world.rules = DownloadRules(confirmation_code="12345678")
    order = world.order("trigger", CODE)
    await world.poll()
    assert_settled(world, order, installed=True)


async def test_a_missing_confirmation_code_postpones_the_order(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    world.profile.confirmation_code = "12345678"
    order = world.order("trigger", CODE)
    await world.poll()
    assert_settled(world, order, installed=False)
    assert world.profile.cancel_reason == 1
    world.rules = DownloadRules(confirmation_code="12345678")
    again = world.order("trigger", CODE)
    await world.poll()
    assert_settled(world, again, installed=True)


@BOTH_WAYS
async def test_a_card_that_enables_at_once_is_on_the_new_profile_and_the_eim_is_told(
    pki_folder: Path, direct: bool
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    world.order("immediate-enable", "on")
    await world.poll()
    order = world.order("trigger", CODE)
    await world.poll()
    assert world.card.enabled_iccid == ICCID
    assert world.unfinished_at_eim == []
    assert order.state == "done"
    assert world.journal.entries("package") == ()
    assert [entry.facts["target"] for entry in world.journal.entries("switch")] in ([], [world.card.enabled_iccid])
    told = [item["stateChange"] for item in world.eim.history if item.get("stateChange")]
    assert told == [_camel(StateChangeCause.IMMEDIATE_ENABLE_PROFILE.name)]


def _camel(name: str) -> str:
    first, *others = name.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


async def test_a_dead_smdp_gets_its_notification_when_it_is_back(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    order = world.order("trigger", CODE)
    world.network.cut = lambda when, function: (when, function) == ("before", "HandleNotification")
    await world.poll()
    assert order.state == "done"
    assert len(world.card.state.notifications) == 2  # though the eIM has acknowledged the result
    world.network.cut = lambda when, function: False
    later(world)
    await world.poll()
    assert_settled(world, order, installed=True)


# -- an eIM that does not take the result ------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize("answer", ["127", "5.00", "garbage"])
async def test_a_download_whose_good_result_is_refused_is_never_carried_out_again_and_ends_in_the_truth(
    pki_folder: Path, direct: bool, answer: str
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    order = world.order("trigger", CODE)
    world.eim.refuse_results(order, answer, again=True)
    for _ in range(4):
        await world.poll()  # each time it is handed out again
    assert world.installed
    assert world.profile.bindings == 1
    assert order.state == "handed out"
    world.eim.take_results()
    await until_quiet(world)
    assert world.journal.entries() == ()
    assert world.card.state.notifications == []
    assert order.state == "done"
    assert world.profile.bindings == 1
    failures = [item for item in world.eim.history if item["kind"] == "result" and not item["ok"]]
    assert failures == []


@BOTH_WAYS
async def test_other_orders_are_done_while_the_result_of_a_download_is_refused(pki_folder: Path, direct: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=direct)
    world.eim.refuse_results(world.order("trigger", CODE), "5.00")
    others = [world.order("list-profiles") for _ in range(3)]
    await world.poll()
    assert [order.state for order in others] == ["done"] * 3
