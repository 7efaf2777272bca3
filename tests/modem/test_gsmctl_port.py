"""AT commands through a program, with a shell script in the place of RutOS' gsmctl; every wait is for an event."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, PortLost, PortUnavailable
from ipad_agent.modem.port.gsmctl_port import GsmctlOpener, answer_of

SCRIPT = """#!/bin/sh
[ "$1" = -A ] || exit 9
echo "$2" >>"$0.log"
case $2 in
AT) echo OK ;;
AT+CGMI) printf 'Quectel\\r\\n\\r\\nOK\\r\\n' ;;
AT+CGMM) echo EG25 ;;
AT+CGLA*) echo '+CGLA: 4,"9000"' ;;
AT+CPIN?) echo '+CME ERROR: 10' ;;
AT+COPS?) echo 'no such modem' >&2; exit 1 ;;
AT+CSQ) exec sleep 600 ;;
esac
"""


@pytest.fixture
def gsmctl(tmp_path: Path) -> Path:
    path = tmp_path / "gsmctl"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


def said_to(gsmctl: Path) -> list[str]:
    return Path(f"{gsmctl}.log").read_text().splitlines()


async def session_of(gsmctl: Path) -> AtSession:
    return AtSession(await GsmctlOpener(str(gsmctl)).open(), timing=LinkTiming())


async def test_commands_go_one_by_one_through_the_program_without_a_shell(gsmctl: Path) -> None:
    session = await session_of(gsmctl)
    await session.resync()
    assert await session.run(commands.text_query("AT+CGMI")) == ("Quectel",)
    assert await session.run(commands.text_query("AT+CGMM")) == ("EG25",)  # no final result is an OK
    await session.run(commands.plain('AT+X="$(reboot) \'"'))
    await session.close()
    assert said_to(gsmctl)[-1] == 'AT+X="$(reboot) \'"'


async def test_an_error_of_the_modem_and_one_of_the_program_refuse_the_command(gsmctl: Path) -> None:
    session = await session_of(gsmctl)
    with pytest.raises(CommandRefused) as caught:
        await session.run(commands.SIM_STATE)
    assert caught.value.cme == 10
    with pytest.raises(CommandRefused):
        await session.run(commands.text_query("AT+COPS?"))
    await session.close()


async def test_a_program_that_hangs_ends_with_the_port(gsmctl: Path) -> None:
    session = await session_of(gsmctl)
    with pytest.raises(CommandTimeout):
        await session.run(commands.text_query("AT+CSQ"), deadline_s=0.3)
    await asyncio.wait_for(session.close(), 60)


async def test_without_the_program_the_hint_says_where_it_belongs() -> None:
    with pytest.raises(PortUnavailable) as caught:
        await GsmctlOpener("no-such-gsmctl").open()
    assert caught.value.hint is not None
    assert "RutOS" in caught.value.hint


async def test_a_closed_port_takes_nothing(gsmctl: Path) -> None:
    stream = await GsmctlOpener(str(gsmctl)).open()
    with pytest.raises(PortLost):
        await stream.write(b"AT\r")


@pytest.mark.parametrize(
    ("out", "failed", "answer"),
    [
        (b"", False, b"\r\nOK\r\n"),
        (b"", True, b"\r\nERROR\r\n"),
        (b"OK\n", False, b"\r\nOK\r\n"),
        (b'+CSIM: 4,"9000"\n\nOK\n', False, b'\r\n+CSIM: 4,"9000"\r\nOK\r\n'),
        (b"+CME ERROR: 13\n", True, b"\r\n+CME ERROR: 13\r\n"),
        (b"Timeout\n", True, b"\r\nTimeout\r\nERROR\r\n"),
    ],
)
def test_every_output_becomes_an_answer_with_a_final_result(out: bytes, failed: bool, answer: bytes) -> None:
    assert answer_of(out, failed=failed) == answer
