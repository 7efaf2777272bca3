"""What an eIM of the torture world knows of its association, while others order the card to change it."""

from __future__ import annotations

import device_in_memory
from device_in_memory import Device
from ipad_agent.torture.faults import fault_effects
from ipad_agent.torture.history.fault_history import EIM_IDS, STRAIGHT, FaultStep, Setting


def test_an_eim_that_somebody_orders_to_add_again_keeps_the_token_that_the_card_binds_results_to() -> None:
    async def story(device: Device) -> None:
        world = device.world
        before = world.observed_eims[EIM_IDS[1]].eim.device(world.card.eid).token
        assert before is not None
        fault_effects.do(world, FaultStep(0.0, "add eIM", (0, 1)))
        assert world.observed_eims[EIM_IDS[1]].eim.device(world.card.eid).token == before
        await device.carried_out("list-profiles")

    device_in_memory.live(story, setting=Setting(carrier=STRAIGHT, eims=2))
