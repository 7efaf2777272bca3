"""What the personalities do beyond the switches that have tests of their own: slots, a maker's LPA, sleep, locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.modem import PERSONALITIES, AtEngine, ModemOptions, SlotSetting, manners, personality
from ipad_agent.lab.modem.line.memory_port import MemoryPort
from ipad_agent.modem import module_profile_files

from .lab_fakecard import ICCID_A, ISDR, FakeCard

PROFILES = Path(__file__).resolve().parents[3] / "hw" / "modems"
OPEN_ISDR = f'AT+CCHO="{ISDR.hex().upper()}"'
VARIANTS = {"quectel-rg650e": "quectel-rm5g", "sierra-em9191": "sierra-em", "dell-dw5821e": "generic-3gpp"}
"""Modules with a vice of their own inside a family that has another profile's name."""


def port_of(options: ModemOptions, card: FakeCard | None = None) -> MemoryPort:
    return MemoryPort(AtEngine(card or FakeCard(), options))


def ask(port: MemoryPort, command: str) -> list[str]:
    return [line for line in port.exchange(command).decode("ascii").split("\r\n") if line]


@pytest.mark.parametrize("name", sorted(PERSONALITIES))
def test_every_personality_is_known_to_the_agent_by_what_it_says_of_itself(name: str) -> None:
    played = PERSONALITIES[name]
    known = module_profile_files.load((PROFILES,))
    assert known.choose(played.manufacturer, played.model, played.revision).name == VARIANTS.get(name, name)


def test_every_profile_that_names_a_module_has_a_personality() -> None:
    named = {path.stem for path in PROFILES.glob("*.toml") if not path.stem.endswith("-ports")}
    assert named - set(PERSONALITIES) == set()


@pytest.mark.parametrize("name", sorted(PERSONALITIES))
def test_every_personality_tells_its_iccid_by_its_own_command(name: str) -> None:
    port = port_of(personality(name, echo=False))
    for command in PERSONALITIES[name].iccid_commands:
        first, *rest = ask(port, f"AT{command}")
        assert ICCID_A in first
        assert rest == ["OK"]
    assert manners(PERSONALITIES[name])


def test_a_read_command_is_no_execute_command() -> None:
    port = port_of(personality("tdtech-mt5700", echo=False))
    assert ask(port, "AT^ICCID?") == [f"^ICCID: {ICCID_A}", "OK"]
    assert ask(port, "AT^ICCID") == ["ERROR"]


def test_an_empty_slot_shows_no_card_and_the_other_one_does() -> None:
    card = FakeCard()
    port = port_of(personality("quectel-rm5g", echo=False, cmee=1), card)
    assert ask(port, "AT+QUIMSLOT?") == ["+QUIMSLOT: 1", "OK"]
    assert ask(port, "AT+QUIMSLOT=2")[0] == "OK"
    port.wait(2)
    assert ask(port, "AT+QCCID") == ["+CME ERROR: 10"]
    assert ask(port, OPEN_ISDR)[-1] == "+CME ERROR: 10"
    port.exchange("AT+CFUN=1,1")
    port.wait(5)
    port.exchange("ATE0")
    assert ask(port, "AT+QUIMSLOT?") == ["+QUIMSLOT: 2", "OK"]  # kept over a restart
    ask(port, "AT+QUIMSLOT=1")
    port.wait(2)
    assert ask(port, OPEN_ISDR)[-1] == "OK"


def test_a_slot_may_want_the_radio_off_and_an_unlocked_command_set() -> None:
    port = port_of(personality("telit-le910", echo=False, cmee=1))
    assert ask(port, "AT#SIMSELECT=2") == ["+CME ERROR: 3"]
    ask(port, "AT+CFUN=4")
    assert ask(port, "AT#SIMSELECT=2")[0] == "OK"
    port = port_of(personality("sierra-em", echo=False, cmee=1))
    assert ask(port, "AT!UIMS=1") == ["+CME ERROR: 3"]
    assert ask(port, 'AT!ENTERCND="0000"') == ["+CME ERROR: 16"]
    assert ask(port, 'AT!ENTERCND="A710"') == ["OK"]
    assert ask(port, "AT!UIMS=1")[0] == "OK"
    port = port_of(personality("cinterion", echo=False))
    assert ask(port, 'AT^SCFG="SIM/CS"') == ['^SCFG: "SIM/CS","0"', "OK"]
    assert ask(port, 'AT^SCFG="SIM/CS","3"')[0] == "OK"
    assert ask(port, 'AT^SCFG="Radio/Band"') == ["ERROR"]


def test_a_slot_that_is_chosen_for_the_next_start_changes_nothing_before_it() -> None:
    options = ModemOptions(
        echo=False, slot=SlotSetting("%CSUS", numbers=(0, 1), card_in=0, active=0, after_restart=True)
    )
    port = port_of(options)
    assert ask(port, "AT%CSUS=1") == ["OK"]
    assert ask(port, "AT+CCID")[-1] == "OK"
    ask(port, "AT+CFUN=0")
    ask(port, "AT+CFUN=1")
    port.wait(2)
    assert ask(port, "AT+CCID") == ["ERROR"]


def test_a_makers_lpa_keeps_the_isdr_until_it_is_off_and_the_module_restarted() -> None:
    engine = AtEngine(FakeCard(), personality("quectel-rg650e", echo=False, cmee=1))
    port = MemoryPort(engine)
    select = "00A4040010" + ISDR.hex().upper()
    assert ask(port, 'AT+QESIM="lpa_enable"') == ['+QESIM: "lpa_enable",1', "OK"]
    assert ask(port, OPEN_ISDR) == ["+CME ERROR: 3"]
    assert ask(port, f'AT+CSIM=42,"{select}"') == ['+CSIM: 4,"6985"', "OK"]
    assert ask(port, 'AT+QESIM="lpa_enable",0') == ["OK"]
    assert ask(port, OPEN_ISDR) == ["+CME ERROR: 3"]
    port.exchange("AT+CFUN=1,1")
    port.wait(5)
    assert ask(port, OPEN_ISDR)[-1] == "OK"
    assert engine.module.nvm_writes == ['AT+QESIM="lpa_enable",0']


def test_a_line_wakes_a_module_that_sleeps_and_is_lost() -> None:
    port = port_of(personality("quectel-bg95", echo=False))
    assert ask(port, "AT") == ["OK"]
    port.wait(60)
    assert port.exchange("AT", deadline_s=5) == b""
    assert ask(port, "AT") == ["OK"]
    assert ask(port, "AT+QSCLK=0") == ["OK"]
    port.wait(60)
    assert ask(port, "AT") == ["OK"]


def test_a_test_form_may_be_met_with_silence_while_the_command_works() -> None:
    port = port_of(personality("fibocom-fm350", echo=False))
    assert port.exchange("AT+CCHO=?", deadline_s=5) == b""
    assert ask(port, OPEN_ISDR) == ["1", "OK"]


def test_a_card_that_works_longer_than_the_module_waits_gives_a_bare_error_and_goes_on() -> None:
    card = FakeCard()
    port = port_of(ModemOptions(echo=False, cmee=1, uicc_timer_s=0.3), card)
    session = ask(port, OPEN_ISDR)[0].split()[1]
    card.last_delay_s = 2.0
    done: list[bytes] = []
    card.on_store_data = lambda apdu: done.append(apdu) or b"\x90\x00"  # type: ignore[func-returns-value]
    assert ask(port, f'AT+CGLA={session},16,"80E2910003BF5100"') == ["ERROR"]
    assert len(done) == 1


def test_manage_channel_may_want_le_zero() -> None:
    port = port_of(personality("dell-dw5821e", echo=False))
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ['+CSIM: 4,"6700"', "OK"]
    assert ask(port, 'AT+CSIM=10,"0070000000"') == ['+CSIM: 6,"019000"', "OK"]
    assert ask(port, 'AT+CSIM=8,"00708001"') == ['+CSIM: 4,"6700"', "OK"]
    assert ask(port, 'AT+CSIM=10,"0070800100"') == ['+CSIM: 4,"9000"', "OK"]


def test_the_end_of_a_lock_looks_like_a_card_that_was_put_in() -> None:
    port = port_of(personality("telit-le910", echo=False))
    assert ask(port, "AT+CSIM=1") == ["OK", "#QSS: 0"]
    assert ask(port, "AT+CSIM=0") == ["OK"]
    port.wait(3)
    assert port.read() == b"\r\n#QSS: 1\r\n"


def test_power_saving_is_told_as_it_was_set() -> None:
    port = port_of(personality("nordic-nrf91", echo=False))
    assert ask(port, "AT+CPSMS?") == ["+CPSMS: 0", "OK"]
    assert ask(port, 'AT+CPSMS=1,,,"00100001","00000101"') == ["OK"]
    assert ask(port, "AT+CPSMS?") == ['+CPSMS: 1,,,"00100001","00000101"', "OK"]
    assert ask(port, "AT+CEDRXS?") == ["OK"]
    assert ask(port, 'AT+CEDRXS=1,4,"0101"') == ["OK"]
    assert ask(port, "AT+CEDRXS?") == ['+CEDRXS: 4,"0101"', "OK"]
    assert ask(port, "AT+CREG?") == ["ERROR"]
    ask(port, "AT+CFUN=40")
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,90", "OK"]


def test_some_levels_of_cfun_restart_the_module() -> None:
    port = port_of(personality("ublox-sara-r5", echo=False))
    port.exchange("AT+CFUN=16")
    assert port.losses == 1
    port.wait(5)
    assert port.present


@pytest.mark.parametrize(
    ("name", "set_by", "lines"),
    [
        ("telit-le910", "AT#QSS=2", ["#QSS: 0", "#QSS: 1", "#QSS: 2", "#QSS: 3"]),
        ("nordic-nrf91", "AT%XSIM=1", ["%XSIM: 0", "%XSIM: 1"]),
        ("cinterion", "AT^SCKS=1", ["^SCKS: 0", "+CIEV: simstatus,1", "^SCKS: 1", "+CIEV: simstatus,5"]),
        ("tdtech-mt5700", "AT", ["^SIMST: 255", "^SIMST: 1"]),
        ("simcom-a7600", "AT", ["+SIMCARD: NOT AVAILABLE", "+CPIN: READY"]),
        ("fibocom-fm350", "AT", ["+ESIMS: 0", "+ESIMS: 1"]),
    ],
)
def test_each_maker_tells_of_its_card_in_words_of_its_own(name: str, set_by: str, lines: list[str]) -> None:
    engine = AtEngine(FakeCard(), personality(name, echo=False))
    port = MemoryPort(engine)
    ask(port, set_by)
    engine.order(lambda module: module.restart_card())
    port.wait(5)
    told = [line for line in port.read().decode("ascii").split("\r\n") if line]
    assert [line for line in told if not line.startswith("+CREG")] == lines
