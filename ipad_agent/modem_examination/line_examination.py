"""Whether a modem answers on the port, how the line was set, and the way back to those settings."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead
from ipad_agent.records import dataclass

from . import port_traffic
from .errors import NoModemAnswers
from .examined_port import ExaminedPort

TIMING: Final = LinkTiming(quiet_after_timeout_s=2.0, drain_limit_s=1.0, ping_s=0.7, pings=2)
FIRST_ANSWER_S: Final = 6.8
"""A port that did not answer AT in this time is no modem's, or one that hangs: a person waits in front of it."""
LISTEN_S: Final = 0.8
_DIAGNOSTIC_ANSWER_S: Final = 0.4
_CHARSET: Final = re.compile(r'\+CSCS\s*:\s*"?([A-Za-z0-9-]{2,12})"?')
_WHILE_LOST: Final = (CommandRefused, CommandTimeout, LineDamaged)


@dataclass(frozen=True, slots=True)
class LineFacts:
    """How the line was before it was examined: ``echo`` of commands, AT+CMEE and AT+CSCS (None when not told)."""

    echo: bool
    error_reports: int | None
    character_set: str | None


async def find_modem(port: ExaminedPort) -> LineFacts:
    """Listen, then ask AT. Raises ``NoModemAnswers`` within ten seconds, or an error of the port."""
    silence = await port.listen(LISTEN_S)
    seems = port_traffic.judge(silence, b"", b"") if silence else None
    if seems is not None and seems.kind in ("gnss", "diagnostic", "ppp"):
        raise _no_modem(port, seems)
    session = AtSession(port, timing=TIMING)
    try:
        async with asyncio.timeout(FIRST_ANSWER_S):
            await session.resync()
    except (LinkDead, TimeoutError):
        with contextlib.suppress(ModemError, TimeoutError):
            async with asyncio.timeout(_DIAGNOSTIC_ANSWER_S):
                await port.write_raw(port_traffic.DIAG_QUESTION)
        await asyncio.sleep(_DIAGNOSTIC_ANSWER_S)
        answer = bytes(port.received[len(silence) :])
        raise _no_modem(port, port_traffic.judge(silence, answer, bytes(port.sent))) from None
    echo = echoed(port)
    reports = commands.read_number(await _ask(session, "AT+CMEE?", "+CMEE"))
    charset = [_CHARSET.match(line) for line in await _ask(session, "AT+CSCS?", "+CSCS")]
    return LineFacts(echo, reports, charset[0][1] if charset and charset[0] else None)


def echoed(port: ExaminedPort) -> bool:
    """Whether a modem answered, and its first answers had the question in front."""
    return b"AT\r" in port.received and b"OK" in port.received


async def put_back_early(port: ExaminedPort) -> None:
    """After an interruption while the line was brought into step, which switches the echo off."""
    if echoed(port):
        session = AtSession(port, timing=TIMING)
        await session.resync()
        await put_back(session, LineFacts(True, None, None))


async def put_back(session: AtSession, facts: LineFacts) -> None:
    """The settings that were found; the rest of the line's settings are what every modem starts with."""
    texts = []
    if facts.character_set not in (None, "IRA"):
        texts.append(f'AT+CSCS="{facts.character_set}"')
    if facts.error_reports not in (None, 1):
        texts.append(f"AT+CMEE={facts.error_reports}")
    if facts.echo:
        texts.append("ATE1")
    for text in texts:
        with contextlib.suppress(*_WHILE_LOST):
            await session.run(commands.plain(text))


async def _ask(session: AtSession, text: str, prefix: str) -> tuple[str, ...]:
    try:
        return await session.run(commands.query(text, prefix, deadline_s=3.0))
    except _WHILE_LOST:
        return ()


def _no_modem(port: ExaminedPort, seems: port_traffic.Seems) -> NoModemAnswers:
    message = f"No modem answers on {port.description}. {seems.sentence}"
    return NoModemAnswers(message, seems=seems.kind, hint=seems.fix)
