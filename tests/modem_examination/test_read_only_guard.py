"""Nothing but questions goes out, whoever asks for it."""

from __future__ import annotations

import asyncio

import pytest

from ipad_agent.lab.modem import ModemOptions
from ipad_agent.modem_examination.errors import WouldChange
from ipad_agent.modem_examination.examined_port import ExaminedPort
from ipad_agent.modem_examination.read_only_guard import ReadOnlyGuard

from .stand import Line, M2mCard

REFUSED = (
    *("AT+CFUN=0", "AT+CFUN=1,1", "AT+COPS=?", "AT+COPS=2", 'AT+CGDCONT=1,"IP","x"', "AT+QUIMSLOT=2", "AT&W", "ATZ"),
    *('AT+QESIM="lpa_enable",0', 'AT+CPIN="1234"', "AT+CRSM=214,12258,0,0,10,00", "AT+IPR=9600", "ATD112", "AT+CMUX=0"),
    *('AT+CGLA=1,22,"80E2910006BF3103800101"', 'AT+CGLA=1,20,"80E2910005BF33028000"', 'AT+CSIM=10,"0020000100"'),
    *('AT+CSIM=14,"00D6000001FF00"', 'AT+CSIM=14,"00A40000023F00"', 'AT+QCFG="usbnet",1', "AT+CSQ;+CFUN=0"),
    *('AT+CGLA=1,24,"81E2910007BF5D0480020100"', 'AT+CGLA=1,14,"80E2910002BF64"', "AT+CMEE=9", "AT E0 Z"),
)
ALLOWED = (
    *("AT", "ATE0V1", "ATE1", "AT+CMEE=1", 'AT+CSCS="IRA"', "AT+CSQ", "AT+CREG?", "AT+CPIN?", "AT+CGMR", "AT+CUAD"),
    *(
        'AT+CCHO="A0000005591010FFFFFFFF8900000100"',
        "AT+CCHC=1",
        "AT+CCHC=000000000385a7cf",
        "AT+CRSM=176,12258,0,0,10",
    ),
    *('AT+CGLA=1,22,"80E2910006BF3E035C015A"', 'AT+CSIM=10,"0070000001"', 'AT+CSIM=10,"0070800100"', "+++", ""),
    *('AT+CSIM=42,"01A4040010A0000005591010FFFFFFFF8900000100"', 'AT+CGLA=1,10,"80C0000000"'),
)


@pytest.mark.parametrize("text", REFUSED)
def test_what_changes_something_is_not_sent(text: str) -> None:
    with pytest.raises(WouldChange):
        ReadOnlyGuard().check(text.encode() + b"\r")


@pytest.mark.parametrize("text", ALLOWED)
def test_questions_go_through(text: str) -> None:
    ReadOnlyGuard().check(text.encode() + b"\r")


def test_a_switch_needs_consent_and_so_does_the_reset_after_it() -> None:
    guard = ReadOnlyGuard()
    order = b'AT+CGLA=1,20,"80E2910005BF5D028000"\r'
    guard.resets = frozenset({"AT+CFUN=0"})
    for data in (order, b"AT+CFUN=0\r"):
        with pytest.raises(WouldChange):
            guard.check(data)
    guard.switching = True
    guard.check(order)
    guard.check(b"AT+CFUN=0\r")
    with pytest.raises(WouldChange):
        guard.check(b"AT+CFUN=1,1\r")


def test_the_port_asks_the_guard_before_a_byte_goes_out() -> None:
    async def story() -> None:
        line = Line(M2mCard(), ModemOptions())
        port = await ExaminedPort(line, ReadOnlyGuard()).open()
        with pytest.raises(WouldChange):
            await port.write(b"AT+CFUN=0\r")
        assert line.sent == b""

    asyncio.run(story())
