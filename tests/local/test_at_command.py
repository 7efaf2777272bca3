"""What of a person's AT commands is a question, what may change something, and what is never sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.local.at_command import Risk, examine


def risk_of(text: str) -> Risk:
    found = examine(text)
    assert found is not None
    return found.risk


@pytest.mark.parametrize(
    "text",
    [
        *("AT", "at", "ATI", "ATI7", "AT&V", "AT+CSQ", "at+csq", " AT+CSQ ", "AT+CEREG?", "AT+CFUN?", "AT+CFUN=?"),
        *("AT^HCSQ?", "AT#RFSTS?", "AT+CCHO=?", "AT+CSIM=?", "AT+CGDCONT?", "AT+CSQ;+CEREG?", "ATI;+CSQ", "AT$QCRSRP?"),
        *('AT+QENG="servingcell"', "AT+CGPADDR=1", "AT+CGCONTRDP=1", "AT+CPIN?", "AT+CGSN=1"),
    ],
)
def test_a_question_goes_through(text: str) -> None:
    assert risk_of(text) is Risk.NONE


@pytest.mark.parametrize(
    "text",
    [
        *("AT+CFUN=0", "AT+CFUN=1,1", "AT&F", "ATZ", "AT+QPOWD", "AT+QPOWD=1", "AT+CPWROFF", "AT^RESET", "AT!RESET"),
        *("AT#SHDN", "AT+QPRTPARA=3", "AT%RESTFACT", 'AT+CPIN="1234"', "AT+COPS=2", "AT+COPS=?", "AT+CGATT=0", "ATH"),
        *("AT+CSQ;+CFUN=0", "ATI+CFUN=0", "AT+CEREG?;+CFUN=0", "AT I +CFUN = 0", "AT+CSQ?;&F", "AT+UNKNOWN", "AT(x)"),
        *('AT+CGDCONT=1,"IP","a;b"', 'AT+QENG="servingcell";+CFUN=0', 'AT+QCFG="usbcfg",0x2C7C', "AT&W", "ATX1"),
        *("AT@TEST=1", "AT+NV=1", 'AT+QNWCFG="up/down";+QRST=1,0', 'AT+CLCK="SC",1,"1234"'),
    ],
)
def test_what_may_change_the_modem_needs_force(text: str) -> None:
    assert risk_of(text) is Risk.CHANGES


@pytest.mark.parametrize(
    "text",
    [
        *('AT+CCHO="A0000005591010FFFFFFFF8900000100"', 'AT+CGLA=1,10,"80E2910006"', 'AT+CSIM=10,"0070000001"'),
        *(
            "AT+CCHC=1",
            "AT+CRSM=214,28423,0,0,9",
            'AT+QESIM="enable"',
            "AT+CMUX=0",
            "ATD*99#",
            "ATDT+CSQ",
            "ATO",
            "ATA",
        ),
        *("ATE1", "ATV0", "ATQ1", "ATS3=13", "ATS3", "AT+IPR=9600", "AT+ICF=3,3", "AT+IFC=2,2", "AT+CMGS=20", "AT\\Q0"),
        *("AT+CSQ;+CCHC=1", "ATIE1", 'AT+CFUN=0;+CSIM=2,"00"', "ATE0V0", 'at + csim = 10,"0070000001"', "ATI;D1"),
    ],
)
def test_what_takes_card_or_line_away_is_never_sent(text: str) -> None:
    assert risk_of(text) is Risk.NEVER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "A",
        "+CSQ",
        "AT+CSQ\rAT+CFUN=0",
        "AT+CSQ\x1a",
        'AT+CMGS="\u00e4"',
        'AT+X="',
        "+++",
        "AT" + "1" * 300,
    ],
)
def test_what_is_no_command_of_one_line_is_none(text: str) -> None:
    assert examine(text) is None


def test_values_are_not_shown() -> None:
    found = examine('AT+CPIN="1234";+CSQ;+COPS=?;+CPWD="SC","1","2"')
    assert found is not None
    assert found.shown == "AT+CPIN=…;+CSQ;+COPS=?;+CPWD=…"


@given(st.text(alphabet='AT+&\\;="?,0123 CFUNSIMGLHOEVQDZ#^%', max_size=40))
def test_nothing_dangerous_hides_behind_anything_in_the_line(before: str) -> None:
    changes, never = examine(f"AT+CSQ;{before};+CFUN=0"), examine(f"AT+CSQ;{before};+CSIM=2")
    assert (changes is None) == (never is None) == (before.count('"') % 2 == 1)
    if changes is not None and never is not None:
        assert changes.risk is not Risk.NONE
        assert never.risk is Risk.NEVER


@pytest.mark.parametrize("text", ["AT+CSQ;;+CFUN=0", "AT+CSQ;(+CSQ", "AT+CSQ,1"])
def test_what_is_written_in_no_known_way_is_no_question(text: str) -> None:
    assert risk_of(text) is Risk.CHANGES
