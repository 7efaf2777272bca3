"""A module that does not get out of its search, until it is restarted."""

from __future__ import annotations

import pytest

import device_in_memory
from device_in_memory import HOUR_S, Device
from ipad_agent.lab.modem.module_radio import RadioState


@pytest.mark.parametrize("modem", ["generic-3gpp", "quectel-bg95", "ublox-sara-r5", "sim7600"])
def test_a_module_that_is_stuck_in_its_search_is_restarted_and_registers_again(modem: str) -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles")
        device.do(lambda module: module.get_stuck())
        await device.until(lambda: bool(device.told("IPA-4312")), within_s=8 * HOUR_S)
        await device.until(lambda: device.module.radio.state is RadioState.REGISTERED, within_s=HOUR_S)
        restarts = len(device.told("IPA-4312"))
        await device.carried_out("list-profiles", within_s=2 * HOUR_S)
        assert len(device.told("IPA-4312")) == restarts == 1

    device_in_memory.live(story, modem=modem)
