"""The conversations of the AT clients met in the field, literally, against the lab's modem."""

from __future__ import annotations

import re

import pytest

from ipad_agent.lab.modem import AtEngine, ModemOptions, Send, personality

from .lab_fakecard import ISDR, FakeCard

GET_EID = "BF3E035C015A"  # SGP.22 v2.5 5.7.20: GetEuiccDataRequest for tag 5A
EID_ANSWER = bytes.fromhex("BF3E125A1089049032123451234512345678901235")


def engine_with(card: FakeCard, options: ModemOptions | None = None) -> AtEngine:
    card.on_store_data = lambda apdu: EID_ANSWER + b"\x90\x00" if apdu[2] == 0x91 else b"\x90\x00"
    return AtEngine(card, options)


def talk(engine: AtEngine, data: str) -> str:
    """Write and read, without the echo."""
    outputs = engine.feed(data.encode())
    text = b"".join(output.data for output in outputs if isinstance(output, Send)).decode()
    echo = data.replace("\n", "")
    assert text.startswith(echo) or not engine.module.settings.echo
    return text.removeprefix(echo)


def test_client_that_probes_by_test_forms_and_writes_its_own_index_into_the_class() -> None:
    # CR LF, lower-case quoted AID, own index in the class nibble, blocks of 120 bytes, no Le, ISO GET RESPONSE.
    card = FakeCard()
    engine = engine_with(card)
    assert talk(engine, "AT\r\n") == "\r\nOK\r\n"
    for probe in ("AT+CCHO=?", "AT+CCHC=?", "AT+CGLA=?"):
        assert talk(engine, probe + "\r\n").endswith("\r\nOK\r\n")
    opened = talk(engine, 'AT+CCHO="a0000005591010ffffffff8900000100"\r\n')
    session = re.fullmatch(r"\r\n\+CCHO: (\d+)\r\n\r\nOK\r\n", opened)
    assert session is not None
    sid = session[1]
    block = "ab" * 120
    assert talk(engine, f'AT+CGLA={sid},250,"81e2110078{block}"\r\n') == '\r\n+CGLA: 4,"9000"\r\n\r\nOK\r\n'
    assert talk(engine, f'AT+CGLA={sid},22,"81e2910006{GET_EID.lower()}"\r\n') == '\r\n+CGLA: 4,"6115"\r\n\r\nOK\r\n'
    assert talk(engine, f'AT+CGLA={sid},10,"81c0000015"\r\n') == (
        f'\r\n+CGLA: 46,"{EID_ANSWER.hex().upper()}9000"\r\n\r\nOK\r\n'
    )
    assert talk(engine, f"AT+CCHC={sid}\r\n") == "\r\nOK\r\n"
    assert card.open == {}


def test_the_index_of_such_a_client_is_replaced_by_the_channel_the_card_gave() -> None:
    card = FakeCard()
    engine = engine_with(card, ModemOptions(leaked_channels=1))
    sid = talk(engine, 'AT+CCHO="a0000005591010ffffffff8900000100"\r\n').split()[1]
    talk(engine, f'AT+CGLA={sid},22,"81e2910006{GET_EID}"\r\n')
    assert card.log[-1][0] == 0x82
    assert card.open[2] == ISDR


def test_the_csim_form_of_that_client_gets_exactly_three_bytes_from_manage_channel() -> None:
    card = FakeCard()
    engine = engine_with(card)
    assert talk(engine, "AT+CSIM=?\r\n").endswith("OK\r\n")
    assert talk(engine, 'AT+CSIM=10,"0070000001"\r\n') == '\r\n+CSIM: 6,"019000"\r\n\r\nOK\r\n'
    select = "01a4040010" + ISDR.hex()
    assert talk(engine, f'AT+CSIM={len(select)},"{select}"\r\n') == '\r\n+CSIM: 4,"6114"\r\n\r\nOK\r\n'
    talk(engine, 'AT+CSIM=10,"01c0000014"\r\n')
    assert talk(engine, f'AT+CSIM=22,"81e2910006{GET_EID}"\r\n') == '\r\n+CSIM: 4,"6115"\r\n\r\nOK\r\n'
    assert talk(engine, 'AT+CSIM=10,"0070800100"\r\n') == '\r\n+CSIM: 4,"9000"\r\n\r\nOK\r\n'
    assert card.open == {}


def test_client_that_is_csim_only_and_sends_terminal_capability_first() -> None:
    # Upper case, compares the announced length with what came, MANAGE CHANNEL without Le.
    card = FakeCard()
    engine = engine_with(card, personality("sim7600"))
    for command in ("AT", "ATE0", "AT+CMEE=1"):
        assert talk(engine, command + "\r\n").endswith("\r\nOK\r\n")
    for capability in ("80AA00000AA9088100820101830107", "80AA000005A903830107"):
        assert talk(engine, f'AT+CSIM={len(capability)},"{capability}"\r\n') == '\r\n+CSIM: 4,"9000"\r\n\r\nOK\r\n'
    answer = talk(engine, 'AT+CSIM=10,"0070000000"\r\n')
    announced = re.search(r'\+CSIM: (\d+),"([0-9A-F]+)"', answer)
    assert announced is not None
    assert len(announced[2]) == int(announced[1])
    select = "01A4040010" + ISDR.hex().upper()
    assert '"6114"' in talk(engine, f'AT+CSIM={len(select)},"{select}"\r\n')
    assert talk(engine, 'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r\n') == "\r\nERROR\r\n"


def test_client_that_ends_with_cr_only_and_leaves_the_channel_to_the_modem() -> None:
    card = FakeCard()
    engine = engine_with(card)
    assert talk(engine, "AT\r") == "\r\nOK\r\n"
    sid = talk(engine, 'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r').split()[1]
    assert '"6115"' in talk(engine, f'AT+CGLA={sid},22,"80E2910006{GET_EID}"\r')
    assert EID_ANSWER.hex().upper() in talk(engine, f'AT+CGLA={sid},10,"80C0000015"\r')
    assert [apdu[0] for apdu in card.log[-2:]] == [0x81, 0x81]


def test_client_that_knows_only_ok_and_error_is_never_left_with_a_cme_error_by_default() -> None:
    engine = engine_with(FakeCard(channels=0))
    assert talk(engine, 'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r\n') == "\r\nERROR\r\n"


@pytest.mark.parametrize("init", ["ATE0V1+CMEE=1;+CREG=2", "ATE0V1Q0X4&C1", "ATZ", "AT&F", 'AT+CSCS="IRA"', "ats0=0"])
def test_init_lines_of_connection_managers_are_accepted(init: str) -> None:
    assert talk(engine_with(FakeCard()), init + "\r").endswith("\r\nOK\r\n")


def test_client_that_reads_and_sets_the_registers_of_the_line() -> None:
    engine = engine_with(FakeCard(), ModemOptions(echo=False))
    assert talk(engine, "ATS3?;S4?;S5?\r") == "\r\n013\r\n\r\n010\r\n\r\n008\r\n\r\nOK\r\n"
    assert talk(engine, "ATS0=1S0?\r") == "\r\n001\r\n\r\nOK\r\n"
    assert talk(engine, "ATS3=10\r") == "\n\nOK\n\n"  # the answer already ends with the new one
    assert talk(engine, "ATS3?\n") == "\n\n010\n\n\n\nOK\n\n"
    assert talk(engine, "AT\r\n") == "\n\nOK\n\n"
    assert talk(engine, "ATS3=13S4=32\n") == "\r OK\r "
    assert talk(engine, "AT&F\r") == "\r\nOK\r\n"
    assert talk(engine, "ATE0S5=127\r").endswith("OK\r\n")
    assert talk(engine, "ATX\x7f\r") == "\r\nOK\r\n"
    assert talk(engine, "ATS3=128\r") == talk(engine, "ATS99?\r") == "\r\nERROR\r\n"


@pytest.mark.parametrize("repeat", ["A/", "a/"])
def test_client_that_repeats_its_last_line_without_an_end(repeat: str) -> None:
    engine = engine_with(FakeCard(), ModemOptions(echo=False))
    assert talk(engine, repeat) == "\r\nOK\r\n"
    answer = talk(engine, "AT+CGMM\r")
    assert talk(engine, repeat) == talk(engine, repeat) == answer
    assert talk(engine, "\r") == ""
    assert talk(engine, "noise\r") == ""
    assert talk(engine, repeat) == answer
    assert talk(engine, "AT+CGMM;A/\r").endswith("ERROR\r\n")


def test_client_that_asks_what_the_modem_is_and_hangs_up() -> None:
    engine = engine_with(FakeCard(), ModemOptions(echo=False))
    assert talk(engine, "AT+GCAP\r") == "\r\n+GCAP: +CGSM\r\n\r\nOK\r\n"
    assert talk(engine, "ATH\r") == talk(engine, "ATH0\r") == "\r\nOK\r\n"


def test_client_that_finds_echo_by_sending_at() -> None:
    # It reads raw bytes after "AT\r\n" and takes len(command) bytes for the echo when the reply begins with them.
    engine = engine_with(FakeCard())
    outputs = engine.feed(b"AT\r\n")
    assert outputs == [Send(b"AT\r\r\nOK\r\n")]
    engine.feed(b"ATE0\r\n")
    assert engine.feed(b"AT\r\n") == [Send(b"\r\nOK\r\n")]


def test_card_that_hands_data_over_at_once_reaches_the_client_that_wants_it_so() -> None:
    card = FakeCard(inline=True)
    engine = engine_with(card)
    sid = talk(engine, 'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r').split()[1]
    assert EID_ANSWER.hex().upper() + "9000" in talk(engine, f'AT+CGLA={sid},22,"80E2910006{GET_EID}"\r')
