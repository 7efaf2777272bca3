"""Pains of users after a change of profile, each on the lab's module or card that shows it."""

from __future__ import annotations

import asyncio

import pytest

import device_in_memory
from device_in_memory import HOUR_S, Device
from ipad_agent.lab.euicc import OPERATOR_A, Quirks
from ipad_agent.lab.euicc.state import profile_switching
from ipad_agent.lab.euicc.state.profile_list import BOOTSTRAP
from ipad_agent.lab.modem import Fault
from ipad_agent.torture.history.fault_history import STRAIGHT, Setting
from ipad_agent.torture.promises.promise_checks import owed
from ipad_agent.torture.world.torture_world import World
from strange_modules import says


@pytest.mark.parametrize("name", ["generic-3gpp", "quectel-eg916q", "simcom-sim7600", "nordic-nrf91"])
def test_01_enabled_and_never_reported_because_the_card_says_6985_until_its_reset(name: str) -> None:
    async def story(device: Device) -> None:
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "done"
        assert device.module.refresh_count == 0, "it was the agent that had the card reset"
        assert len(device.world.associated[0].accepted) == 1

    device_in_memory.live(story, modem=name, changes={"refresh": "ignored"}, quirks=Quirks(refuse_until_reset=True))


@pytest.mark.parametrize(
    "name", ["quectel-eg916q", "simcom-sim7600", "simcom-sim7080", "nordic-nrf91", "ublox-lena-r8"]
)
def test_15_profile_enabled_and_the_modem_stays_on_the_old_one(name: str) -> None:
    async def story(device: Device) -> None:
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert device.world.card.enabled_iccid == device.world.seen == OPERATOR_A

    device_in_memory.live(story, modem=name)


@pytest.mark.parametrize("name", ["generic-3gpp", "quectel-eg25"])
def test_15_modem_reads_the_new_iccid_from_the_card_and_works_on_with_the_old_profile(name: str) -> None:
    """It does not execute the REFRESH, and its ICCID command looks into the card each time."""

    def prepare(world: World) -> None:
        def from_card(command: str, text: str) -> str:
            asked = command.endswith("CCID") or command.startswith("AT+CRSM=176,12258")
            return text.replace(world.seen or "-", world.card.enabled_iccid or "-") if asked else text

        says(from_card)(world)

    async def story(device: Device) -> None:
        for iccid in (OPERATOR_A, BOOTSTRAP):
            await device.carried_out(f"enable {iccid}", within_s=HOUR_S)
            assert device.world.card.enabled_iccid == device.world.seen == iccid
        assert len(device.told("IPA-2199")) >= 2, "said why the module was restarted"

    device_in_memory.live(story, modem=name, changes={"refresh": "ignored"}, prepare=prepare)


def test_16_usb_enumerates_anew_under_another_name_when_the_profile_changes() -> None:
    async def story(device: Device) -> None:
        assert device.world.modem is not None
        before = device.world.modem.path
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert device.world.modem.path != before
        assert device.world.seen == OPERATOR_A
        assert device.sent.count("ATE0") > 1, "echo and error reports were set again"
        assert device.sent.count("AT+CMEE=1") > 1

    device_in_memory.live(
        story,
        modem="quectel-eg25",
        changes={"refresh_drops_port": True},
        setting=Setting(carrier=STRAIGHT, renames=True),
    )


def test_18_iccid_of_18_digits_is_not_found() -> None:
    async def story(device: Device) -> None:
        for profile in device.world.card.state.profiles:
            if profile.iccid == OPERATOR_A:
                profile.iccid = "894921002032186103"
        device.world.card.isdr.commit()
        await device.carried_out("enable 894921002032186103", within_s=HOUR_S)
        assert device.world.card.enabled_iccid == device.world.seen == "894921002032186103"
        (told,) = [facts for _, facts in device.world.associated[0].accepted.values()]
        assert told["operations"][0].get("name", "ok") == "ok"

    device_in_memory.live(story)


def test_23_no_bearer_while_the_new_profile_has_no_network() -> None:
    """The result waits for a way; without one the device goes back, and the eIM hears both."""

    async def story(device: Device) -> None:
        order = await device.carried_out(f"enable {OPERATOR_A} --rollback", within_s=12 * HOUR_S)
        assert order.state in ("done", "failed")
        assert device.world.card.enabled_iccid == BOOTSTRAP
        assert device.world.associated[0].accepted

    device_in_memory.live(story, setting=Setting(carrier=STRAIGHT, uncovered=frozenset({OPERATOR_A})))


def test_25_notifications_pile_up_and_the_operator_has_the_wrong_state() -> None:
    async def story(device: Device) -> None:
        for iccid in (OPERATOR_A, BOOTSTRAP, OPERATOR_A):
            await device.carried_out(f"enable {iccid}", within_s=HOUR_S)
            assert device.world.card.state.notifications == []
        assert not owed(device.world)
        assert device.world.violations == {}  # among them: removed before anybody took it

    device_in_memory.live(story)


def test_the_factory_profile_comes_back_by_itself() -> None:
    """A card that falls back behind the agent's back: the eIMs are told, and the agent shows what is enabled."""

    async def story(device: Device) -> None:
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        isdr = device.world.card.isdr
        bootstrap = next(profile for profile in isdr.state.profiles if profile.iccid == BOOTSTRAP)
        profile_switching.switch(isdr, bootstrap, refresh=False, notify=False)
        isdr.commit()
        device.do(lambda module: module.restart())
        await asyncio.sleep(60.0)
        device.poll()
        observed = device.world.associated[0]
        await device.until(lambda: bool(observed.told_changes), within_s=6 * HOUR_S)
        assert device.world.seen == BOOTSTRAP

    device_in_memory.live(story)


def test_a_card_is_called_no_euicc_only_when_the_card_says_so() -> None:
    """Refusals of a modem are not an answer of the card."""

    async def story(device: Device) -> None:
        device.inject(Fault("error", "+CCHO", times=None))
        device.inject(Fault("cme", "+CSIM", times=None, code=3))
        device.order("list-profiles")
        await asyncio.sleep(2 * HOUR_S)
        said = [str(facts) for _, facts in device.said]
        assert not [text for text in said if "no eUICC" in text or "not an eUICC" in text]
        device.world.modem.heal()  # type: ignore[union-attr]  # this device has one
        await device.carried_out("list-profiles")

    device_in_memory.live(story, modem="quectel-rm5g")


def test_17_toolkit_of_the_card_is_busy_when_a_profile_is_to_be_enabled() -> None:
    """A toolkit session that was left open: told to the eIM as what it is, over with the next reset of the card."""

    async def story(device: Device) -> None:
        device.world.card.isdr.proactive_session_open = True
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        (told,) = [facts for _, facts in device.world.associated[0].accepted.values()]
        assert order.state == "failed"
        assert told["operations"][0]["name"] == "catBusy"
        assert device.world.seen == BOOTSTRAP
        device.do(lambda module: module.restart())
        await asyncio.sleep(60.0)
        again = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert again.state == "done"

    device_in_memory.live(story)


@pytest.mark.parametrize("eaten", ["LPA:1.lab.example-1", "LPA:1", "1.example"])
def test_the_shell_ate_the_dollar_signs_of_an_activation_code(eaten: str) -> None:
    """What is left of it is refused with a reason, and nothing is asked of a server that nobody named."""

    async def story(device: Device) -> None:
        order = await device.carried_out(f"trigger {eaten}", within_s=6 * HOUR_S)
        assert order.state == "failed"
        assert device.world.smdp.sessions.latest is None

    device_in_memory.live(story)
