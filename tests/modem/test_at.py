from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.modem import commands
from ipad_agent.modem.at.at_parser import (
    MAX_LINE_BYTES,
    AtEvent,
    AtParser,
    Data,
    Echo,
    Expectation,
    Foreign,
    Late,
    Overlong,
    Prompt,
    Result,
    ResultKind,
    Unclassified,
    Urc,
)

AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
CCHO = commands.open_channel(AID, deadline_s=30).expectation
CGLA = commands.generic_access("1", bytes.fromhex("80E2910006BF3E035C015A"), deadline_s=60).expectation
CSIM = commands.sim_access(bytes.fromhex("0070000001"), deadline_s=60).expectation
OK = Result(ResultKind.OK, "OK")


def feed(data: bytes, expectation: Expectation | None = None, *, before: tuple[Expectation, ...] = ()) -> list[AtEvent]:
    parser = AtParser()
    for earlier in before:
        parser.expect(earlier)
        parser.expect(None)
    parser.expect(expectation)
    return parser.feed(data)


# Exchanges as modems of several makers print them: echo on and off, one blank or none, unsolicited results between.
RECORDED: list[tuple[str, Expectation, bytes, list[AtEvent]]] = [
    ("ccho", CCHO, b"\r\n+CCHO: 1\r\n\r\nOK\r\n", [Data("+CCHO: 1"), OK]),
    ("ccho bare", CCHO, b"\r\n1\r\n\r\nOK\r\n", [Data("1"), OK]),
    (
        "ccho echoed",
        CCHO,
        b'AT+CCHO="A0000005591010FFFFFFFF8900000100"\r\r\n+CCHO: 2\r\n\r\nOK\r\n',
        [Echo('AT+CCHO="A0000005591010FFFFFFFF8900000100"'), Data("+CCHO: 2"), OK],
    ),
    (
        "cgla with a registration in the middle",
        CGLA,
        b'\r\n+CEREG: 5\r\n\r\n+CGLA: 4,"611A"\r\n\r\n+QUSIM: 1\r\n\r\nOK\r\n',
        [Urc("+CEREG: 5"), Data('+CGLA: 4,"611A"'), Urc("+QUSIM: 1"), OK],
    ),
    ("cgla without blank", CGLA, b'\r\n+CGLA:4,"611A"\r\n\r\nOK\r\n', [Data('+CGLA:4,"611A"'), OK]),
    (
        "csim v0",
        CSIM,
        b'+CSIM: 6,"019000"\r\n0\r',
        [Data('+CSIM: 6,"019000"'), Result(ResultKind.OK, "0")],
    ),
    ("nuls and noise", CSIM, b'\0\0\xff\xfe\r\n+CSIM: 6,\0"019000"\r\nOK\r\n', [Data('+CSIM: 6,"019000"'), OK]),
    (
        "boot in the middle",
        CGLA,
        b"\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nERROR\r\n",
        [Urc("RDY"), Urc("+CFUN: 1"), Urc("+CPIN: READY"), Result(ResultKind.ERROR, "ERROR")],
    ),
]


@pytest.mark.parametrize(("expectation", "data", "events"), [r[1:] for r in RECORDED], ids=[r[0] for r in RECORDED])
def test_recorded_exchange_is_read(expectation: Expectation, data: bytes, events: list[AtEvent]) -> None:
    assert feed(data, expectation) == events


@given(st.sampled_from(RECORDED), st.data())
def test_the_same_bytes_give_the_same_events_however_they_are_split(
    recorded: tuple[str, Expectation, bytes, list[AtEvent]], data: st.DataObject
) -> None:
    _, expectation, received, events = recorded
    cuts = sorted(data.draw(st.lists(st.integers(0, len(received)), max_size=12)))
    parser = AtParser()
    parser.expect(expectation)
    found: list[AtEvent] = []
    for start, end in zip([0, *cuts], [*cuts, len(received)], strict=True):
        found += parser.feed(received[start:end])
    assert found == events


@pytest.mark.parametrize(("expectation", "data", "events"), [r[1:] for r in RECORDED], ids=[r[0] for r in RECORDED])
def test_byte_by_byte_is_no_different(expectation: Expectation, data: bytes, events: list[AtEvent]) -> None:
    parser = AtParser()
    parser.expect(expectation)
    assert [event for byte in data for event in parser.feed(bytes([byte]))] == events


@pytest.mark.parametrize(
    ("line", "kind", "code"),
    [
        (b"OK", ResultKind.OK, None),
        (b"ERROR", ResultKind.ERROR, None),
        (b"+CME ERROR: 13", ResultKind.CME, 13),
        (b"+CME ERROR:13", ResultKind.CME, 13),
        (b"+CME ERROR: SIM failure", ResultKind.CME, None),
        (b"+cme error: 100", ResultKind.CME, 100),
        (b"+CME ERROR", ResultKind.CME, None),
        (b"+CMS ERROR: 500", ResultKind.CMS, 500),
        (b"COMMAND NOT SUPPORT", ResultKind.NOT_SUPPORTED, None),
        (b"COMMAND NOT SUPPORTED", ResultKind.NOT_SUPPORTED, None),
        (b"NO CARRIER", ResultKind.NO_CARRIER, None),
        (b"NA", ResultKind.NA, None),
    ],
)
def test_every_final_result_ends_the_command(line: bytes, kind: ResultKind, code: int | None) -> None:
    (event,) = feed(b"\r\n" + line + b"\r\n", CGLA)
    assert isinstance(event, Result)
    assert (event.kind, event.code) == (kind, code)


def test_lookalikes_of_final_results_are_no_final_results() -> None:
    for line in (b"OKAY", b"ERRORS", b"OK OK", b"NAN", b"+CME ERRORS: 1"):
        assert not any(isinstance(event, Result) for event in feed(b"\r\n" + line + b"\r\n", CGLA))


def test_a_digit_is_a_final_result_only_for_commands_without_bare_answers() -> None:
    assert feed(b"4\r", CSIM) == [Result(ResultKind.ERROR, "4")]
    assert feed(b"4\r", CCHO) == [Data("4")]
    assert feed(b"4\r") == [Unclassified("4")]


def test_a_final_result_ends_the_expectation_within_the_same_bytes() -> None:
    events = feed(b'\r\nOK\r\n\r\n+CGLA: 4,"9000"\r\n', CGLA)
    assert events == [OK, Late('+CGLA: 4,"9000"')]


def test_no_carrier_while_nothing_runs_is_no_result() -> None:
    assert feed(b"\r\nNO CARRIER\r\n") == [Unclassified("NO CARRIER")]


@pytest.mark.parametrize(
    "damaged",
    [
        b'T+CGLA=1,22,"80E2910006BF3E035C015A"',
        b'+CGLA=1,22,"80E2910006BF3E035C015A"',
        b'AT+CGLA=1,22,"80E291BF3E035C015A"',
        b'AT+CCHC=1AT+CGLA=1,22,"80E2910006BF3E035C015A"',
        b'06BF3E035C015A"',
    ],
)
def test_a_damaged_echo_is_echo_and_no_answer(damaged: bytes) -> None:
    events = feed(damaged + b'\r\r\n+CGLA: 4,"9000"\r\n\r\nOK\r\n', CGLA)
    assert events == [Echo(damaged.decode(), damaged=True), Data('+CGLA: 4,"9000"'), OK]


def test_an_answer_to_a_command_of_another_program_is_foreign() -> None:
    assert feed(b"\r\n+QGPS: (1-4),(0-255)\r\n\r\nOK\r\n", CGLA)[0] == Foreign("+QGPS: (1-4),(0-255)")
    assert feed(b"AT+QGPS=?\r\r\nOK\r\n", CGLA)[0] == Foreign("AT+QGPS=?")


def test_an_answer_to_our_own_earlier_command_is_late_and_not_foreign() -> None:
    csim = b'\r\n+CSIM: 4,"9000"\r\n'
    assert feed(csim, CGLA, before=(CSIM,)) == [Late('+CSIM: 4,"9000"')]
    assert feed(csim, CGLA) == [Foreign('+CSIM: 4,"9000"')]


def test_a_registration_report_is_not_taken_for_the_answer_to_the_question() -> None:
    question = commands.registration("CEREG").expectation
    assert feed(b'\r\n+CEREG: 5,"00C3","0127A28B",7\r\n\r\n+CEREG: 2,1,"00C3"\r\n\r\nOK\r\n', question) == [
        Urc('+CEREG: 5,"00C3","0127A28B",7'),
        Data('+CEREG: 2,1,"00C3"'),
        OK,
    ]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b'+CEREG: 1+CGLA: 4,"9000"\r\n', [Urc("+CEREG: 1"), Data('+CGLA: 4,"9000"')]),
        (b'+CGLA: 4,"9000"+CEREG: 1\r\n', [Data('+CGLA: 4,"9000"'), Urc("+CEREG: 1")]),
        (b'+CGLA: 8,"BF30\r\n+CEREG: 1\r\n9000"\r\n', [Urc("+CEREG: 1"), Data('+CGLA: 8,"BF309000"')]),
        (b'RING+CGLA: 4,"9000"^RSSI: 5\r\n', [Urc("RING"), Data('+CGLA: 4,"9000"'), Urc("^RSSI: 5")]),
    ],
)
def test_an_unsolicited_result_that_sticks_to_an_answer_does_not_hide_it(line: bytes, parts: list[AtEvent]) -> None:
    parser = AtParser()
    parser.expect(Expectation('AT+CGLA=1,4,"9000"', re.compile(r"\+CGLA\s*:")))
    assert parser.feed(line) == parts


def test_an_answer_that_is_never_completed_ends_with_the_result_and_harms_no_later_one() -> None:
    parser = AtParser()
    expectation = Expectation('AT+CGLA=1,4,"9000"', re.compile(r"\+CGLA\s*:"))
    parser.expect(expectation)
    [result] = parser.feed(b'+CGLA: 8,"BF30\r\nOK\r\n')
    assert isinstance(result, Result)
    parser.expect(expectation)
    assert parser.feed(b'+CGLA: 4,"9000"\r\n') == [Data('+CGLA: 4,"9000"')]


def test_the_prompt_is_seen_although_no_line_end_follows() -> None:
    assert feed(b"\r\n> ", CGLA) == [Prompt()]
    parser = AtParser()
    assert parser.feed(b"\r\n>") == []
    assert parser.feed(b" ") == [Prompt()]


@pytest.mark.parametrize(
    ("pieces", "prompts", "others"),
    [([b"> "], 1, 0), ([b">", b" > ab\r\n"], 2, 1), ([b"> > > x\r\n"], 3, 1), ([b"a> \r\n"], 0, 1)],
)
def test_a_prompt_is_a_prompt_in_whatever_pieces_it_comes(pieces: list[bytes], prompts: int, others: int) -> None:
    parser = AtParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert events[:prompts] == [Prompt()] * prompts
    assert len(events) == prompts + others
    assert Prompt() not in events[prompts:]


def test_the_longest_answer_of_a_card_fits_into_one_line() -> None:
    whole = b"5A" * 0x10000 + b"9000"
    line = b'+CSIM: %d,"%s"' % (len(whole), whole)
    assert feed(b"\r\n" + line + b"\r\n\r\nOK\r\n", CSIM) == [Data(line.decode()), OK]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    parser = AtParser()
    assert parser.feed(b"x" * (MAX_LINE_BYTES * 3)) == []
    assert parser.feed(b"\r\nOK\r\n") == [Overlong(), OK]
    assert parser.stats.overlong_lines == 1


def test_noise_is_dropped_and_counted() -> None:
    parser = AtParser()
    parser.feed(b"\0\0\x80\xff\x11\r\nOK\r\n")
    assert (parser.stats.nul_bytes, parser.stats.garbage_bytes) == (2, 3)


@given(st.binary(max_size=400), st.sampled_from([None, CCHO, CGLA, CSIM]))
def test_nothing_a_modem_sends_raises(data: bytes, expectation: Expectation | None) -> None:
    feed(data, expectation)


@given(st.sampled_from(RECORDED), st.data())
def test_a_mutated_exchange_raises_nothing_and_still_finds_a_later_ok(
    recorded: tuple[str, Expectation, bytes, list[AtEvent]], data: st.DataObject
) -> None:
    received = bytearray(recorded[2])
    for _ in range(data.draw(st.integers(1, 4))):
        received[data.draw(st.integers(0, len(received) - 1))] = data.draw(st.integers(0, 255))
    parser = AtParser()
    parser.expect(recorded[1])
    parser.feed(bytes(received))
    parser.expect(commands.ping().expectation)
    assert parser.feed(b"\r\r\nOK\r\n")[-1] == OK
