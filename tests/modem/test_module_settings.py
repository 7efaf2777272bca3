"""Settings in a module's permanent memory: read first, written only with consent and where they differ."""

from __future__ import annotations

import pytest

import device_in_memory
from device_in_memory import Device
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.clock import SystemClock
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.modem.uicc.slot_selection import read_slot
from ipad_agent.modem.uicc.vendor_lpa import read_state
from ipad_agent.status import Board
from ipad_agent.torture.world.memory_serial_line import MemoryModem
from ipad_agent.wiring.device_network import show_modem

RM5G_SLOTS = ("AT+QUIMSLOT=1", "AT+QUIMSLOT=2")
SCFG_SLOTS = ('AT^SCFG="SIM/CS","0"', 'AT^SCFG="SIM/CS","1"')


@pytest.mark.parametrize(
    ("line", "on"),
    [
        ('+QESIM: "lpa_enable",1', True),
        ('+QESIM: "lpa_enable",0', False),
        ('+QESIM:"lpa_enable", "1"', True),
        ("+QESIM: 1", True),
        ('+QESIM: "lpa_enable",2', None),
        ("OK", None),
    ],
)
def test_the_state_of_a_makers_lpa_is_read_or_unknown(line: str, on: bool | None) -> None:
    assert read_state([line]) is on
    assert read_state([line, line]) is None
    assert read_state([]) is None


@pytest.mark.parametrize(
    ("line", "select", "slot"),
    [
        ("+QUIMSLOT: 2", RM5G_SLOTS, 2),
        ("+QUIMSLOT:1", RM5G_SLOTS, 1),
        ("+QUIMSLOT: 3", RM5G_SLOTS, None),
        ('^SCFG: "SIM/CS","1"', SCFG_SLOTS, 2),
        ("+QUIMSLOT: 1", (), None),
    ],
)
def test_the_slot_is_found_by_the_value_that_its_command_sets(
    line: str, select: tuple[str, ...], slot: int | None
) -> None:
    assert read_slot([line], select) == slot
    assert read_slot([], select) is None


def test_a_makers_lpa_is_left_on_without_consent_and_the_person_is_told() -> None:
    async def story(device: Device) -> None:
        order = device.order("list-profiles")
        await device.until(lambda: bool(device.told("IPA-2038")))
        assert device.told("IPA-2038")[0]["command"] == 'AT+QESIM="lpa_enable",0'
        assert order.state == "queued"
        assert device.module.nvm_writes == []
        # The person does it by hand, and the agent goes on.
        device.do(lambda module: setattr(module, "vendor_lpa_enabled", False))
        device.do(lambda module: module.restart())
        await device.at_rest(order)

    device_in_memory.live(story, modem="quectel-rg650e")


def test_a_makers_lpa_is_switched_off_once_and_never_again() -> None:
    async def story(device: Device) -> None:
        await device.carried_out("list-profiles")
        assert device.module.nvm_writes == ['AT+QESIM="lpa_enable",0']
        assert len(device.told("IPA-2039")) == 1
        device.do(lambda module: setattr(module, "vendor_lpa_enabled", True))
        device.do(lambda module: module.restart())
        device.order("list-profiles")
        await device.until(lambda: bool(device.told("IPA-2040")))
        device.world.fell("kill")  # nor by another process
        before = len(device.told("IPA-2040"))
        await device.until(lambda: len(device.told("IPA-2040")) > before)
        assert device.module.nvm_writes == ['AT+QESIM="lpa_enable",0']

    device_in_memory.live(story, modem="quectel-rg650e", consent_nvm_writes=True)


WRONG_SLOT = {"quectel-rm5g": 2, "telit-le910": 2, "fibocom-fm350": 1, "cinterion": 1, "sierra-em": 1}
"""The number that each module has for the slot in which there is no card."""


@pytest.mark.parametrize("name", sorted(WRONG_SLOT))
def test_the_slot_with_the_euicc_is_chosen_where_another_one_is_in_use(name: str) -> None:
    async def story(device: Device) -> None:
        device.do(lambda module: module.choose_slot(WRONG_SLOT[name]))
        order = await device.carried_out(f"enable {OPERATOR_A}")
        assert order.state == "done"
        assert len(device.module.nvm_writes) == 1
        assert device.told("IPA-2042")[0]["before"] == 2
        await device.carried_out("list-profiles")
        assert len(device.module.nvm_writes) == 1

    device_in_memory.live(story, modem=name, consent_nvm_writes=True, slot=1)


def test_the_slot_is_left_alone_without_consent_and_told() -> None:
    async def story(device: Device) -> None:
        device.do(lambda module: module.choose_slot(2))
        device.order("list-profiles")
        await device.until(lambda: bool(device.told("IPA-2043")))
        assert device.module.nvm_writes == []
        device.do(lambda module: module.choose_slot(1))
        await device.carried_out("list-profiles")

    device_in_memory.live(story, modem="quectel-rm5g", slot=1)


def test_a_slot_that_is_set_back_again_and_again_is_not_written_for_ever() -> None:
    async def story(device: Device) -> None:
        device.do(lambda module: module.choose_slot(2))
        device.order("list-profiles")
        for _ in range(6):
            await device.until(lambda: device.module.slot == 1 or bool(_gave_up(device)), within_s=20 * 3600)
            device.do(lambda module: module.choose_slot(2))
            device.do(lambda module: module.restart())
            device.poll()
        await device.until(lambda: bool(_gave_up(device)), within_s=20 * 3600)
        assert len(device.module.nvm_writes) == 2

    device_in_memory.live(story, modem="quectel-rm5g", consent_nvm_writes=True, slot=1)


def _gave_up(device: Device) -> list[object]:
    return [facts for facts in device.told("IPA-2043") if "again and again" in str(facts["reason"])]


def test_a_way_that_is_refused_each_time_is_not_asked_first_any_more_also_by_the_next_process() -> None:
    async def story(device: Device) -> None:
        for _ in range(4):
            await device.carried_out("list-profiles")
        assert device.told("IPA-2044") == [{"way": "csim"}]
        before = len(device.sent_to("AT+CCHO"))
        device.world.fell("kill")
        await device.carried_out("list-profiles")
        assert len(device.sent_to("AT+CCHO")) == before

    device_in_memory.live(story, modem="sierra-em9191")


def test_power_saving_and_slot_are_on_the_status_and_asked_once_per_opening() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        saved = {"+CPSMS": '1,,,"00100001","00000101"', "+CEDRXS": '1,4,"0101"'}
        modem.order(lambda module: module.settings.power_saving.update(saved))
        board = Board(SystemClock(), version="1")
        await show_modem(access, board)
        status = board.snapshot()
        assert status.radio is not None
        assert status.radio.power_saving == "PSM (asleep after 10 s, awake every 1 h), eDRX 81.92 s"
        assert status.modem is not None
        assert status.modem.slot is None  # this module does not tell
        await show_modem(access, board)
        assert modem.engine.commands.count("AT+CPSMS?") == 1

    device_in_memory.with_card(story, modem="nordic-nrf91")


def test_a_module_without_power_saving_tells_none_and_its_slot() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        board = Board(SystemClock(), version="1")
        await show_modem(access, board)
        status = board.snapshot()
        assert status.radio is not None
        assert status.radio.power_saving is None
        assert status.modem is not None
        assert status.modem.slot == 1

    device_in_memory.with_card(story, modem="quectel-rm5g")
