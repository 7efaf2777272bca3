"""What an eIM knows is left out, and the lab's eIM puts it together again by its own code: what arrives at the SM-DP+
is what the card signed, to the byte, or the SM-DP+ would refuse it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature
from ipad_agent.eim.compact_sending import CompactSending
from ipad_agent.lab.eim.relay import compact_forms
from ipad_agent.lab.euicc.es10 import card_information
from ipad_agent.lab.smdp import OrderState

from .downloads import CODE, FEATURES, ICCID, DownloadWorld
from .memory import StillClock

ANNOUNCED = IpaCapabilities(FEATURES | {IpaFeature.MINIMIZE_ESIPA_BYTES})
DOWNLOAD = ["InitiateAuthentication", "AuthenticateClient", "GetBoundProfilePackage", "HandleNotification"]


class Kept:
    """What a compact sender remembers over restarts."""

    def __init__(self) -> None:
        self.document: dict[str, object] = {}

    def load(self) -> dict[str, object]:
        return self.document

    def save(self, document: object) -> None:
        assert isinstance(document, dict)
        self.document = document


def compact_world(folder: Path, *, compact: bool = True) -> DownloadWorld:
    world = DownloadWorld.with_servers(folder, direct=False)
    world.capabilities = ANNOUNCED
    world.compact = CompactSending(wanted=compact, memory=Kept(), clock=StillClock())
    return world


def sent_bytes(world: DownloadWorld, functions: list[str]) -> int:
    """Of the requests since the last order."""
    return sum(len(b) for f, b in zip(world.carrier.functions, world.carrier.bodies, strict=True) if f in functions)


def forget_requests(world: DownloadWorld) -> None:
    world.carrier.functions.clear()
    world.carrier.bodies.clear()


async def asked_for_data(world: DownloadWorld) -> None:
    """The eIM has the device's data, and knows that it leaves things out."""
    world.order("data-request", "BF20,BF22,A5,A6,A8")
    await world.poll()
    forget_requests(world)


async def downloaded(world: DownloadWorld) -> None:
    order = world.order("trigger", CODE)
    await world.poll()
    assert world.installed
    assert order.state == "done"
    assert world.journal.entries() == ()
    assert world.card.state.notifications == []
    assert world.unfinished_at_eim == []


def compact_functions(world: DownloadWorld) -> list[object]:
    """What the eIM put together in this download."""
    return [item["function"] for item in world.eim.history if item["kind"] == "rsp" and item.get("compact")]


async def test_a_compact_download_arrives_at_the_smdp_as_the_card_signed_it(pki_folder: Path) -> None:
    world = compact_world(pki_folder)
    await asked_for_data(world)
    await downloaded(world)
    assert compact_functions(world) == ["authenticateClient", "getBoundProfilePackage"]
    assert world.profile.state is OrderState.INSTALLED
    assert [record.kind for record in world.smdp.notifications] == ["install-result", "event"]
    assert all(record.verified for record in world.smdp.notifications)


async def test_a_compact_download_sends_a_fifth_of_the_bytes(pki_folder: Path) -> None:
    sizes = {}
    for compact in (False, True):
        world = compact_world(pki_folder, compact=compact)
        await asked_for_data(world)
        await downloaded(world)
        sizes[compact] = sent_bytes(world, DOWNLOAD)
    assert sizes[True] * 5 < sizes[False]  # measured: 3123 and 597


async def test_nothing_is_left_out_before_the_eim_has_heard_of_it(pki_folder: Path) -> None:
    world = compact_world(pki_folder)
    await downloaded(world)
    assert compact_functions(world) == []


async def test_what_was_told_is_remembered_over_a_restart(pki_folder: Path) -> None:
    world = compact_world(pki_folder)
    kept = Kept()
    world.compact = CompactSending(memory=kept, clock=StillClock())
    await asked_for_data(world)
    world.restart()
    world.compact = CompactSending(memory=kept, clock=StillClock())
    await downloaded(world)
    assert compact_functions(world) == ["authenticateClient", "getBoundProfilePackage"]


def said(caplog: pytest.LogCaptureFixture, event_id: str) -> int:
    """How often an event was told."""
    events = [getattr(record, "event", None) for record in caplog.records]
    return sum(event is not None and event.id == event_id for event in events)


def forget_card(world: DownloadWorld) -> None:
    """The eIM comes back from an old backup."""
    device = world.eim.devices[world.card.eid]
    device.euicc_info1 = device.euicc_info2 = device.eum_certificate = None


async def test_an_eim_that_has_lost_its_memory_gets_everything_at_once_and_the_profile_comes(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = compact_world(pki_folder)
    await asked_for_data(world)
    forget_card(world)
    await downloaded(world)
    assert said(caplog, "IPA-9078") == 1  # once in full means in full from then on
    assert compact_functions(world) == []
    assert world.carrier.functions.count("InitiateAuthentication") == 2
    assert world.carrier.functions.count("AuthenticateClient") == 1


async def test_an_eim_that_asks_for_the_data_again_gets_compact_forms_again(pki_folder: Path) -> None:
    world = compact_world(pki_folder)
    await asked_for_data(world)
    assert world.compact is not None
    world.compact.refused("eim-1", "AuthenticateClient", "nothing")
    assert not world.compact.active
    await asked_for_data(world)
    assert world.compact.active


async def test_a_card_with_another_firmware_is_told_in_full(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = compact_world(pki_folder)
    await asked_for_data(world)
    firmware = bytes.fromhex("636363")
    monkeypatch.setattr(card_information, "_FIRMWARE", firmware)
    await downloaded(world)
    body = world.carrier.bodies[world.carrier.functions.index("AuthenticateClient")]
    assert b"\x83\x03" + firmware in body
    assert all(record.verified for record in world.smdp.notifications)


async def test_an_eim_that_puts_it_together_wrongly_loses_one_order_and_gets_the_next_in_full(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SM-DP+ refuses the signature and ends its session, and the eIM gives the order up."""
    rebuilt = compact_forms.authenticate_response

    def wrongly(*arguments: Any) -> bytes:
        whole = rebuilt(*arguments)
        return whole.replace(b"smdp.lab.example", b"SMDP.lab.example", 1)

    monkeypatch.setattr(compact_forms, "authenticate_response", wrongly)
    world = compact_world(pki_folder)
    await asked_for_data(world)
    order = world.order("trigger", CODE)
    await world.poll()
    assert (world.installed, order.state) == (False, "failed")
    assert world.journal.entries() == ()
    world.profile.state = OrderState.AVAILABLE
    await downloaded(world)
    assert compact_functions(world) == ["authenticateClient"]  # that of the first order


async def test_notifications_travel_without_certificates_and_arrive_with_them(pki_folder: Path) -> None:
    sizes = {}
    for compact in (False, True):
        world = compact_world(pki_folder, compact=compact)
        await asked_for_data(world)
        await downloaded(world)
        forget_requests(world)
        world.order("enable", ICCID)
        await world.poll()
        assert world.card.enabled_iccid == ICCID
        assert world.card.state.notifications == []
        assert all(record.verified for record in world.smdp.notifications)
        sizes[compact] = sent_bytes(world, ["ProvideEimPackageResult", "HandleNotification"])
    assert sizes[True] * 5 < sizes[False]  # measured: 1361 and 267


async def test_notifications_that_the_eim_cannot_hand_on_are_not_acknowledged_and_come_in_full(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = compact_world(pki_folder)
    await asked_for_data(world)
    await downloaded(world)
    told = len(world.smdp.notifications)
    forget_card(world)
    world.order("enable", ICCID)
    for _ in range(2):
        await world.poll()
    assert said(caplog, "IPA-9078") == 1
    assert world.card.state.notifications == []
    assert [record.verified for record in world.smdp.notifications[told:]] == [True]
