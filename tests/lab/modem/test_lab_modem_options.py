"""Every manner of the modem that an option switches on, seen from the host's end of the line.

Long: one test for each option of one table.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipad_agent.lab.modem import PERSONALITIES, AtEngine, Cell, Coverage, Fault, ModemOptions, personality
from ipad_agent.lab.modem.card_interface import channel_of, class_for_channel
from ipad_agent.lab.modem.line.baud_pace import PacedLine
from ipad_agent.lab.modem.line.memory_port import MemoryPort

from .lab_fakecard import ICCID_A, ICCID_B, ISDR, FakeCard

OPEN_ISDR = f'AT+CCHO="{ISDR.hex().upper()}"'
HOME = Cell(plmn="26201")
ABROAD = Cell(plmn="20801", roaming=True)
QUIET = ModemOptions(echo=False)


def port_for(card: FakeCard, options: ModemOptions = QUIET, coverage: Coverage | None = None) -> MemoryPort:
    return MemoryPort(AtEngine(card, options, coverage=coverage))


def lines(received: bytes) -> list[str]:
    return [line for line in received.decode("ascii").split("\r\n") if line]


def ask(port: MemoryPort, command: str) -> list[str]:
    return lines(port.exchange(command))


def enabling(card: FakeCard, iccid: str) -> None:
    card.on_store_data = lambda _: card.enable(iccid)


ENABLE = "80E2910003BF5100"


# Identity and settings


def test_identity_commands_answer_without_a_prefix() -> None:
    port = port_for(FakeCard(), personality("eg25", echo=False))
    assert ask(port, "AT+CGMI") == ["Quectel", "OK"]
    assert ask(port, "AT+CGMM") == ["EG25", "OK"]
    assert ask(port, "ATI")[0:2] == ["Quectel", "EG25"]
    assert ask(port, "AT+CGSN") == ["860195052613574", "OK"]
    assert ask(port, "AT+CGSN=1") == ['+CGSN: "860195052613574"', "OK"]
    assert ask(port, "AT+CGSN=3") == ['+CGSN: "01"', "OK"]
    assert ask(port, "AT+QCCID") == [f"+QCCID: {ICCID_A}".ljust(28, "F"), "OK"]
    assert ask(port, "AT+QUIMSLOT?") == ["+QUIMSLOT: 1", "OK"]


def test_an_iccid_with_letters_is_printed_in_order_or_as_it_stands_in_the_file() -> None:
    card = FakeCard(iccid="898602B012345678927")
    port = port_for(card)
    assert ask(port, "AT+CCID") == ["+CCID: 898602B012345678927", "OK"]
    assert ask(port, "AT+CRSM=176,12258,0,0,10") == ['+CRSM: 144,0,"9868200B2143658729F7"', "OK"]
    port = port_for(card, replace(QUIET, iccid_as_in_file=True))
    assert ask(port, "AT+CCID") == ["+CCID: 9868200B2143658729F7", "OK"]


@pytest.mark.parametrize("name", sorted(PERSONALITIES))
def test_the_imei_of_every_personality_has_a_right_check_digit(name: str) -> None:
    digits = [int(digit) for digit in PERSONALITIES[name].imei]
    doubled = [sum(divmod(2 * digit, 10)) if at % 2 else digit for at, digit in enumerate(digits)]
    assert len(digits) == 15
    assert sum(doubled) % 10 == 0


def test_echo_verbosity_and_quiet_can_be_switched() -> None:
    port = port_for(FakeCard(), ModemOptions())
    assert port.exchange("AT") == b"AT\r\r\nOK\r\n"
    assert port.exchange("ATE0") == b"ATE0\r\r\nOK\r\n"
    assert port.exchange("ATV0") == b"0\r"
    assert port.exchange("AT+NOSUCH") == b"4\r"
    assert port.exchange("AT+CFUN?") == b"+CFUN: 1\r\n0\r"
    assert port.exchange("ATV1Q1") == b""
    assert port.exchange("ATQ0") == b"\r\nOK\r\n"
    assert port.exchange("AT&F") == b"\r\nOK\r\n"
    assert port.exchange("AT") == b"AT\r\r\nOK\r\n"


@pytest.mark.parametrize(
    ("cmee", "final"),
    [(0, "ERROR"), (1, "+CME ERROR: 21"), (2, "+CME ERROR: invalid index")],
)
def test_error_reports_follow_cmee(cmee: int, final: str) -> None:
    port = port_for(FakeCard())
    assert ask(port, f"AT+CMEE={cmee}") == ["OK"]
    assert ask(port, "AT+CCHC=7") == [final]


@pytest.mark.parametrize(
    ("style", "final"),
    [("error", "ERROR"), ("numeric", "+CME ERROR: 21"), ("text", "+CME ERROR: invalid index")],
)
def test_error_style_may_ignore_cmee(style: str, final: str) -> None:
    port = port_for(FakeCard(), replace(QUIET, error_style=style))  # type: ignore[arg-type]  # one of the three
    assert ask(port, "AT+CCHC=7") == [final]


def test_commands_of_one_line_stop_at_the_first_that_fails() -> None:
    port = port_for(FakeCard())
    assert ask(port, "AT+CMEE?;+CFUN?;+NOSUCH;+CSQ") == ["+CMEE: 0", "+CFUN: 1", "ERROR"]


def test_a_line_without_at_is_met_with_silence() -> None:
    assert port_for(FakeCard()).exchange("+CSQ") == b""


def test_noise_before_at_is_ignored() -> None:
    port = port_for(FakeCard())
    assert lines(port.exchange_raw(b"\x00\x00\xfeAT+CFUN?\r")) == ["+CFUN: 1", "OK"]


def test_firmware_that_waits_for_the_line_feed() -> None:
    port = port_for(FakeCard(), replace(QUIET, wait_for_lf=True))
    assert port.exchange_raw(b"AT\r", deadline_s=1) == b""
    assert port.exchange_raw(b"\n", deadline_s=1) == b"\r\nOK\r\n"


def test_overlong_line_is_an_error_and_the_next_one_works() -> None:
    port = port_for(FakeCard(), replace(QUIET, max_line_bytes=64))
    assert ask(port, f'AT+CSIM=200,"{"0" * 200}"') == ["ERROR"]
    assert ask(port, "AT") == ["OK"]


def test_clock_comes_from_the_network_or_counts_from_the_modems_own_epoch() -> None:
    assert ask(port_for(FakeCard()), "AT+CCLK?")[0] == '+CCLK: "80/01/06,00:00:00+00"'
    port = MemoryPort(AtEngine(FakeCard(), QUIET, wall=lambda: 1795219200.0))
    assert ask(port, "AT+CCLK?")[0] == '+CCLK: "26/11/21,00:00:00+00"'


# The way to the card


def test_without_csim_only_sessions_are_offered() -> None:
    port = port_for(FakeCard(), replace(QUIET, transports="cgla"))
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ["ERROR"]
    assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]


def test_test_forms_may_be_missing_though_the_commands_work() -> None:
    port = port_for(FakeCard(), replace(QUIET, test_forms=False))
    assert ask(port, "AT+CCHO=?") == ["ERROR"]
    assert ask(port, "AT+CSIM=?") == ["ERROR"]
    assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]


@pytest.mark.parametrize(
    ("changes", "line", "session"),
    [
        ({"session_style": "big"}, "+CCHO: 1465853796", "1465853796"),
        ({"session_style": "hex16"}, "+CCHO: 000000000385a7df", "000000000385a7df"),
        ({"bare_session": True}, "1", "1"),
        ({"space_after_colon": False}, "+CCHO:1", "1"),
    ],
)
def test_session_ids_come_in_every_shape(changes: dict[str, object], line: str, session: str) -> None:
    port = port_for(FakeCard(), replace(QUIET, **changes))  # type: ignore[arg-type]  # by name
    assert ask(port, OPEN_ISDR) == [line, "OK"]
    assert ask(port, f'AT+CGLA={session},10,"80E2910000"')[-1] == "OK"
    assert ask(port, f"AT+CCHC={session}") == ["OK"]
    assert ask(port, f"AT+CCHC={session}") == ["ERROR"]


def test_answers_may_be_unquoted_and_carry_a_leading_flag() -> None:
    port = port_for(FakeCard(), replace(QUIET, quoted_answers=False, cgla_flag=True))
    ask(port, OPEN_ISDR)
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"')[0] == "+CGLA: 1,4,9000"


def test_quotes_may_be_demanded() -> None:
    port = port_for(FakeCard(), replace(QUIET, require_quotes=True, cmee=1))
    ask(port, OPEN_ISDR)
    assert ask(port, "AT+CGLA=1,10,80E2910000") == ["+CME ERROR: 50"]
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"')[-1] == "OK"


def test_length_field_is_checked_when_strict() -> None:
    card = FakeCard()
    assert ask(port_for(card), 'AT+CSIM=8,"0070000001"') == ["ERROR"]
    assert card.open == {}
    assert ask(port_for(card, replace(QUIET, strict_length=False)), 'AT+CSIM=8,"0070000001"')[-1] == "OK"


@pytest.mark.parametrize("command", ['AT+CSIM=0,""', 'AT+CSIM=6,"007000"', 'AT+CSIM=8,"0070"', 'AT+CSIM=7,"0070000"'])
def test_what_is_no_apdu_never_reaches_the_card(command: str) -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, cmee=1))
    card.log.clear()
    assert ask(port, command) == ["+CME ERROR: 50"]
    assert card.log == []


def long_answer(size: int) -> bytes:
    return b"\xbf\x38\x82" + size.to_bytes(2, "big") + b"\x5a" * size


def test_modem_may_fetch_long_answers_itself() -> None:
    card = FakeCard()
    card.on_store_data = lambda _: long_answer(1631) + b"\x90\x00"
    port = port_for(card, replace(QUIET, auto_fetch=True))
    ask(port, OPEN_ISDR)
    answer = ask(port, 'AT+CGLA=1,10,"80E2910000"')[0]
    assert answer == f'+CGLA: {2 * 1638},"{long_answer(1631).hex().upper()}9000"'


def test_csim_answer_may_be_cut_at_256_bytes_with_a_good_status_word() -> None:
    card = FakeCard()
    card.on_store_data = lambda _: long_answer(1631) + b"\x90\x00"
    port = port_for(card, replace(QUIET, auto_fetch=True, csim_answer_cap_bytes=256))
    ask(port, 'AT+CSIM=10,"0070000001"')
    answer = ask(port, 'AT+CSIM=10,"81E2910000"')[0]
    assert answer == f'+CSIM: 516,"{long_answer(1631)[:256].hex().upper()}9000"'


def test_le_after_store_data_may_be_refused() -> None:
    port = port_for(FakeCard(), replace(QUIET, refuse_le=True))
    ask(port, OPEN_ISDR)
    assert ask(port, 'AT+CGLA=1,18,"80E2910003BF3E0000"') == ["ERROR"]
    assert ask(port, 'AT+CGLA=1,16,"80E2910003BF3E00"')[-1] == "OK"


def test_class_byte_may_be_passed_through_unpatched() -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, class_policy="pass"))
    ask(port, OPEN_ISDR)
    ask(port, 'AT+CGLA=1,10,"80E2910000"')
    assert card.log[-1][0] == 0x80


def test_session_zero_may_be_the_basic_channel() -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, session_zero_is_basic=True))
    assert ask(port, 'AT+CGLA=0,10,"0070000001"') == ['+CGLA: 6,"019000"', "OK"]
    assert ask(port_for(FakeCard()), 'AT+CGLA=0,10,"0070000001"') == ["ERROR"]


def test_csim_may_fail_on_logical_channels() -> None:
    port = port_for(FakeCard(), personality("eg25", echo=False, cmee=1))
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ['+CSIM: 6,"019000"', "OK"]
    assert ask(port, 'AT+CSIM=10,"81F2000000"') == ["+CME ERROR: 0"]


def test_instructions_and_manage_channel_may_be_filtered() -> None:
    options = replace(QUIET, cmee=1, csim_refused_instructions=frozenset({0xC0}), csim_manage_channel=False)
    port = port_for(FakeCard(), options)
    assert ask(port, 'AT+CSIM=10,"00C0000000"') == ["+CME ERROR: 3"]
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ['+CSIM: 4,"6A81"', "OK"]


def test_channels_run_out_and_leaked_ones_can_be_swept() -> None:
    port = port_for(FakeCard(channels=19), replace(QUIET, cmee=1, max_channels=3, leaked_channels=3))
    assert ask(port, OPEN_ISDR) == ["+CME ERROR: 20"]
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ['+CSIM: 4,"6A81"', "OK"]
    assert ask(port, "AT+CCHC=2") == ["OK"]
    assert ask(port, OPEN_ISDR) == ["+CCHO: 2", "OK"]
    assert ask(port, 'AT+CSIM=10,"0070800100"')[-1] == "OK"
    assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]


def test_a_channel_is_not_lost_while_a_proactive_command_waits() -> None:
    class Waiting(FakeCard):
        def transmit(self, apdu: bytes) -> bytes:
            answer = super().transmit(apdu)
            return answer[:-2] + b"\x91\x0b" if answer[-2:] == b"\x90\x00" else answer

    port = port_for(Waiting(channels=1), replace(QUIET, cmee=1, refresh="ignored"))
    for _ in range(3):
        assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]
        assert ask(port, "AT+CCHC=1") == ["OK"]
    assert ask(port, 'AT+CSIM=10,"0070000001"') == ['+CSIM: 6,"01910B"', "OK"]
    assert ask(port, 'AT+CSIM=8,"00708001"') == ['+CSIM: 4,"910B"', "OK"]
    assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]


def test_channels_above_three_use_the_further_class_bytes() -> None:
    card = FakeCard(channels=19)
    port = port_for(card, replace(QUIET, max_channels=19, leaked_channels=4))
    ask(port, OPEN_ISDR)
    ask(port, 'AT+CGLA=5,10,"80E2910000"')
    assert card.log[-1][0] == 0xC1
    # ETSI TS 102 221 10.1.1: 4X and CX carry channels 4 to 19
    assert [class_for_channel(0x80, channel) for channel in (0, 3, 4, 19)] == [0x80, 0x83, 0xC0, 0xCF]
    assert [class_for_channel(0x00, channel) for channel in (1, 3, 4, 19)] == [0x01, 0x03, 0x40, 0x4F]
    assert [channel_of(cla) for cla in (0x83, 0xC0, 0x4F, 0xA0)] == [3, 4, 19, 0]


def test_unknown_application_is_not_found_and_its_channel_is_closed_again() -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, cmee=1))
    assert ask(port, 'AT+CCHO="A000000559DEAD"') == ["+CME ERROR: 22"]
    assert card.open == {}


def test_close_command_may_be_missing() -> None:
    port = port_for(FakeCard(), replace(QUIET, close_command=False))
    ask(port, OPEN_ISDR)
    assert ask(port, "AT+CCHC=1") == ["ERROR"]


def test_files_are_read_by_crsm_and_applications_by_cuad() -> None:
    port = port_for(FakeCard())
    assert ask(port, "AT+CRSM=176,12258,0,0,10")[0] == '+CRSM: 144,0,"98942000002143658779"'
    assert ask(port, "AT+CRSM=176,28613,0,0,10")[0] == "+CRSM: 106,130"
    assert ask(port, "AT+CRSM=214,12258,0,0,10") == ["ERROR"]
    assert ask(port, "AT+CUAD")[0] == f'+CUAD: "61124F10{ISDR.hex().upper()}"'
    assert ask(port, "AT+CIMI")[0] == "262011002345678"


# The network


def test_registration_follows_the_profile_and_is_reported() -> None:
    port = port_for(FakeCard(), coverage=Coverage(default=ABROAD))
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,5", "OK"]
    assert ask(port, "AT+CEREG=2") == ["OK"]
    assert ask(port, "AT+CEREG?") == ['+CEREG: 2,5,"1F3B","0A1B2C03",7', "OK"]
    assert ask(port, "AT+COPS=3,2") == ["OK"]
    assert ask(port, "AT+COPS?") == ['+COPS: 0,2,"20801",7', "OK"]
    assert ask(port, "AT+CGATT?") == ["+CGATT: 1", "OK"]


def test_profile_that_no_network_wants_searches_for_ever() -> None:
    port = port_for(FakeCard(), coverage=Coverage({ICCID_A: None}))
    assert ask(port, "AT+CREG?") == ["+CREG: 0,2", "OK"]
    assert ask(port, "AT+COPS?") == ["+COPS: 0", "OK"]
    assert ask(port, "AT+CSQ") == ["+CSQ: 99,99", "OK"]


def test_profile_that_is_refused_is_denied() -> None:
    port = port_for(FakeCard(), coverage=Coverage(default=Cell(refuses=True)))
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,3", "OK"]


@pytest.mark.parametrize(("stat", "address"), [(1, True), (5, True), (6, False), (7, False), (8, False)])
def test_a_network_may_take_the_profile_for_less_than_data(stat: int, address: bool) -> None:
    engine = AtEngine(FakeCard(), QUIET, coverage=Coverage(default=replace(HOME, stat=stat)))
    port = MemoryPort(engine)
    assert ask(port, "AT+CEREG?") == [f"+CEREG: 0,{stat}", "OK"]
    assert ask(port, "AT+CGPADDR=1")[0].endswith('"10.64.0.2"') is address
    assert engine.module.radio.passes_data is address


def test_signal_strength_is_that_of_the_cell() -> None:
    weak = replace(HOME, rssi_dbm=-111, rsrp_dbm=-124)
    port = port_for(FakeCard(), coverage=Coverage(default=weak))
    # 3GPP TS 27.007 §8.5: 1 is -111 dBm; §8.69: 17 is -124 dBm <= rsrp < -123 dBm
    assert ask(port, "AT+CSQ") == ["+CSQ: 1,99", "OK"]
    assert ask(port, "AT+CESQ") == ["+CESQ: 99,99,255,255,20,17", "OK"]
    usual = port_for(FakeCard())
    assert ask(usual, "AT+CSQ") == ["+CSQ: 23,99", "OK"]
    assert ask(usual, "AT+CESQ") == ["+CESQ: 99,99,255,255,20,51", "OK"]


def test_address_is_there_while_the_packet_service_is() -> None:
    port = port_for(FakeCard(), coverage=Coverage(default=replace(HOME, address="10.1.2.3")))
    assert ask(port, "AT+CGPADDR=1") == ['+CGPADDR: 1,"10.1.2.3"', "OK"]
    assert ask(port, "AT+CGPADDR") == ['+CGPADDR: 1,"10.1.2.3"', "OK"]
    assert ask(port, "AT+CGPADDR=?") == ["+CGPADDR: (1)", "OK"]
    assert ask(port, "AT+CGPADDR=2") == ["ERROR"]
    assert ask(port, "AT+CGPADDR?") == ["ERROR"]
    for nothing in (None, Cell(refuses=True), Cell(carries_data=False)):
        assert ask(port_for(FakeCard(), coverage=Coverage(default=nothing)), "AT+CGPADDR=1") == ["+CGPADDR: 1", "OK"]


@pytest.mark.parametrize("command", ["AT+CREG?", "AT+CEREG?", "AT+CGREG?", "AT+COPS?", "AT+CGATT?", "AT+CGPADDR=1"])
def test_without_a_profile_some_modules_refuse_to_speak_of_the_network(command: str) -> None:
    refusing = replace(QUIET, network_without_profile="cme10", cmee=1)
    assert ask(port_for(FakeCard(iccid=None), refusing), command) == ["+CME ERROR: 10"]
    assert ask(port_for(FakeCard(iccid=None), replace(QUIET, cmee=1)), command)[-1] == "OK"
    port = port_for(FakeCard(), refusing)
    assert ask(port, command)[-1] == "OK"
    ask(port, "AT+CFUN=0")
    assert ask(port, command) == ["+CME ERROR: 10"]
    ask(port, "AT+CFUN=1")
    port.wait(5)
    assert ask(port, command)[-1] == "OK"


def test_operator_scan_takes_its_time() -> None:
    port = port_for(FakeCard())
    assert ask(port, "AT+COPS=?")[-1] == "OK"
    assert port.now_s >= 20


def test_minimum_functionality_takes_the_card_away_and_full_brings_it_back() -> None:
    port = port_for(FakeCard(), replace(QUIET, cmee=1))
    ask(port, OPEN_ISDR)
    assert ask(port, "AT+CFUN=0") == ["OK"]
    assert ask(port, "AT+CPIN?") == ["+CME ERROR: 10"]
    assert ask(port, OPEN_ISDR) == ["+CME ERROR: 10"]
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,0", "OK"]
    assert ask(port, "AT+CFUN=1") == ["OK"]
    assert ask(port, OPEN_ISDR) == ["+CME ERROR: 14"]
    port.wait(0.6)
    assert ask(port, "AT+CPIN?") == ["+CPIN: READY", "OK"]
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,2", "OK"]
    port.wait(1.0)
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,1", "OK"]
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"') == ["+CME ERROR: 21"]


def test_flight_mode_keeps_the_card_unless_the_firmware_cuts_it() -> None:
    card = FakeCard()
    port = port_for(card)
    ask(port, OPEN_ISDR)
    assert ask(port, "AT+CFUN=4") == ["OK"]
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"')[-1] == "OK"
    assert card.resets == 1
    cutting = port_for(card, replace(QUIET, cfun4_powers_card_off=True, cmee=1))
    ask(cutting, "AT+CFUN=4")
    assert ask(cutting, "AT+CPIN?") == ["+CME ERROR: 10"]


def test_uicc_power_commands_reset_the_card_alone() -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, uicc_power_command=True))
    assert ask(port, "AT+CFUN=40") == ["OK"]
    assert ask(port, "AT+CFUN=41") == ["OK"]
    port.wait(2)
    assert card.resets == 2
    assert ask(port, "AT+CFUN?") == ["+CFUN: 1", "OK"]
    assert ask(port_for(card), "AT+CFUN=40") == ["ERROR"]


# REFRESH


def test_refresh_at_once_kills_sessions_and_brings_the_new_profile_after_a_storm() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    coverage = Coverage({ICCID_A: HOME, ICCID_B: ABROAD})
    port = port_for(card, personality("eg25", echo=False, cmee=1), coverage)
    ask(port, "AT+CEREG=1;+QSIMSTAT=1")
    ask(port, OPEN_ISDR)
    assert ask(port, f'AT+CGLA=1,16,"{ENABLE}"') == ['+CGLA: 4,"910B"', "OK"]
    assert card.resets == 1
    port.wait(0.2)
    assert card.resets == 2
    assert bytes.fromhex("8103010104") in card.terminal_responses[0]
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"')[-1] == "+CME ERROR: 14"
    port.wait(3)
    storm = lines(port.read())
    assert storm == ["+CPIN: READY", "+QUSIM: 1", "+QSIMSTAT: 1,1", "+CEREG: 2", "+CEREG: 5"]
    assert ask(port, "AT+QCCID") == [f"+QCCID: {ICCID_B}", "OK"]
    assert port.links == [None, ABROAD]


def test_refresh_may_be_ignored_until_the_radio_is_cycled() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    port = port_for(card, replace(QUIET, refresh="ignored"))
    ask(port, OPEN_ISDR)
    ask(port, f'AT+CGLA=1,16,"{ENABLE}"')
    port.wait(300)
    assert card.resets == 1
    assert ask(port, "AT+CCID") == [f"+CCID: {ICCID_A}", "OK"]
    ask(port, "AT+CFUN=0")
    ask(port, "AT+CFUN=1")
    port.wait(3)
    assert ask(port, "AT+CCID") == [f"+CCID: {ICCID_B}", "OK"]


def test_refresh_may_be_executed_late() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    port = port_for(card, replace(QUIET, refresh="late", refresh_late_s=8))
    ask(port, OPEN_ISDR)
    ask(port, f'AT+CGLA=1,16,"{ENABLE}"')
    port.wait(7.9)
    assert card.resets == 1
    port.wait(3)
    assert card.resets == 2


def test_refresh_may_take_the_port_away() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    port = port_for(card, replace(QUIET, refresh_drops_port=True))
    ask(port, "AT+CMEE=1")
    ask(port, OPEN_ISDR)
    ask(port, f'AT+CGLA=1,16,"{ENABLE}"')
    port.wait(0.2)
    assert not port.present
    port.wait(3)
    assert port.present
    assert ask(port, "AT+CMEE?") == ["+CMEE: 0", "OK"]


def test_pending_proactive_command_may_be_hidden_from_the_host() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    port = port_for(card, replace(QUIET, hide_proactive=True))
    ask(port, OPEN_ISDR)
    assert ask(port, f'AT+CGLA=1,16,"{ENABLE}"')[0] == '+CGLA: 4,"9000"'
    port.wait(3)
    assert card.resets == 2


def test_card_without_an_enabled_profile_still_lets_the_isdr_be_opened() -> None:
    port = port_for(FakeCard(iccid=None), replace(QUIET, cmee=1))
    assert ask(port, "AT+CPIN?") == ["+CME ERROR: 13"]
    assert ask(port, "AT+CIMI") == ["+CME ERROR: 13"]
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,2", "OK"]
    assert ask(port, OPEN_ISDR) == ["+CCHO: 1", "OK"]
    not_ready = port_for(FakeCard(iccid=None), replace(QUIET, no_profile="not-ready"))
    assert ask(not_ready, "AT+CPIN?") == ["+CPIN: NOT READY", "OK"]


def test_profile_that_attaches_but_passes_nothing_gives_no_link() -> None:
    card = FakeCard()
    enabling(card, ICCID_B)
    port = port_for(card, coverage=Coverage({ICCID_B: Cell(carries_data=False)}))
    ask(port, OPEN_ISDR)
    ask(port, f'AT+CGLA=1,16,"{ENABLE}"')
    port.wait(5)
    assert ask(port, "AT+CEREG?") == ["+CEREG: 0,1", "OK"]
    assert port.links == [None]


def test_terminal_capability_of_the_modem_is_sent_after_every_card_reset() -> None:
    card = FakeCard()
    capability = bytes.fromhex("80AA000005A903840101")
    port = port_for(card, replace(QUIET, terminal_capability=capability))
    ask(port, "AT+CFUN=0")
    ask(port, "AT+CFUN=1")
    port.wait(1)
    assert card.log.count(capability) == 2


def test_slow_card_delays_the_answer_by_what_it_says_itself() -> None:
    card = FakeCard()
    card.last_delay_s = 3.0
    port = port_for(card)
    begin_s = port.now_s
    assert ask(port, 'AT+CSIM=10,"0070000001"')[-1] == "OK"
    assert port.now_s - begin_s >= 3.0


def test_mute_card_is_a_sim_failure_until_it_answers_again() -> None:
    card = FakeCard()
    port = port_for(card, replace(QUIET, cmee=1))
    ask(port, OPEN_ISDR)
    card.mute = True
    assert ask(port, 'AT+CGLA=1,10,"80E2910000"') == ["+CME ERROR: 13"]
    ask(port, "AT+CFUN=0")
    ask(port, "AT+CFUN=1")
    port.wait(1)
    assert ask(port, "AT+CPIN?") == ["+CME ERROR: 13"]
    card.mute = False
    ask(port, "AT+CFUN=0")
    ask(port, "AT+CFUN=1")
    port.wait(1)
    assert ask(port, "AT+CPIN?") == ["+CPIN: READY", "OK"]


# Restart and port


def test_restart_takes_the_port_settings_and_sessions_and_announces_itself() -> None:
    card = FakeCard()
    port = port_for(card, personality("eg25"))
    ask(port, "ATE0")
    ask(port, OPEN_ISDR)
    ask(port, "AT+CFUN=1,1")
    assert not port.present
    port.wait(1)
    port.write(b"AT\r")
    assert port.read() == b""
    port.wait(2)
    assert port.present
    assert lines(port.read())[:2] == ["RDY", "+CFUN: 1"]
    port.wait(2)
    port.read()
    assert port.exchange("AT") == b"AT\r\r\nOK\r\n"
    assert card.resets == 2


def test_minimum_functionality_may_take_the_port() -> None:
    port = port_for(FakeCard(), personality("eg916q"))
    assert ask(port, "AT+CFUN=0")[-1] == "OK"
    port.wait(0.1)
    assert not port.present
    port.wait(1.0)
    assert port.present
    assert ask(port, "AT+CFUN?")[1:] == ["+CFUN: 0", "OK"]


# Noise and faults


def test_unsolicited_lines_come_between_echo_and_answer_and_before_the_final_line() -> None:
    port = port_for(FakeCard(), ModemOptions(noise_lines=("+CSQN: 1", "+CREG: 2")))
    assert lines(port.exchange("AT+CFUN?")) == ["AT+CFUN?\r", "+CSQN: 1", "+CFUN: 1", "+CSQN: 1", "OK"]
    assert lines(port.exchange("AT+CMEE?")) == ["AT+CMEE?\r", "+CREG: 2", "+CMEE: 0", "+CREG: 2", "OK"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("silent", "+CSQ"), b""),
        (Fault("lost-answer", "+CSQ"), b""),
        (Fault("error", "+CSQ"), b"\r\nERROR\r\n"),
        (Fault("cme", "+CSQ", code=515), b"\r\n+CME ERROR: 515\r\n"),
        (Fault("garbage", "+CSQ"), bytes.fromhex("00fffe8041b3547f0d0aff1b5b324a03")),
        (Fault("truncate", "+CSQ"), b"\r\n+CSQ: 23"),
    ],
)
def test_fault_strikes_the_named_command_only_and_only_as_often_as_it_should(fault: Fault, expected: bytes) -> None:
    engine = AtEngine(FakeCard(), QUIET, faults=(fault,))
    port = MemoryPort(engine)
    assert ask(port, "AT") == ["OK"]
    assert port.exchange("AT+CSQ", deadline_s=5) == expected
    assert ask(port, "AT+CSQ") == ["+CSQ: 23,99", "OK"]


def test_fault_can_wait_for_the_nth_command_and_repeat() -> None:
    port = MemoryPort(AtEngine(FakeCard(), QUIET, faults=(Fault("error", "", every=3, times=None),)))
    assert [ask(port, "AT")[0] for _ in range(6)] == ["OK", "OK", "ERROR", "OK", "OK", "ERROR"]


def test_lost_answer_was_executed_and_silent_was_not() -> None:
    for kind, opened in (("lost-answer", 1), ("silent", 0)):
        card = FakeCard()
        port = MemoryPort(AtEngine(card, QUIET, faults=(Fault(kind, "+CCHO"),)))  # type: ignore[arg-type]
        assert port.exchange(OPEN_ISDR, deadline_s=5) == b""
        assert len(card.open) == opened


def test_late_answer_comes_after_the_host_has_given_up() -> None:
    port = MemoryPort(AtEngine(FakeCard(), QUIET, faults=(Fault("late", "+CSQ", late_s=5),)))
    assert port.exchange("AT+CSQ", deadline_s=2) == b""
    port.wait(4)
    assert lines(port.read()) == ["+CSQ: 23,99", "OK"]


def test_port_may_vanish_before_a_command_is_run() -> None:
    card = FakeCard()
    port = MemoryPort(AtEngine(card, QUIET, faults=(Fault("vanish", "+CCHO", late_s=3),)))
    assert port.exchange(OPEN_ISDR) == b""
    assert not port.present
    assert card.open == {}
    port.wait(3)
    assert port.present


def test_echo_may_lose_characters() -> None:
    port = MemoryPort(AtEngine(FakeCard(), ModemOptions(), faults=(Fault("echo-damage", "", times=1),)))
    port.exchange("AT")
    assert port.exchange("AT+CFUN?") != b"AT+CFUN?\r\r\n+CFUN: 1\r\n\r\nOK\r\n"


def test_characters_typed_while_a_command_runs_wait_or_are_lost() -> None:
    slow = replace(QUIET, answer_s=1.0)
    port = port_for(FakeCard(), slow)
    port.write(b"AT+CFUN?\rAT+CMEE?\r")
    port.wait(5)
    assert lines(port.read()) == ["+CFUN: 1", "OK", "+CMEE: 0", "OK"]
    port = port_for(FakeCard(), replace(slow, type_ahead="drop"))
    port.write(b"AT+CFUN?\rAT+CMEE?\r")
    port.wait(5)
    assert lines(port.read()) == ["+CFUN: 1", "OK"]


def test_slow_last_block_takes_its_time() -> None:
    port = port_for(FakeCard(), replace(QUIET, apdu_s=0.05, last_block_s=4.0))
    ask(port, OPEN_ISDR)
    begin_s = port.now_s
    ask(port, 'AT+CGLA=1,10,"80E2110000"')
    assert port.now_s - begin_s == pytest.approx(0.05)
    ask(port, 'AT+CGLA=1,10,"80E2910100"')
    assert port.now_s - begin_s == pytest.approx(4.1)


# Pacing


@pytest.mark.parametrize(("baud", "expected_s"), [(9600, 0.5853), (115200, 0.0488)])
def test_wire_time_of_a_full_block_is_what_the_baud_rate_says(baud: int, expected_s: float) -> None:
    # 255 data bytes without echo: 520 characters of APDU and the command around it, 8N1.
    engine = AtEngine(FakeCard(), QUIET)
    port = MemoryPort(PacedLine(engine, baud))
    port.exchange(OPEN_ISDR)
    begin_s = port.now_s
    command = f'AT+CGLA=1,520,"80E21100FF{"A5" * 255}"'
    answer = port.exchange(command)
    assert lines(answer) == ['+CGLA: 4,"9000"', "OK"]
    on_the_wire = (len(command) + 1 + len(answer)) * 10 / baud
    assert port.now_s - begin_s == pytest.approx(on_the_wire, rel=0.01)
    assert on_the_wire == pytest.approx(expected_s, rel=0.02)


def test_paced_bytes_trickle_and_are_lost_with_the_port() -> None:
    engine = AtEngine(FakeCard(), QUIET)
    port = MemoryPort(PacedLine(engine, 1200))
    port.write(b"ATI\r")
    port.wait(0.2)
    first = port.read()
    assert 0 < len(first) < 40
    engine.order(lambda module: module.drop_port(1.0), port.now_s)
    port.wait(0.0)
    assert not port.present
    port.wait(5.0)
    assert port.read() == b""
