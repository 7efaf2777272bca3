"""Every family of modules: the whole agent carries out enable, download and switch through its lab personality."""

from __future__ import annotations

import pytest

import device_in_memory
from device_in_memory import DOWNLOAD, DOWNLOADED, Device
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.modem import PERSONALITIES


async def story(device: Device) -> None:
    for words, enabled in (
        (f"enable {OPERATOR_A}", OPERATOR_A),
        (DOWNLOAD, OPERATOR_A),
        (f"enable {DOWNLOADED} --rollback", DOWNLOADED),
    ):
        order = await device.carried_out(words)
        assert order.state == "done", (words, order)
        assert device.world.card.enabled_iccid == enabled
        assert device.world.seen == enabled, words
    assert DOWNLOADED in device.world.card.profile_states()


@pytest.mark.parametrize("name", sorted(PERSONALITIES))
def test_enable_download_and_switch_through_every_family(name: str) -> None:
    device_in_memory.live(story, modem=name, consent_nvm_writes=True)
