"""What a person may send to the modem with ``ipactl at``: told by the command alone, before anything is sent.

Questions go through. What changes the modem needs ``force``. What takes the line, the card or its profiles away from
the agent is never sent: the card's channels belong to the agent, and profiles to their eIM. A list of what is dangerous
would never be complete, because every maker adds commands; so it is the questions that are listed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from ipad_agent.printable import is_printable
from ipad_agent.records import dataclass

LONGEST: Final = 256
LONGEST_WAIT_S: Final = 180.0

_QUOTED: Final = re.compile(r'"[^"]*"')
_EXTENDED: Final = re.compile(r"([+^%#$!*@][A-Z0-9_]+)(=\?|\?|=[^;]*)?;?")
_BASIC: Final = re.compile(r"(S\d+|[&\\]?[A-Z])(=\?|\?|=\d*|\d*);?")
_ANSWERED_BY_NAME: Final = frozenset(
    {
        *("+CSQ", "+CESQ", "+CGMI", "+CGMM", "+CGMR", "+CGSN", "+GMI", "+GMM", "+GMR", "+GSN", "+CIMI", "+CCID"),
        *("+QCCID", "+ICCID", "+CICCID", "+CNUM", "+GCAP", "+CPAS", "+CEER", "+CBC", "+QNWINFO", "+QCSQ", "+QSPN"),
    }
)
"""Questions without a question mark."""
_ASKING: Final = frozenset({"+CGSN", "+CGPADDR", "+CGCONTRDP", "+CGSCONTRDP", "+QENG", "+QNWCFG"})
"""Commands whose parameters only choose what is asked, as far as these begin like ``_CHOICES``."""
_CHOICES: Final = re.compile(r'=(\d+|"(SERVINGCELL|NEIGHBOURCELL|LTE_CSI|NR5G_CSI|UP/DOWN)")')
_BASIC_QUESTIONS: Final = frozenset({"I", "&V"})
_OF_THE_CARD: Final = frozenset({"+CSIM", "+CRSM", "+CGLA", "+CRLA", "+CCHO", "+CCHC", "+QESIM", "+QLPA", "+CPWD"})
_OF_THE_LINE: Final = frozenset(
    {"+CMUX", "+CGDATA", "+IPR", "+ICF", "+IFC", "+CMGS", "+CMGW", "+CMGC", "D", "A", "O", "E", "V", "Q", "&K", "\\Q"}
)
_SCAN: Final = "+COPS"


class Risk(StrEnum):
    """What sending it may do."""

    NONE = "none"
    CHANGES = "changes"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class AtCommand:
    """``text`` as it is sent; ``shown`` without its values, which may be a PIN or a number: for the log. ``why``: a
    sentence where there is a risk."""

    text: str
    shown: str
    risk: Risk
    why: str = ""


def examine(text: str) -> AtCommand | None:
    """The command; None when it is none, or more than one line."""
    text = text.strip()
    plain = _QUOTED.sub('""', text)
    if len(text) > LONGEST or not text.isascii() or not is_printable(text) or '"' in plain.replace('""', ""):
        return None
    if text[:2].upper() != "AT":
        return None
    shown = re.sub(r"=(?!\?)[^;]*", "=…", plain)
    risk, why = Risk.NONE, ""
    for part, names in _parts(text[2:]):
        found, said = _risk_of(part, names)
        if found is Risk.NEVER or risk is Risk.NONE:
            risk, why = found, said or why
        if risk is Risk.NEVER:
            break
    return AtCommand(text, shown, risk, why)


def takes_the_line(text: str) -> bool:
    """Whether it would take the line away, or change how it is spoken, from whoever sends it."""
    return any(
        (name in _OF_THE_LINE or re.fullmatch(r"S\d+", name) is not None) and rest not in ("?", "=?")
        for name, rest in _parts(text.strip()[2:])
    )


def _parts(body: str) -> list[tuple[str, str]]:
    """The commands of the line, each as name and what follows it, in capitals and without blanks; what is none of the
    known forms has no name. A command may follow another in the same line, also without a semicolon."""
    squeezed = "".join(
        piece if piece.startswith('"') else piece.replace(" ", "") for piece in re.split(r'("[^"]*")', body.upper())
    )
    # A semicolon within quotation marks divides nothing.
    masked = _QUOTED.sub(lambda quoted: quoted[0].replace(";", ","), squeezed)
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(masked):
        match = _EXTENDED.match(masked, place) or _BASIC.match(masked, place)
        if match is None:  # it may hide anything, so what follows is looked at all the same
            found.append(("", masked[place]))
            place += 1
            continue
        found.append((match[1], match[2] or ""))
        if match[1] == "D":  # all that follows is a number to call
            break
        place = match.end()
    return found


def _risk_of(name: str, rest: str) -> tuple[Risk, str]:
    asks = rest in ("?", "=?") or (rest == "" and name in _ANSWERED_BY_NAME)
    if name == _SCAN and rest == "=?":
        return Risk.CHANGES, "A search for networks interrupts the connection, for minutes."
    if asks:
        return Risk.NONE, ""
    if name in _ASKING and _CHOICES.match(rest):
        return Risk.NONE, ""
    if name in _BASIC_QUESTIONS and (rest == "" or rest.isdigit()):
        return Risk.NONE, ""
    if name in _OF_THE_CARD:
        return Risk.NEVER, "The card's channels belong to the agent, and its profiles to their manager (eIM)."
    if name in _OF_THE_LINE or re.fullmatch(r"S\d+", name):
        return Risk.NEVER, "It takes the line away from the agent, or changes how the line is spoken."
    return Risk.CHANGES, f"{name or 'This'} may change the modem, its settings or its connection."
