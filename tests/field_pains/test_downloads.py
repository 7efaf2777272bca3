"""Pains of users with downloads, each on the lab's module or card that shows it, with what the agent does about it."""

from __future__ import annotations

import asyncio

import pytest

import device_in_memory
from device_in_memory import DOWNLOAD, DOWNLOADED, HOUR_S, Device
from ipad_agent.lab.eim import Order
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.modem import Fault
from ipad_agent.torture.history.fault_history import MATCHING_ID

PROTECTED_ELEMENT = 0x86
INSTALLATION_RESULT = 0xBF37


async def download(device: Device, *, within_s: float = 6 * HOUR_S) -> Order:
    """Order it, from an SM-DP+ that gives the same profile again after a failure."""
    device.world.smdp.orders.by_matching_id(MATCHING_ID).final_on_error = False  # type: ignore[union-attr]  # it is there
    order = await device.carried_out(DOWNLOAD, within_s=within_s)
    assert (order.state == "done") == device.installed, "the eIM knows what became of it"
    return order


def test_08_last_block_of_a_segment_ends_with_a_bare_error_while_the_card_works() -> None:
    """The modem's own clock for the card strikes; over AT+CSIM it has more patience."""

    async def story(device: Device) -> None:
        attempts = 0
        while not device.installed:
            await download(device)
            attempts += 1
            assert attempts <= 3
        assert attempts == 3
        assert [facts["way"] for facts in device.told("IPA-2115")] == ["CGLA", "CGLA"]
        assert device.told("IPA-2044")[-1]["way"] == "csim"
        # Also after a restart the better way is gone at once.
        device.world.fell("kill")
        await device.carried_out("list-profiles")
        assert len(device.told("IPA-2115")) == 2

    device_in_memory.live(
        story,
        changes={"uicc_timer_s": 0.3, "uicc_timer_on": ("+CGLA",)},
        quirks=Quirks(delays_s={PROTECTED_ELEMENT: 1.0}),
    )


def test_08_installed_although_the_modem_said_error_to_the_very_last_block() -> None:
    async def story(device: Device) -> None:
        await download(device)
        assert device.installed, "read from the card afterwards, not guessed"
        assert len(device.told("IPA-2115")) == 1

    device_in_memory.live(story, changes={"uicc_timer_s": 0.3}, quirks=Quirks(delays_s={INSTALLATION_RESULT: 1.0}))


@pytest.mark.parametrize("kind", ["echo-damage", "garbage", "truncate", "lost-answer"])
@pytest.mark.parametrize("skip", [20, 40])
def test_09_echo_and_line_are_damaged_in_the_middle_of_a_download(kind: str, skip: int) -> None:
    async def story(device: Device) -> None:
        device.inject(Fault(kind, "+CGLA", skip=skip, times=1))  # type: ignore[arg-type]  # one of its kinds
        await download(device)
        if not device.installed:
            await download(device)
        assert device.installed

    device_in_memory.live(story)


def test_10_card_dead_after_failed_downloads() -> None:
    """A broken download leaves no session behind and is not begun anew by the agent itself; the next one works."""

    async def story(device: Device) -> None:
        for number in range(3):
            device.inject(Fault("error", "+CGLA", skip=30, times=1))
            await download(device)
            assert not device.installed
            assert _begun(device) == number + 1
        await asyncio.sleep(24 * HOUR_S)
        assert _begun(device) == 3
        await download(device)
        assert device.installed
        await device.carried_out(f"enable {DOWNLOADED}")
        assert device.world.seen == DOWNLOADED

    device_in_memory.live(story, changes={"transports": "cgla"})


def _begun(device: Device) -> int:
    """How often the card was asked to prepare a download (ES10b.PrepareDownload)."""
    return len(device.card_asked("BF21"))


def test_13_6999_because_the_module_starts_the_card_anew_in_the_middle() -> None:
    async def story(device: Device) -> None:
        order = device.order(DOWNLOAD)
        await device.until(lambda: bool(device.card_asked("BF36")), within_s=HOUR_S)
        device.do(lambda module: module.restart_card())
        await device.at_rest(order)
        if not device.installed:
            await download(device)
        assert device.installed

    device_in_memory.live(story, modem="tdtech-mt5700")


def test_24_download_consumed_and_not_installed() -> None:
    """The power goes in the middle: whatever became of it reaches the eIM, and the profile can still be had."""

    async def story(device: Device) -> None:
        order = device.order(DOWNLOAD)
        await device.until(lambda: bool(device.card_asked("BF36")), within_s=HOUR_S)
        device.world.fell("outage")
        await device.at_rest(order)
        if not device.installed:
            await download(device)
        assert device.installed

    device_in_memory.live(story)
