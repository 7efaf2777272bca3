"""Which commands the module answers: each is sent once in the form in which the agent would use it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from ipad_agent.modem import commands
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.module_profile import ModuleProfile
from ipad_agent.modem.uicc.vendor_lpa import read_state
from ipad_agent.records import dataclass

DEADLINE_S: Final = 6.0
SHOWN: Final = 100
"""So many characters of an answer are kept."""
_STATE_CODES: Final = frozenset({5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 30, 31, 32, 256, 258, 262, 515})
"""+CME ERROR codes that tell of the card or the network, not of the command (3GPP TS 27.007 §9.2)."""


class Verdict(StrEnum):
    """How a command was answered."""

    WORKS = "works"
    REFUSED_NOW = "refused now"
    """With a code that tells of the card or the network: the command itself is known."""
    UNKNOWN = "not known"
    SILENT = "no answer"
    DAMAGED = "damaged answer"


@dataclass(frozen=True, slots=True)
class CommandRow:
    """``answer`` is the first line of the answer, or the final result that was not OK."""

    command: str
    verdict: Verdict
    answer: str
    took_ms: float

    @property
    def works(self) -> bool:
        return self.verdict is Verdict.WORKS


GENERAL: Final = (
    *("AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+CFUN?", "AT+CPIN?", "AT+CIMI"),
    *("AT+CSQ", "AT+CESQ", "AT+COPS?", "AT+CREG?", "AT+CGREG?", "AT+CEREG?", "AT+C5GREG?"),
    *("AT+CPSMS?", "AT+CEDRXS?", "AT+CUAD", "AT+CRSM=176,12258,0,0,10"),
)
ICCID: Final = ("AT+CCID", "AT+ICCID", "AT+QCCID", "AT+CICCID")
SIM_EVENTS: Final = ("AT+QSIMSTAT?", "AT+QSIMDET?", "AT+USIMSTAT?", "AT+UUSIMSTAT?", "AT+QSTK?", "AT+CUSATE?")
"""Settings of unsolicited results about the card, only read."""


def questions(profile: ModuleProfile) -> tuple[str, ...]:
    """What is asked of this module, each once."""
    own = [*profile.queries.iccid, *(f"AT+{name}?" for name in profile.queries.registration)]
    own += [text for text in (profile.slots.query, profile.vendor_lpa.query) if text is not None]
    return tuple(dict.fromkeys((*GENERAL, *ICCID, *SIM_EVENTS, *own)))


async def survey(link: ModemLink, texts: Iterable[str]) -> tuple[CommandRow, ...]:
    """Ask them one after the other; raises what ends the line (``PortLost``, ``LinkDead``, ``PortContention``)."""
    return tuple([await ask(link, text) for text in texts])


async def ask(link: ModemLink, text: str) -> CommandRow:
    """One of them."""
    began_s = asyncio.get_running_loop().time()
    try:
        # The answer to an ICCID command may bear another command's name.
        of_iccid = text in link.profile.queries.iccid or text in ICCID
        command = commands.iccid if of_iccid else commands.of_person
        lines = await link.run(command(text, deadline_s=DEADLINE_S))
        verdict, answer = Verdict.WORKS, lines[0] if lines else "OK"
    except CommandRefused as error:
        verdict = Verdict.REFUSED_NOW if error.cme in _STATE_CODES else Verdict.UNKNOWN
        answer = error.final
    except CommandTimeout:
        verdict, answer = Verdict.SILENT, ""
    except LineDamaged as error:
        verdict, answer = Verdict.DAMAGED, error.message
    took_ms = (asyncio.get_running_loop().time() - began_s) * 1000
    return CommandRow(text, verdict, _plain(answer)[:SHOWN], round(took_ms, 1))


def vendor_lpa_on(profile: ModuleProfile, rows: Iterable[CommandRow]) -> bool | None:
    """Whether the module says that the LPA in its firmware is on; None when it says nothing of one."""
    found = [row for row in rows if row.command == profile.vendor_lpa.query and row.works]
    return read_state([found[0].answer]) if found else None


def _plain(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text).strip()
