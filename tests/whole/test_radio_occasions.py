"""Polls when the radio is connected anyway, radio cycles as they are counted, and the rest after the last poll."""

from __future__ import annotations

import device_in_memory
from device_in_memory import HOUR_S, Device
from ipad_agent.local.status_model import Status
from ipad_agent.torture.history.fault_history import COAP, Setting

NBIOT = Setting(carrier=COAP, preset="nbiot")


def status(device: Device) -> Status:
    process = device.world.process
    assert process is not None
    return process.agent.board.snapshot()


def polls(device: Device) -> int:
    (eim,) = status(device).eims
    return 0 if eim.last_poll is None else int(eim.last_poll.at.at_s)


def radio_connects(device: Device) -> None:
    device.do(lambda module: module.connect_radio(False))
    device.do(lambda module: module.connect_radio(True))


def test_a_poll_that_is_due_soon_is_made_when_the_radio_is_connected_anyway_and_no_other() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles")
        await device.until(lambda: status(device).operation is None)
        first = polls(device)
        (eim,) = status(device).eims
        assert eim.next_poll is not None
        due_in_s = -eim.next_poll.age_s
        await device.passes(due_in_s - 3 * HOUR_S)  # more than a tenth of a day before it is due
        radio_connects(device)
        await device.passes(600)
        assert polls(device) == first
        await device.passes(HOUR_S)
        radio_connects(device)
        await device.until(lambda: polls(device) > first)
        device.do(lambda module: module.connect_radio(False))

    device_in_memory.live(story, modem="quectel-bg95", setting=NBIOT)


def test_the_modem_is_told_after_the_poll_that_no_more_data_comes_and_cycles_are_counted() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles")
        await device.until(lambda: status(device).operation is None)
        before, told = status(device).traffic.radio, device.module.releases
        assert told >= 1
        await device.passes(HOUR_S)
        await device.carried_out("list-profiles")
        await device.until(lambda: device.module.releases > told)
        radio = status(device).traffic.radio
        assert radio.cycles == before.cycles + 1
        assert radio.wake_ups > before.wake_ups + 1  # the guardian's looks at the connection are some, without traffic
        (profile,) = {share.profile for share in status(device).traffic.by_profile}
        assert profile in device.world.card.profile_states()

    device_in_memory.live(story, modem="quectel-bg95", setting=NBIOT)
