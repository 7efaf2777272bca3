from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.modem import commands
from ipad_agent.modem.at.at_parser import AtParser, Data, Result, ResultKind
from ipad_agent.modem.errors import LineDamaged


def test_commands_are_written_in_upper_case_and_quotes_with_the_length_in_digits() -> None:
    apdu = bytes.fromhex("80e2910006bf3e035c015a")
    assert commands.open_channel(bytes.fromhex("a0000005591010ffffffff8900000100"), deadline_s=1).text == (
        'AT+CCHO="A0000005591010FFFFFFFF8900000100"'
    )
    assert commands.generic_access("000000000385a7cf", apdu, deadline_s=1).text == (
        'AT+CGLA=000000000385a7cf,22,"80E2910006BF3E035C015A"'
    )
    assert commands.sim_access(apdu, deadline_s=1).text == 'AT+CSIM=22,"80E2910006BF3E035C015A"'
    assert commands.sim_access(apdu, deadline_s=1, quoted=False).text == "AT+CSIM=22,80E2910006BF3E035C015A"
    assert commands.close_channel("1465853795", deadline_s=1).text == "AT+CCHC=1465853795"


@pytest.mark.parametrize(
    ("line", "session_id"),
    [
        ("+CCHO: 1", "1"),
        ("+CCHO:1", "1"),
        ("1", "1"),
        ("+CCHO: 1465853795", "1465853795"),
        ("+CCHO: 000000000385a7cf", "000000000385a7cf"),
        ('+CCHO: "2"', "2"),
        ("000000000385a7cf", "000000000385a7cf"),
        ("+CCHO: 1,0", "1"),
        ('+CCHO: "2", "6F009000"', "2"),
    ],
)
def test_a_session_id_is_kept_as_it_came(line: str, session_id: str) -> None:
    assert commands.read_session_id([line]) == session_id


@pytest.mark.parametrize("lines", [[], ["1", "2"], ["+CCHO: "], ["+CCHO: ,2"], ['+CCHO: "'], ["+CCHO: 1;AT"]])
def test_what_is_no_session_id_is_never_guessed(lines: list[str]) -> None:
    with pytest.raises(LineDamaged):
        commands.read_session_id(lines)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ('+CGLA: 4,"9000"', "9000"),
        ('+CGLA:4,"611A"', "611A"),
        ("+CGLA: 4,9000", "9000"),
        ("+CGLA: 4 , 9000", "9000"),
        ('+CGLA: 1,4,"9000"', "9000"),
        ("+CGLA: 0,4,9000", "9000"),
        ('+CSIM: 8,"bf309000"', "BF309000"),
        ('+csim: 4,"9000"', "9000"),
    ],
)
def test_apdu_answers_are_read_in_all_spellings(line: str, answer: str) -> None:
    assert commands.read_apdu([line]) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    "lines",
    [
        ['+CGLA: 6,"9000"'],  # a digit was lost
        ['+CGLA: 4,"90000"'],
        ['+CGLA: 3,"900"'],
        ['+CGLA: 2,"90"'],  # no status word
        ['+CGLA: 0,""'],
        ['+CGLA: 4,"90G0"'],
        ["+CGLA: 4"],
        ["+CGLA: "],
        [],
        ['+CGLA: 4,"9000"', '+CGLA: 4,"6985"', '+CGLA: 4,"6A88"'],  # which of them?
        ['+CGLA: 8,"BF309000"', '+CGLA: 8,"BF319000"'],
        ['+CGLA: 6,"BF3E12"'],  # no status word begins with 3
        ['+CGLA: 12,"BF3E125A10"'],
        ['+CGLA: 99999999999999,"9000"'],
    ],
)
def test_a_damaged_apdu_answer_is_refused(lines: list[str]) -> None:
    with pytest.raises(LineDamaged):
        commands.read_apdu(lines)


@pytest.mark.parametrize(
    ("lines", "answer", "said"),
    [
        (['+CGLA: 2,"9000"'], "9000", "the length in octets"),
        (['+CGLA: 4,"9000"', '+CGLA: 4,"9000"'], "9000", "the same line twice"),
        (['+CSIM: 6,"BF3E00"', '+CSIM: 4,"9112"'], "BF3E009112", "the status word in a line of its own"),
    ],
)
def test_an_apdu_answer_in_an_odd_form_with_one_meaning_is_read_and_told(
    lines: list[str], answer: str, said: str
) -> None:
    told: list[str] = []
    assert commands.read_apdu(lines, on_oddity=told.append) == bytes.fromhex(answer)
    assert told == [said]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ('+CCHO: 1,"6F0384019000"', "6F038401"),
        ("+CCHO: 1,6F0384019112", "6F038401"),
        ('+CCHO: 1,"9000"', ""),
        ("+CCHO: 1", ""),
        ("+CCHO: 1,0", ""),
        ('+CCHO: 1,"6F03840100"', ""),
    ],
)
def test_the_answer_to_select_behind_a_session_id_is_kept(line: str, answer: str) -> None:
    assert commands.read_select_answer([line]).hex().upper() == answer


@given(st.lists(st.text(max_size=60), max_size=3))
def test_readers_raise_nothing_but_their_own_error(lines: list[str]) -> None:
    for reader in (commands.read_session_id, commands.read_apdu):
        with contextlib.suppress(LineDamaged):
            reader(lines)
    commands.read_iccid(lines)
    commands.read_ef_iccid(lines)
    commands.read_registration(lines)
    commands.read_plmn(lines)
    commands.read_technology(lines)
    commands.read_number(lines)
    commands.read_digits(lines, 14, 16)


@pytest.mark.parametrize(
    ("line", "iccid"),
    [
        ("+QCCID: 8949000000000000012F", "8949000000000000012"),
        ("+CCID: 89490000000000000128", "89490000000000000128"),
        ('+CCID: "89490000000000000128"', "89490000000000000128"),
        ("+ICCID: 894900000000000001FF", "894900000000000001"),
        ("89490000000000000128", "89490000000000000128"),
        ("^SCID: 89490000000000000128", "89490000000000000128"),
        ("+QCCID: 898600B5012345678901", "898600B5012345678901"),  # 898600B5…: in use in China
        ('+CCID: "898602b012345678901F"', "898602B012345678901"),
        ("898604B7012345678901", "898604B7012345678901"),
        ("+CCID: 98940000000000001082", "98940000000000001082"),  # as it is printed; ModemCardAccess turns it round
        ("+CCID: 989400000000001032F4", "0x8949000000000001234F"),
        ("+CCID: FFFFFFFFFFFFFFFFFFFF", None),
        ("+CCID: 89490000000000000128,89490000000000000136", None),  # two candidates: never guessed between
        ("+QCCID: 12", None),
    ],
)
def test_an_iccid_is_found_in_every_makers_answer(line: str, iccid: str | None) -> None:
    read = commands.read_iccid([line])
    assert (None if read is None else str(read)) == iccid


def test_the_iccid_file_is_read_with_its_nibbles_swapped() -> None:
    assert str(commands.read_ef_iccid(['+CRSM: 144,0,"98940000000000001082"'])) == "89490000000000000128"
    assert str(commands.read_ef_iccid(["+CRSM: 144,0,989400000000001032F4"])) == "8949000000000001234"
    assert str(commands.read_ef_iccid(['+CRSM: 144,0,"9868005B103254769810"'])) == "898600B5012345678901"
    assert str(commands.read_ef_iccid(['+CRSM: 144,0,"98F40000000000001082"'])) == "0x98F40000000000001082"
    assert commands.read_ef_iccid(["+CRSM: 106,130"]) is None
    assert commands.read_ef_iccid(['+CRSM: 144,0,"FFFFFFFFFFFFFFFFFFFF"']) is None


def test_registration_and_network_are_read() -> None:
    assert commands.read_registration(['+CEREG: 2,5,"00C3","0127A28B",7']) == 5
    assert commands.read_registration(["+CREG: 0,1"]) == 1
    assert commands.read_registration(["+CEREG: 0,90"]) == 90
    assert commands.read_plmn(['+COPS: 0,2,"26201",7']) == "26201"
    assert commands.read_plmn(['+COPS: 0,2,"310410"']) == "310410"
    assert commands.read_plmn(['+COPS: 0,0,"Some Network",7']) is None
    assert commands.read_plmn(["+COPS: 0"]) is None


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ('+COPS: 0,2,"26201",7', 7),
        ('+COPS: 0,0,"Net, the other",9', 9),
        ("+COPS: 0,2,26201,13", 13),
        ('+COPS: 0,2,"26201"', None),
        ("+COPS: 0", None),
        ("+COPS: 2", None),
    ],
)
def test_the_access_technology_is_read_behind_any_name_of_the_network(line: str, number: int | None) -> None:
    assert commands.read_technology([line]) == number


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result(ResultKind.CME, "+CME ERROR: 20", 20), 20),
        (Result(ResultKind.CME, "+CME ERROR: memory full"), 20),
        (Result(ResultKind.CME, "+CME ERROR: SIM busy"), 14),
        (Result(ResultKind.CME, "+CME ERROR: something else"), None),
        (Result(ResultKind.CMS, "+CMS ERROR: 20", 20), None),
        (Result(ResultKind.ERROR, "ERROR"), None),
    ],
)
def test_equipment_errors_are_understood_as_number_and_as_text(result: Result, code: int | None) -> None:
    assert commands.cme_code(result) == code


@pytest.mark.parametrize(
    ("name", "lines", "state"),
    [
        ("CREG", ["+CREG: 1, 5C9, 39E5", "+CREG: 0,1"], 1),
        ("CREG", ["+CREG: 2, 5C9, 39E5", "+CREG: 0,2"], 2),
        ("CREG", ["+CREG: 1, 59, 39E5", "+CREG: 0,1"], 1),  # a location code of two decimal digits
        ("CREG", ["+CREG: 1, 5, 39E5", "+CREG: 0,1"], 1),
        ("CREG", ["+CREG: 0,1", "+CREG: 5,5C9,39E5,7"], 1),
        ("CREG", ["+CREG: 2,1, 5C9, 39E5"], 1),
        ("CEREG", ['+CEREG: 5,"2AF5","0B88E350",7', '+CEREG: 2,5,"2AF5","0B88E350",7'], 5),
        ("CEREG", ['+CEREG: 4,,,,,,"11100000"', '+CEREG: 4,1,"81AE","03229B10",7,,,"11100000","11100000"'], 1),
        ("CREG", ["+CREG: 0,1", "+CREG: 0,1"], 1),
        ("CREG", ["+CREG: 0,1", "+CREG: 0,2"], None),  # both could be the answer
    ],
)
def test_a_registration_that_changes_meanwhile_is_not_taken_for_the_answer(
    name: str, lines: list[str], state: int | None
) -> None:
    command, parser = commands.registration(name), AtParser()
    parser.expect(command.expectation)
    said = b"".join(b"\r\n" + line.encode() + b"\r\n" for line in (*lines, "OK"))
    data = [event.text for event in parser.feed(said) if isinstance(event, Data)]
    assert commands.read_registration(data) == state
