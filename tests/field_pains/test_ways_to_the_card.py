"""Pains of users with the way to the card, each on the lab's module that shows it, with what the agent does about it.

The numbers in the names are those of the field's list of its 25 most frequent pains.
"""

from __future__ import annotations

import asyncio

import pytest

import device_in_memory
from device_in_memory import DOWNLOAD, HOUR_S, Device
from ipad_agent.card.errors import CardNotReady
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.lab.euicc import OPERATOR_A, Quirks, bulk_profiles
from ipad_agent.lab.modem import Fault
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.torture.history.fault_history import STRAIGHT, Setting
from ipad_agent.torture.world.memory_serial_line import MemoryModem

LIST_WITH_ICONS = "list-profiles 5A 4F 9F70 90 91 92 93 94 95"
ISDR = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
MAKERS_ISDR = bytes.fromhex("A0000005591010FFFFFFFF8900050500")


@pytest.mark.parametrize("style", ["error", "numeric", "text"])
@pytest.mark.parametrize("kind", ["silent", "lost-answer", "cme", "garbage", "truncate"])
def test_02_driver_hangs_for_ever_on_a_final_line_it_does_not_know_or_on_none(style: str, kind: str) -> None:
    async def story(device: Device) -> None:
        device.inject(Fault(kind, "+CGLA", every=5, times=4))  # type: ignore[arg-type]  # one of its kinds
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert device.world.seen == OPERATOR_A

    device_in_memory.live(story, changes={"error_style": style})


@pytest.mark.parametrize("name", ["quectel-em05", "fibocom-fm350", "sierra-em"])
def test_03_ccho_said_to_be_missing_because_its_test_form_is(name: str) -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        assert device.sent_to("AT+CCHO")
        assert not [text for text in device.sent if text.endswith("=?")]
        assert not device.sent_to("AT+CSIM=10,"), "no channel was opened another way"

    device_in_memory.live(story, modem=name)


def test_04_session_id_without_a_name_in_front() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        assert {text.split(",")[0] for text in device.sent_to("AT+CGLA")} == {"AT+CGLA=1"}

    device_in_memory.live(story, modem="fibocom-fm350")


@pytest.mark.parametrize(("style", "digits"), [("small", 1), ("big", 10), ("hex16", 16)])
def test_05_session_id_taken_for_a_channel_number(style: str, digits: int) -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        for text in device.sent_to("AT+CGLA"):
            session, _, apdu = text.removeprefix("AT+CGLA=").split(",")
            assert len(session) == digits
            assert apdu.strip('"')[:2] in ("80", "00"), "the modem puts the channel into CLA"

    device_in_memory.live(story, changes={"session_style": style, "leaked_channels": 1})


@pytest.mark.parametrize("name", ["simcom-sim7600", "dell-dw5821e", "simcom-sim7080", "sierra-em9191"])
def test_06_no_ccho_and_cgla_in_the_module(name: str) -> None:
    async def story(device: Device) -> None:
        await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        assert device.installed
        assert not device.sent_to("AT+CGLA")

    device_in_memory.live(story, modem=name)


def test_07_commands_on_a_channel_fail_over_csim() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        (way,) = {str(facts["way"]) for facts in device.told("IPA-2006")}
        assert way == "cgla"
        # A moment without AT+CCHO leads to AT+CSIM, which opens and does not carry: the agent goes back by itself.
        device.inject(Fault("error", "+CCHO", times=1))
        await device.carried_out("list-profiles", within_s=HOUR_S)
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert device.told("IPA-2006")[-1]["way"] == "cgla"

    device_in_memory.live(story, modem="quectel-eg25")


@pytest.mark.parametrize("name", ["tdtech-mt5700", "generic-3gpp"])
def test_11_answer_cut_at_256_bytes_over_csim(name: str) -> None:
    async def story(device: Device) -> None:
        device.world.card.state.profiles.extend(bulk_profiles(6))
        # Without AT+CCHO and AT+CGLA for a moment only the way that cuts is left.
        device.inject(Fault("error", "+CCHO", times=1))
        if name == "tdtech-mt5700":
            device.inject(Fault("error", "+CGLA", times=1))
        order = await device.carried_out(LIST_WITH_ICONS, within_s=6 * HOUR_S)
        assert order.state == "done"
        assert [text for text in device.sent_to("AT+CSIM") if '"81E2' in text], "the way that cuts was taken"
        (told,) = [facts for _, facts in device.world.associated[0].accepted.values()]
        assert len(told["operations"][0]["profiles"]) == len(device.world.card.state.profiles)

    device_in_memory.live(
        story, modem=name, changes={"csim_auto_fetch": True, "csim_answer_cap_bytes": 256, "csim_manage_channel": True}
    )


def test_12_6a84_because_the_package_went_as_one_chain() -> None:
    async def story(device: Device) -> None:
        await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        longest, length = 0, 0
        for text in device.sent_to("AT+CGLA"):
            apdu = bytes.fromhex(text.rsplit(",", 1)[1].strip('"'))
            if apdu[1] != 0xE2:
                continue
            assert apdu[3] == 0 or length, "a chain begins with block 0"
            length += apdu[4]
            longest = max(longest, length)
            length = 0 if apdu[2] == 0x91 else length
        assert device.installed
        assert longest < 8160

    device_in_memory.live(story)


def test_19_a_back_end_that_is_denied_does_not_matter_where_at_answers() -> None:
    """QMI is denied on SIM7600 and LE910C4; the agent needs the AT port only."""

    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        assert {text[:2].upper() for text in device.sent if text.strip() and text != "+++"} == {"AT"}

    for name in ("simcom-sim7600", "telit-le910"):
        device_in_memory.live(story, modem=name)


@pytest.mark.parametrize(
    ("changes", "quirks"),
    [
        ({"refuse_le": True}, Quirks()),
        ({}, Quirks(reject_store_data_le=True)),
        ({}, Quirks(strict_le=True, get_response_classes=frozenset({0x80}))),
        ({"auto_fetch": True}, Quirks()),
        ({"class_policy": "pass", "session_style": "small"}, Quirks()),
    ],
    ids=["Le refused by the modem", "Le refused by the card", "exact Le wanted", "fetched", "CLA passed through"],
)
def test_20_length_byte_class_byte_and_fetching_differ(changes: dict[str, object], quirks: Quirks) -> None:
    async def story(device: Device) -> None:
        await device.carried_out(DOWNLOAD, within_s=6 * HOUR_S)
        assert device.installed

    device_in_memory.live(story, changes=changes, quirks=quirks)


@pytest.mark.parametrize("name", ["quectel-eg25", "simcom-sim7600", "fibocom-fm350", "telit-le910"])
def test_21_the_isdr_has_the_aid_of_the_cards_maker(name: str) -> None:
    """Whatever a module calls an application that is not there; the EID is what proves an eUICC."""

    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        assert session.eid is not None

    quirks = Quirks(isdr_aid=MAKERS_ISDR)
    device_in_memory.with_card(story, modem=name, quirks=quirks, aids=(ISDR, MAKERS_ISDR))


def test_22_wrong_port_among_many() -> None:
    """Four ports, two of which speak AT, and other numbers after each restart."""

    async def story(device: Device) -> None:
        for _ in range(2):
            await device.carried_out("list-profiles", within_s=HOUR_S)
            device.do(lambda module: module.restart())
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)

    device_in_memory.live(story, modem="quectel-eg25", setting=Setting(carrier=STRAIGHT, renames=True))


@pytest.mark.parametrize("name", ["quectel-rm5g", "telit-le910", "cinterion"])
def test_22_wrong_slot_is_named(name: str) -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        assert access.slot == 1
        await session.drop()
        numbers = modem.module.options.slot.numbers  # type: ignore[union-attr]  # these have one
        modem.order(lambda module: module.choose_slot(numbers[1]))
        await access.close()
        with pytest.raises(CardNotReady, match="card slot 2 is in use"):
            await session.transport()

    device_in_memory.with_card(story, modem=name)


def test_an_lpa_of_the_module_owns_the_isdr() -> None:
    """Found by asking, told with its command, switched off with the operator's consent only."""

    async def told(device: Device) -> None:
        device.order("list-profiles")
        await device.until(lambda: bool(device.told("IPA-2038")))
        assert device.module.nvm_writes == []
        device.do(lambda module: setattr(module, "vendor_lpa_enabled", False))
        device.do(lambda module: module.restart())
        await device.carried_out("list-profiles")

    async def allowed(device: Device) -> None:
        await device.carried_out(f"enable {OPERATOR_A}")
        assert device.module.nvm_writes == ['AT+QESIM="lpa_enable",0']

    device_in_memory.live(told, modem="quectel-rg650e")
    device_in_memory.live(allowed, modem="quectel-rg650e", consent_nvm_writes=True)


@pytest.mark.parametrize("name", ["quectel-eg25", "simcom-sim7600"])
def test_14_modemmanager_mixes_in(name: str) -> None:
    async def story(device: Device) -> None:
        assert device.world.modem is not None
        order = device.order(f"enable {OPERATOR_A}")
        for number in range(200):
            probe = (b"AT+QGPS=?\r", b"ATI\r", b"AT+CGMI\r", b"AT+COPS?\r")[number % 4]
            device.world.modem.feed(probe)
            await asyncio.sleep(0.02)
        await device.at_rest(order)
        assert device.told("IPA-2005"), "the other program is noticed"
        assert device.world.seen == OPERATOR_A
        assert len(device.world.associated[0].accepted) == 1

    device_in_memory.live(story, modem=name)


def test_a_module_that_fell_asleep_costs_a_second_not_a_deadline() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles", within_s=HOUR_S)
        for _ in range(3):
            await asyncio.sleep(600.0)
            loop = asyncio.get_running_loop()
            began_s, order = loop.time(), device.order("list-profiles")
            await device.until(lambda order=order: order.state == "done", within_s=HOUR_S)  # type: ignore[misc]
            assert loop.time() - began_s < 10.0
        assert device.told("IPA-2023") == [], "no query is taken for one that hangs"
        assert device.told("IPA-2004") == [], "and the line is not said to be out of step"

    device_in_memory.live(story, modem="quectel-bg95")


def test_no_channel_can_be_opened_and_session_0_is_the_basic_channel() -> None:
    async def story(device: Device) -> None:
        await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        assert device.installed
        assert {text.split(",")[0] for text in device.sent_to("AT+CGLA")} == {"AT+CGLA=0"}
        # The module itself selects another application there: the card says so, and the agent selects again.
        device.do(lambda module: module.restart_card())
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert device.world.seen == OPERATOR_A

    device_in_memory.live(story, modem="tdtech-mt5700")
