"""Whatever a host writes, the modem neither falls over nor grows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.lab.modem import AtEngine, ModemOptions, Send, personality
from ipad_agent.lab.modem.at.at_line import CommandSyntaxError, split_arguments, split_commands
from ipad_agent.lab.modem.line.baud_pace import PacedLine

from .lab_fakecard import ISDR, FakeCard

TEMPLATES = (
    b"AT\r",
    b"ATE1V0Q0\r\n",
    b"AT+CFUN=0\r",
    b"AT+CFUN=1\r",
    b"AT+CFUN=1,1\r",
    b'AT+CCHO="' + ISDR.hex().encode() + b'"\r',
    b'AT+CGLA=1,10,"80E2910000"\r',
    b'AT+CGLA=1,16,"80E2910003BF5100"\r',
    b'AT+CSIM=10,"0070000001"\r',
    b'AT+CSIM=10,"01C0000000"\r',
    b'AT+CSIM=8,"00A40004"\r',
    b'AT+CSIM=10,"8012000009"\r',
    b"AT+CRSM=176,12258,0,0,10\r",
    b"AT+CRSM=192,12258\r",
    b"AT+CRSM=178,12032,1,4,20,,3F00\r",
    b"AT+COPS=3,2;+COPS?\r",
    b"AT+CEREG=2;+CEREG?\r",
    b"ATS0=1;&F;+CMEE=2\r",
)

mutated = st.builds(
    lambda base, at, junk: base[: at % (len(base) + 1)] + junk + base[at % (len(base) + 1) :],
    st.sampled_from(TEMPLATES),
    st.integers(0, 80),
    st.binary(max_size=3),
)
chunks = st.lists(st.one_of(st.sampled_from(TEMPLATES), mutated, st.binary(max_size=64)), max_size=30)
names = st.sampled_from(["generic", "eg25", "eg916q", "sara-r5", "sim7600"])


@given(chunks=chunks, name=names, pause_s=st.floats(0, 3), slow=st.booleans(), echo=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_survived(chunks: list[bytes], name: str, pause_s: float, slow: bool, echo: bool) -> None:
    card = FakeCard()
    card.on_store_data = lambda apdu: card.enable("8988") if len(apdu) > 5 else b"\x90\x00"
    options = personality(name, answer_s=0.5 if slow else 0.0, echo=echo, cmee=1)
    engine = AtEngine(card, options)
    now_s = 0.0
    for chunk in chunks:
        engine.feed(chunk, now_s)
        now_s += pause_s
        engine.advance(now_s)
        assert engine.buffered_bytes <= options.max_line_bytes + 4096
    engine.advance(now_s + 100)
    engine.feed(b"\r\r\nATV1Q0E0\r\n", now_s + 101)
    engine.advance(now_s + 103)
    answer = b"".join(out.data for out in engine.feed(b"AT\r\n", now_s + 104) if isinstance(out, Send))
    answer += b"".join(out.data for out in engine.advance(now_s + 106) if isinstance(out, Send))
    assert answer == b"\r\nOK\r\n"


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_line_gives_commands_or_a_syntax_error(text: str) -> None:
    try:
        commands = split_commands("AT" + text)
    except CommandSyntaxError:
        return
    assert commands is not None
    for command in commands:
        split_arguments(command.text)


def test_a_flood_without_time_passing_stays_within_bounds() -> None:
    engine = AtEngine(FakeCard(), ModemOptions(answer_s=1.0, refresh="late"))
    line = PacedLine(engine, 9600)
    for _ in range(200):
        line.feed(b"AT+CFUN=0\rAT+CFUN=1\r" * 50, 0.0)
        engine.feed(b"A" * 4000 + b"AT+CFUN=0\rAT+CFUN=1\r", 0.0)
    assert engine.buffered_bytes <= 2048 + 4096
    assert line.buffered_bytes <= 2 * 65536


def test_the_record_of_commands_has_an_end() -> None:
    engine = AtEngine(FakeCard())
    engine.feed(b"AT+CSQ\r" * 1000)
    assert engine.command_count == 1000
    assert len(engine.commands) == 256
