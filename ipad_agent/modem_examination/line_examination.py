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

# A person waits in front of it, and is to know within ten seconds that this port is no modem's, on a small and busy
# gateway too, where the program alone takes seconds to start. So the waiting has to stay near six:
#
#   0.8 s  LISTEN_S: positions and logs come by themselves
#   0.3 s  silence, and an end for what was typed half
#   1.0 s  two AT
#   0.6 s  the silence that the escape sequence of data mode wants, as far as it was not waited for already
#   1.1 s  +++ and the silence behind it
#   1.0 s  two AT
#   1.0 s  two AT with a line feed
#   0.4 s  _DIAGNOSTIC_ANSWER_S: the question of the diagnostic protocol
#
# A modem that wakes up has from the first AT to the end of this, 5 s, for its first word. A slow one is not judged by
# its silence: whatever has said OK or ERROR once gets all the time that the agent itself would give it (PATIENT).
TIMING: Final = LinkTiming(quiet_after_timeout_s=2.0, drain_limit_s=1.0, ping_s=0.5, pings=2)
PATIENT: Final = LinkTiming(ping_s=3.0)
FIRST_ANSWER_S: Final = 5.2
"""A port that did not say a word to AT in this time is no modem's, or one that hangs."""
LISTEN_S: Final = 0.8
_DIAGNOSTIC_ANSWER_S: Final = 0.4
_WORD: Final = re.compile(rb"(?:^|[\r\n])(?:OK|ERROR|\+CM[ES] ERROR[^\r\n]*)[\r\n]", re.IGNORECASE)
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
    port.timing = TIMING
    session = AtSession(port, timing=TIMING)
    try:
        async with asyncio.timeout(FIRST_ANSWER_S):
            await session.resync()
    except (LinkDead, TimeoutError):
        if not _WORD.search(port.received):
            with contextlib.suppress(ModemError, TimeoutError):
                async with asyncio.timeout(_DIAGNOSTIC_ANSWER_S):
                    await port.write_raw(port_traffic.DIAG_QUESTION)
            await asyncio.sleep(_DIAGNOSTIC_ANSWER_S)
        session = await _in_its_own_time(port, silence)
    echo = echoed(port)
    reports = commands.read_number(await _ask(session, "AT+CMEE?", "+CMEE"))
    charset = [_CHARSET.match(line) for line in await _ask(session, "AT+CSCS?", "+CSCS")]
    return LineFacts(echo, reports, charset[0][1] if charset and charset[0] else None)


async def _in_its_own_time(port: ExaminedPort, silence: bytes) -> AtSession:
    """A modem that has said a word, if only a late one, is one; raises ``NoModemAnswers`` for what has not."""
    if _WORD.search(port.received):
        port.timing = PATIENT
        session = AtSession(port, timing=PATIENT)
        with contextlib.suppress(LinkDead):
            await session.resync()
            return session
    answer = bytes(port.received[len(silence) :])
    raise _no_modem(port, port_traffic.judge(silence, answer, bytes(port.sent)))


def echoed(port: ExaminedPort) -> bool:
    """Whether a modem answered, and its first answers had the question in front."""
    return b"AT\r" in port.received and b"OK" in port.received


async def put_back_early(port: ExaminedPort) -> None:
    """After an interruption while the line was brought into step, which switches the echo off."""
    if echoed(port):
        session = AtSession(port, timing=port.timing)
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
