"""The whole agent, configured as by default, downloads 60 kB through the eIM over links that lose datagrams, or die in
the middle and stay dead: the profile comes. In virtual time, with the lab's card, module, eIM and SM-DP+.
"""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

import device_in_memory
from device_in_memory import DOWNLOAD, HOUR_S, Device
from ipad_agent.config import Config
from ipad_agent.lab.smdp import Metadata, ProfilePackage, with_notifications
from ipad_agent.net import CoapsEndpoint
from ipad_agent.torture.history.fault_history import COAP, DOWNLOADED, HTTPS, MATCHING_ID, Setting
from ipad_agent.torture.world.simulated_network import Weather

PROFILE_BYTES = 60_000
MINUTE_S = 60.0
CARRIERS = pytest.mark.parametrize("carrier", [COAP, HTTPS])
FAILED = "IPA-4057"


def large_profile(device: Device) -> None:
    """What the SM-DP+ has for this card is as large as profiles in the field."""
    order = device.world.smdp.orders.by_matching_id(MATCHING_ID)
    assert order is not None
    order.package = ProfilePackage.sample(
        Metadata(DOWNLOADED, notify=with_notifications("smdp.lab.example")), PROFILE_BYTES
    )


def asked_for_package(device: Device) -> int:
    """How often the package was fetched at the SM-DP+."""
    return sum(one.function == "getBoundProfilePackage" for one in device.world.smdp.log)


def assert_everybody_knows(device: Device) -> None:
    """The profile is there, the SM-DP+ has heard of it, and nobody switched anything."""
    assert device.installed
    assert [record.kind for record in device.world.smdp.notifications][:1] == ["install-result"]
    assert device.told("IPA-4201") == []


@CARRIERS
@pytest.mark.parametrize("percent", [0, 5, 10, 20, 30])
def test_a_profile_comes_whatever_part_of_all_datagrams_is_lost_each_way(percent: int, carrier: str) -> None:
    async def story(device: Device) -> float:
        large_profile(device)
        device.world.network.weather = Weather(loss=percent / 100, delay_s=0.05)
        begun_s = device.world.loop.time()
        order = await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        assert order.state == "done"
        assert_everybody_knows(device)
        return device.world.loop.time() - begun_s

    took_s = device_in_memory.live(story, setting=Setting(carrier=carrier))
    # Measured in steps of 5 s: 10, 10, 15, 25 and 60 over CoAP.
    assert took_s <= (60.0 if percent <= 20 else 120.0)


@pytest.mark.parametrize("lasts_s", [5 * MINUTE_S, 2 * HOUR_S], ids=["five minutes", "two hours"])
@pytest.mark.parametrize(("carrier", "datagrams"), [(COAP, 4), (COAP, 40), (COAP, 110), (HTTPS, 0)])
def test_a_profile_comes_after_the_link_was_dead_in_the_middle(carrier: str, datagrams: int, lasts_s: float) -> None:
    """After so many datagrams of the package; over TLS while it is under way."""

    async def story(device: Device) -> float:
        large_profile(device)
        network, loop = device.world.network, device.world.loop
        order = device.order(DOWNLOAD)
        await device.until(lambda: asked_for_package(device) == 1)
        at = network.datagrams
        await device.until(lambda: network.datagrams >= at + datagrams)
        assert not device.installed
        network.blackout = True
        await asyncio.sleep(lasts_s)
        network.blackout = False
        back_s = loop.time()
        await device.at_rest(order, within_s=24 * HOUR_S)
        assert order.state == "done"
        assert device.told(FAILED) == []
        assert_everybody_knows(device)
        return loop.time() - back_s

    late_s = device_in_memory.live(story, setting=Setting(carrier=carrier))
    # The pauses between attempts double with the outage, and the card needs a minute or two for 60 kB.
    assert late_s <= 3 * lasts_s + 10 * MINUTE_S


def test_these_are_the_defaults_of_the_configuration() -> None:
    coap = Config().coap
    endpoint = {field.name: field.default for field in dataclasses.fields(CoapsEndpoint)}
    for name in ("ack_timeout_s", "max_retransmit", "exchange_timeout_s", "handshake_timeout_s", "flight_timeout_s"):
        assert endpoint[name] == getattr(coap, name), name
    assert endpoint["block_size_exp"] == coap.block_size.bit_length() - 5
