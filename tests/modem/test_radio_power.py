"""PSM, eDRX, +CSCON and +CNMPSD on the lab's modules: read, never set unless the owner wants it, and given back."""

from __future__ import annotations

from dataclasses import replace

import pytest

import device_in_memory
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.clock import SystemClock
from ipad_agent.config import Config, PowerConfig
from ipad_agent.modem.at.power_settings import WantedPower
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.status import Board
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.torture.world.memory_serial_line import MemoryModem
from ipad_agent.wiring.device_network import show_modem
from ipad_agent.wiring.radio_power import radio_power

MANAGED = PowerConfig(manage=True, active_s=20, update_s=3600, edrx_cycle_s=60)
BEFORE = {"+CPSMS": '1,,,"00100010","00000101"', "+CEDRXS": '1,4,"0101"'}


def memory() -> Memory:
    return Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")


def sent(modem: MemoryModem, *names: str) -> list[str]:
    """The commands with these names that set something."""
    return [text for text in modem.engine.commands if text.partition("=")[0] in names and "=" in text]


@pytest.mark.parametrize(
    ("wanted", "commands"),
    [
        (WantedPower(16, 600), ('AT+CPSMS=1,,,"00000001","00001000"',)),  # once 10 min, 8 times 2 s
        (WantedPower(63, 3601), ('AT+CPSMS=1,,,"00000111","00100010"',)),  # 7 times 10 min, 2 times 1 min
        (WantedPower(11_160, 35_712_000), ('AT+CPSMS=1,,,"11011111","01011111"',)),  # the longest there are
        (WantedPower(cycle_s=5.12), ('AT+CEDRXS=1,4,"0000"', 'AT+CEDRXS=1,5,"0000"')),
        (WantedPower(cycle_s=60), ('AT+CEDRXS=1,4,"0100"', 'AT+CEDRXS=1,5,"0100"')),
        (WantedPower(cycle_s=10_485.76), ('AT+CEDRXS=1,4,"1111"', 'AT+CEDRXS=1,5,"1111"')),
        (WantedPower(active_s=16), ()),
    ],
)
def test_times_are_written_as_the_next_longer_that_there_is(wanted: WantedPower, commands: tuple[str, ...]) -> None:
    assert wanted.commands() == commands


def test_without_manage_no_power_setting_is_sent() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        power = radio_power(Config(power=replace(MANAGED, manage=False)), access.link, memory())
        await show_modem(access, Board(SystemClock(), version="1"), power)
        await power.release()
        assert sent(modem, "AT+CPSMS", "AT+CEDRXS") == []

    device_in_memory.with_card(story, modem="quectel-bg95")


def test_managed_settings_are_set_once_and_what_was_there_comes_back_when_it_is_turned_off() -> None:
    kept = memory()

    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        modem.order(lambda module: module.settings.power_saving.update(BEFORE))
        for _ in range(2):  # the second agent finds it as wanted
            await radio_power(Config(power=MANAGED), access.link, kept).look()
        assert sent(modem, "AT+CPSMS", "AT+CEDRXS") == [
            'AT+CPSMS=1,,,"00000110","00001010"',
            'AT+CEDRXS=1,4,"0100"',
            'AT+CEDRXS=1,5,"0100"',
        ]
        changed = replace(MANAGED, active_s=30)
        await radio_power(Config(power=changed), access.link, kept).look()  # the way back is still to the very first
        modem.engine.commands.clear()
        for _ in range(2):
            await radio_power(Config(), access.link, kept).look()
        assert sent(modem, "AT+CPSMS", "AT+CEDRXS") == [
            'AT+CPSMS=1,,,"00100010","00000101"',
            "AT+CEDRXS=0",
            'AT+CEDRXS=1,4,"0101"',
        ]

    device_in_memory.with_card(story, modem="nordic-nrf91")


def test_what_is_managed_later_goes_back_too() -> None:
    kept = memory()

    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        modem.order(lambda module: module.settings.power_saving.update(BEFORE))
        await radio_power(Config(power=replace(MANAGED, edrx_cycle_s=None)), access.link, kept).look()
        await radio_power(Config(power=MANAGED), access.link, kept).look()
        modem.engine.commands.clear()
        await radio_power(Config(), access.link, kept).look()
        assert sent(modem, "AT+CPSMS", "AT+CEDRXS") == [
            'AT+CPSMS=1,,,"00100010","00000101"',
            "AT+CEDRXS=0",
            'AT+CEDRXS=1,4,"0101"',
        ]

    device_in_memory.with_card(story, modem="nordic-nrf91")


def test_a_module_that_does_not_tell_its_settings_is_not_set() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        await radio_power(Config(power=MANAGED), access.link, memory()).look()
        assert sent(modem, "AT+CPSMS", "AT+CEDRXS") == []

    device_in_memory.with_card(story, modem="quectel-eg25")


def test_a_state_file_cannot_make_the_agent_send_other_commands() -> None:
    kept = memory()

    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        imei = (await access.identity()).imei
        kept.save("module-power", {str(imei): ["AT+CFUN=0"]})
        await radio_power(Config(), access.link, kept).look()
        assert "AT+CFUN=0" not in modem.engine.commands

    device_in_memory.with_card(story, modem="nordic-nrf91")


def test_the_status_tells_whether_the_radio_is_connected_and_changes_are_heard() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        modem.order(lambda module: module.connect_radio(True))
        board, heard = Board(SystemClock(), version="1"), list[None]()
        power = radio_power(Config(), access.link, memory())
        power.when_connected(lambda: heard.append(None))
        await show_modem(access, board, power)
        radio = board.snapshot().radio
        assert radio is not None
        assert radio.connected is True
        await power.release()
        await access.signal()  # what the module said meanwhile has been read then
        assert (modem.module.releases, power.connected, heard) == (1, False, [])
        modem.order(lambda module: module.connect_radio(True))
        await access.signal()
        assert (power.connected, len(heard)) == (True, 1)

    device_in_memory.with_card(story, modem="quectel-bg95")


def test_a_module_whose_profile_has_neither_is_asked_nothing() -> None:
    async def story(session: IsdrSession, access: ModemCardAccess, modem: MemoryModem) -> None:
        await session.transport()
        power = radio_power(Config(), access.link, memory())
        await power.look()
        await power.release()
        assert power.connected is None
        assert sent(modem, "AT+CSCON") == []
        assert "AT+CNMPSD" not in modem.engine.commands

    device_in_memory.with_card(story, modem="quectel-eg25")
