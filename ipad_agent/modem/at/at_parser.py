"""The AT line grammar (V.250, 3GPP TS 27.007) as a parser without I/O: bytes in, events out.

Rules of this file:

* the same bytes give the same events, however they are split;
* a line is never judged by its position, only by what it is: final result, answer to the command in flight, echo,
  unsolicited result, or somebody else's answer;
* the final results are a closed set; everything else is data.

The owner tells with ``expect`` which command is in flight. The expectation ends with its final result.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from enum import Enum
from functools import cache
from typing import Final

from ipad_agent.records import dataclass

LONGEST_ANSWER_BYTES: Final = 0x10000 + 2
"""What a card may say at once, with its status word: some modems collect it all and print it in one line."""
MAX_LINE_BYTES: Final = 2 * LONGEST_ANSWER_BYTES + 64
REMEMBERED_COMMANDS: Final = 8


class ResultKind(Enum):
    """How a command ended."""

    OK = "OK"
    ERROR = "ERROR"
    CME = "+CME ERROR"
    CMS = "+CMS ERROR"
    NOT_SUPPORTED = "COMMAND NOT SUPPORT"
    NO_CARRIER = "NO CARRIER"
    NA = "NA"


@dataclass(frozen=True, slots=True)
class Result:
    """The result that ends a command. ``code`` is the number of a CME or CMS error, when it came as a number."""

    kind: ResultKind
    text: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Echo:
    """The modem repeats what was sent; ``damaged`` when characters are missing or commands are glued."""

    text: str
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """A line of the answer to the command in flight."""

    text: str


@dataclass(frozen=True, slots=True)
class Urc:
    """An unsolicited result code."""

    text: str


@dataclass(frozen=True, slots=True)
class Late:
    """An answer line of an earlier command of ours that nobody waits for any more."""

    text: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """An answer to, or the echo of, a command that was not ours: another program shares the port."""

    text: str


@dataclass(frozen=True, slots=True)
class Unclassified:
    """A line that fits nothing; kept for the trace."""

    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The modem waits for text after ``> ``; the agent never asks for that and must escape."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line beyond every limit was thrown away."""


AtEvent = Result | Echo | Data | Urc | Late | Foreign | Unclassified | Prompt | Overlong


@dataclass(frozen=True, slots=True)
class Expectation:
    """The command in flight: its text, and what its answer lines look like.

    ``answer`` matches lines with the command's prefix; ``bare`` matches answers without one, and None says that the
    command has none, in which case numeric (V0) final results are recognised.
    """

    command: str
    answer: re.Pattern[str] | None = None
    bare: re.Pattern[str] | None = None


@dataclass(slots=True)
class LinkStats:
    """How good the line is. Anything but zeros here deserves a look at the wiring or at other users of the port."""

    bytes_received: int = 0
    nul_bytes: int = 0
    garbage_bytes: int = 0
    echoes: int = 0
    damaged_echoes: int = 0
    overlong_lines: int = 0


_ERROR_WITH_CODE: Final = re.compile(r"\+CM([ES])\s+ERROR(?:(?:\s*:\s*|\s+)(.*))?", re.IGNORECASE)
_NUMERIC_FINALS: Final = {"0": ResultKind.OK, "3": ResultKind.NO_CARRIER, "4": ResultKind.ERROR}
_PIECES: Final = re.compile(rb"[\x20-\x7e\t]+|.", re.DOTALL)
"""Text of a line as far as it goes, or one byte of another kind."""
_NAME: Final = re.compile(r"([+^%#$!&*][A-Z][A-Z0-9_]*)")
_NAMED_LINE: Final = re.compile(r"([+^%#$!&*][A-Z][A-Z0-9_]*)(?=\s*:)", re.IGNORECASE)
_COMMAND_INSIDE: Final = re.compile(r"AT([+^%#$!&*][A-Z][A-Z0-9_]*)", re.IGNORECASE)
_COMMAND_TAIL: Final = re.compile(r"T?([+^%#$!&*][A-Z][A-Z0-9_]*)[=?]", re.IGNORECASE)

_APDU_NAME: Final = re.compile(r"\+(?:CGLA|CSIM)\s*:", re.IGNORECASE)
_APDU_AND_MORE: Final = re.compile(
    r'(\+(?:CGLA|CSIM)\s*:[\d\s,]+"[0-9A-F]*")\s*([+^%#$!&*][A-Z][A-Z0-9_]*\s*:.*)', re.IGNORECASE
)

_CUT_APDU: Final = re.compile(r'\+(?:CGLA|CSIM)\s*:[\d\s,]+"[0-9A-F]*', re.IGNORECASE)
_REST_OF_APDU: Final = re.compile(r'[0-9A-F]*"', re.IGNORECASE)

# Lines of these names are only ever answers, never unsolicited.
_ANSWERS_ONLY: Final = frozenset(
    f"+{name}"
    for line in (
        "CCHO CCHC CGLA CSIM CRSM CGMI CGMM CGMR GMI GMM GMR CGSN GSN CIMI CCID QCCID ICCID CICCID COPS CMEE CSCS",
        "CGDCONT CGPADDR GCAP IPR IFC CMGF CMGL CMGR CPBS CPMS CNUM QGPS QGPSLOC QCFG QENG QNWINFO QUIMSLOT WS46",
    )
    for name in line.split()
)

DEFAULT_URCS: Final = (
    r"\+(CREG|CGREG|CEREG|C5GREG|CPIN|CFUN|CIEV|CGEV|CMTI?|CDSI?|CBMI?|CLIP|CCWA|CRING|CTZV|CTZE|CTZEU|CUSD|CSS[UI])\b.*",
    r"\+(CSCON|CEDRXP|CUSATP|QUSIM|QSIMSTAT|QIND|QINISTAT|QURC|QSTKURC|QSTK|QNETDEVSTATUS|SIMCARD|ESIMS|CSQ|READY)\b.*",
    r"\+(UUSIMSTAT|UUPSDD|UUPSDA|UUSTK|UUSORD|STSF|CLTS|CPSMSTATUS|CENG)\b.*",
    r"\^(RSSI|HCSQ|SIMST|MODE|SRVST|STIN|SCKS|SYSSTART|SSTN|NWTIME|BOOT|DSFLOWRPT|CERSSI)\b.*",
    r"#(QSS|STN|SIMDET|NITZ)\b.*",
    r"%(XSIM|NOTIFYEV|CESQ|XTIME|XMODEMTRACE)\b.*",
    r"\*(PSUTTZ|PSNWID|PSTMM)\b.*|DST:.*",
    r"RING|RDY|Ready|APP RDY|PB DONE|SMS DONE|SMS READY|Call Ready|CALL READY|POWERED DOWN|NORMAL POWER DOWN",
    r"UNDER-VOLTAGE WARN+ING|OVER-VOLTAGE WARN+ING",
)


@cache
def _common_urcs() -> re.Pattern[str]:
    """Made when the first modem speaks: the dearest pattern of all."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in DEFAULT_URCS))


class AtParser:
    """Classifies what a modem sends. ``urcs`` are regular expressions of whole lines, added to the common ones."""

    def __init__(self, *, urcs: Iterable[str] = ()) -> None:
        self.stats = LinkStats()
        self._urcs: list[re.Pattern[str]] = []
        self.add_urcs(urcs)
        self._line = bytearray()
        self._skipping = False
        self._cut = ""
        self._expectation: Expectation | None = None
        self._sent: deque[str] = deque(maxlen=REMEMBERED_COMMANDS)
        self._sent_names: deque[str] = deque(maxlen=REMEMBERED_COMMANDS)

    def add_urcs(self, patterns: Iterable[str]) -> None:
        """Know these lines as unsolicited results, too."""
        together = "|".join(f"(?:{pattern})" for pattern in patterns)
        if together:
            self._urcs.append(re.compile(together))

    def expect(self, expectation: Expectation | None) -> None:
        """Set the command in flight; None when its time is over. Call it before the command is written."""
        self._expectation = expectation
        self._cut = ""
        if expectation is not None:
            command = expectation.command.upper()
            self._sent.appendleft(command)
            name = _NAME.search(command)
            if name is not None:
                self._sent_names.appendleft(name[1])

    def feed(self, data: bytes) -> list[AtEvent]:
        """Take received bytes, return what they complete."""
        found: list[AtEvent] = []
        self.stats.bytes_received += len(data)
        for piece in _PIECES.finditer(data):
            text = piece[0]
            byte = text[0]
            if byte in (0x0D, 0x0A):
                self._end_line(found)
            elif byte == 0:
                self.stats.nul_bytes += 1
            elif not (0x20 <= byte <= 0x7E or byte == 0x09):
                self.stats.garbage_bytes += 1
            elif not self._skipping:
                self._line += text
                while self._line.startswith(b"> "):
                    del self._line[:2]
                    found.append(Prompt())
                if len(self._line) > MAX_LINE_BYTES:
                    self._line.clear()
                    self._skipping = True
        return found

    def _end_line(self, found: list[AtEvent]) -> None:
        if self._skipping:
            self._skipping = False
            self.stats.overlong_lines += 1
            found.append(Overlong())
            return
        line = self._line.decode("ascii").strip()
        self._line.clear()
        for part in self._unglued(line) if line else ():
            event = self._whole(part)
            if event is None:
                continue
            if isinstance(event, Echo):
                self.stats.echoes += 1
                self.stats.damaged_echoes += event.damaged
            elif isinstance(event, Result):
                self._expectation = None
            found.append(event)

    def _whole(self, line: str) -> AtEvent | None:
        """What a line is; None for the first half of an answer with an APDU, into which the modem put an unsolicited
        result. Its other half, up to the closing quote, completes it."""
        if self._cut and _REST_OF_APDU.fullmatch(line):
            line, self._cut = self._cut + line, ""
        expected = self._expectation
        if expected is not None and expected.answer is not None and expected.answer.match(line):
            if _CUT_APDU.fullmatch(line):
                self._cut = line
                return None
            self._cut = ""
        return self._classify(line)

    def _unglued(self, line: str) -> tuple[str, ...]:
        """The line, or its parts where an unsolicited result sticks to an answer with an APDU, before or behind it: no
        APDU has such characters in it."""
        expected = self._expectation
        if expected is None or expected.answer is None or "+C" not in line:
            return (line,)
        for inside in _APDU_NAME.finditer(line, 1):
            if expected.answer.match(line, inside.start()):
                return line[: inside.start()].strip(), *self._unglued(line[inside.start() :])
        behind = _APDU_AND_MORE.fullmatch(line)
        return (line,) if behind is None else (behind[1], behind[2])

    def _classify(self, line: str) -> AtEvent:
        expected = self._expectation
        if expected is not None and line.upper() == expected.command.upper():
            return Echo(line)
        final = self._final(line)
        if final is not None:
            return final
        if expected is not None and expected.answer is not None and expected.answer.match(line):
            return Data(line)
        echo = self._echo(line)
        if echo is not None:
            return echo
        if _common_urcs().fullmatch(line) or any(urcs.fullmatch(line) for urcs in self._urcs):
            return Urc(line)
        named = _NAMED_LINE.match(line)
        if named is not None:
            name = named[1].upper()
            if name in self._sent_names:
                return Late(line)
            return Foreign(line) if name in _ANSWERS_ONLY else Urc(line)
        if expected is not None and expected.bare is not None and expected.bare.fullmatch(line):
            return Data(line)
        if len(line) >= 4 and any(line.upper() in command for command in self._sent):
            return Echo(line, damaged=True)
        return Unclassified(line)

    def _final(self, line: str) -> Result | None:
        upper = line.upper()
        if upper == "OK":
            return Result(ResultKind.OK, line)
        if upper == "ERROR":
            return Result(ResultKind.ERROR, line)
        coded = _ERROR_WITH_CODE.fullmatch(line)
        if coded is not None:
            kind = ResultKind.CME if coded[1] in "Ee" else ResultKind.CMS
            number = (coded[2] or "").strip()
            return Result(kind, line, int(number) if number.isdecimal() and len(number) <= 5 else None)
        if upper.startswith("COMMAND NOT SUPPORT"):
            return Result(ResultKind.NOT_SUPPORTED, line)
        if self._expectation is None:
            return None  # NO CARRIER and digits are unsolicited then
        if upper == "NO CARRIER":
            return Result(ResultKind.NO_CARRIER, line)
        if upper == "NA":
            return Result(ResultKind.NA, line)
        if self._expectation.bare is None and line in _NUMERIC_FINALS:
            return Result(_NUMERIC_FINALS[line], line)
        return None

    def _echo(self, line: str) -> Echo | Foreign | Unclassified | None:
        """Echo is exact, or has the shape of a command and a name that we sent, or it is somebody else's."""
        upper = line.upper()
        if upper in self._sent:
            return Echo(line)
        shape = _COMMAND_INSIDE.search(line) or _COMMAND_TAIL.match(line)
        if shape is None:
            return None
        name = shape[1].upper()
        # Lost characters shorten a name or eat into it; what is left of it still belongs to a command of ours.
        if any(name in sent or sent in upper for sent in self._sent_names) or any(upper in c for c in self._sent):
            return Echo(line, damaged=True)
        return Foreign(line) if upper.startswith("AT") else Unclassified(line)
