"""Cards that execute a package and answer something else: the eIM learns the truth, once, and nothing stays owed."""

from __future__ import annotations

import pytest

import device_in_memory
from device_in_memory import HOUR_S, Device
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.isdr_state import Isdr
from ipad_agent.torture.world.torture_world import World
from strange_modules import es10_answers


@pytest.mark.parametrize(
    "answer",
    ["", "BF5100", "BF5103020101", "BF5105A20302017F", "BF5105A2038F017F", "BF5203020101"],
    ids=["nothing", "empty", "no result", "unsigned error", "unsigned undefinedError", "another function"],
)
def test_a_package_is_executed_and_answered_with(answer: str) -> None:
    async def story(device: Device) -> None:
        started_s = device.world.loop.time()
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "done"
        assert device.world.loop.time() - started_s < 120.0, "no poll later"
        assert len(device.card_asked("BF51")) == 1, "it was not loaded again"
        assert device.world.card.enabled_iccid == device.world.seen == OPERATOR_A
        assert not device.told("IPA-4023"), "nobody says that the card could not"
        assert len(device.world.associated[0].accepted) == 1

    device_in_memory.live(story, prepare=es10_answers(0xBF51, lambda _: bytes.fromhex(answer)))


@pytest.mark.parametrize("status", [0x6A84, 0x6982, 0x6F00, 0x6400])
def test_a_card_never_gives_its_profiles_and_the_eim_hears_that_the_order_failed(status: int) -> None:
    """An order without a way back is not given to the card, and not kept for ever either."""

    def refuse(_: bytes) -> bytes:
        raise StatusError(status)

    async def story(device: Device) -> None:
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "failed"
        assert not device.card_asked("BF51")
        assert device.world.card.enabled_iccid == device.world.seen == BOOTSTRAP

    device_in_memory.live(story, prepare=es10_answers(0xBF2D, refuse))


def test_a_card_signs_that_a_profile_is_enabled_and_has_not_done_it() -> None:
    def prepare(world: World) -> None:
        honest = world.card.es10.handler(0xBF51)

        def claimed(isdr: Isdr, raw: bytes) -> bytes:
            before = world.card.profile_states()
            answer = honest(isdr, raw)
            for profile in world.card.state.profiles:
                profile.enabled = before[profile.iccid]
            isdr.commit()
            return answer

        world.card.es10.register(0xBF51, claimed)

    async def story(device: Device) -> None:
        order = device.order(f"enable {OPERATOR_A}")
        await device.until(lambda: bool(device.told("IPA-4299")))
        assert order.state == "done", "so the card signed it"
        [told] = device.told("IPA-4299")
        assert str(told["enabled"]).endswith(BOOTSTRAP[-4:])
        assert device.world.associated[0].told_changes == []
        await device.until(lambda: bool(device.world.associated[0].told_changes))
        assert device.world.card.enabled_iccid == device.world.seen == BOOTSTRAP

    device_in_memory.live(story, prepare=prepare)
