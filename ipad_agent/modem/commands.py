"""The AT commands the agent uses: how they are written and how their answers are read (3GPP TS 27.007).

A ``Command`` is text plus what its answer looks like. Parsers take the answer's lines and raise ``LineDamaged`` for
everything that cannot be an answer; they never guess between two candidates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

from ipad_agent.codec.identifiers import Iccid
from ipad_agent.codec.packet_connection import PdpType
from ipad_agent.modem.at.at_parser import Expectation, Result, ResultKind
from ipad_agent.records import dataclass

from .errors import LineDamaged

_HEX_BARE: Final = re.compile(r'("?)[0-9A-Fa-f]{1,20}\1')
_DIGITS_BARE: Final = re.compile(r'("?)[0-9]{14,22}[Ff]{0,2}\1')
_ICCID_BARE: Final = re.compile(r'("?)[0-9][0-9A-Fa-f]{13,21}\1')
_ICCID: Final = re.compile(r"(?<![0-9A-Za-z])([0-9A-F]{18,20})F{0,2}(?![0-9A-Za-z])", re.IGNORECASE)
_NIBBLES: Final = 20
_TEXT_BARE: Final = re.compile(r"[A-Za-z0-9][^:]{0,127}|[A-Za-z0-9 ]+: ?[^:]{1,120}")
_APDU: Final = r'\s*(?:\d+\s*,\s*)?(\d+)\s*,\s*"?([0-9A-Fa-f]*)"?\s*'


@dataclass(frozen=True, slots=True)
class Command:
    """One AT command. ``name`` is what may be shown in messages: the text may hold identifiers or card traffic."""

    text: str
    name: str
    deadline_s: float
    answer: re.Pattern[str] | None = None
    bare: re.Pattern[str] | None = None

    @property
    def expectation(self) -> Expectation:
        return Expectation(self.text, self.answer, self.bare)


def plain(text: str, *, deadline_s: float = 5.0) -> Command:
    """A command without an answer of interest, such as ``AT+CMEE=1``; its own prefix is accepted as answer."""
    name = re.match(r"AT[+^%#$!&*]?[A-Z0-9_]*", text, re.IGNORECASE)
    prefix = re.match(r"AT([+^%#$!&*][A-Z0-9_]+)", text, re.IGNORECASE)
    answer = re.compile(re.escape(prefix[1]) + r"\s*:", re.IGNORECASE) if prefix else None
    return Command(text, name[0] if name else "AT", deadline_s, answer)


def of_person(text: str, *, deadline_s: float) -> Command:
    """Any command of one line. What it answers is not known: lines with its own name, and all lines without a name; of
    one without a name (``ATI``) whatever comes."""
    name = re.match(r"AT\s*([+^%#$!&*@][A-Z0-9_]+)", text, re.IGNORECASE)
    if name is None:
        return Command(text, text[:4].upper(), deadline_s, re.compile(r".+"))
    answer = re.compile(re.escape(name[1]) + r"\s*:", re.IGNORECASE)
    return Command(text, f"AT{name[1].upper()}", deadline_s, answer, re.compile(r".+"))


def ping(*, deadline_s: float = 1.0) -> Command:
    """``AT``."""
    return Command("AT", "AT", deadline_s)


def query(text: str, prefix: str, *, deadline_s: float = 5.0, bare: re.Pattern[str] | None = None) -> Command:
    """A read command whose answer lines begin with ``prefix`` and a colon."""
    return Command(text, text.split("=")[0].rstrip("?"), deadline_s, re.compile(re.escape(prefix) + r"\s*:"), bare)


def text_query(text: str, *, deadline_s: float = 5.0) -> Command:
    """A command such as ``AT+CGMI`` whose answer is free text, with or without a prefix."""
    return query(text, text[2:], deadline_s=deadline_s, bare=_TEXT_BARE)


def read_text(command: Command, lines: Sequence[str]) -> str:
    """The first answer line without prefix and quotes; empty when there was none."""
    if not lines:
        return ""
    line = lines[0]
    if command.answer is not None and (prefix := command.answer.match(line)):
        line = line[prefix.end() :]
    return line.strip().strip('"').strip()


# -- logical channels ------------------------------------------------------------------------------------------------
def open_channel(aid: bytes, *, deadline_s: float) -> Command:
    """``AT+CCHO``: opens a logical channel and selects ``aid`` (1 to 16 bytes) on it."""
    if not 1 <= len(aid) <= 16:
        raise ValueError(f"an AID of {len(aid)} bytes")
    return Command(
        f'AT+CCHO="{aid.hex().upper()}"', "AT+CCHO", deadline_s, re.compile(r"\+CCHO\s*:", re.IGNORECASE), _HEX_BARE
    )


_SELECT_ANSWER: Final = re.compile(r'\s*"?((?:[0-9A-Fa-f]{2})*)"?\s*')


def read_session_id(lines: Sequence[str]) -> str:
    """The session id of ``AT+CCHO``, to be given back byte for byte: it may be ``1``, ten digits or sixteen hex. It is
    the first value (3GPP TS 27.007 §8.45); what some modems print behind it is left to ``read_select_answer``."""
    return _opened_session(lines)[0]


def read_select_answer(lines: Sequence[str]) -> bytes:
    """What SELECT answered, status word excluded, where the modem prints it behind the session id; else nothing."""
    match = _SELECT_ANSWER.fullmatch(_opened_session(lines)[1])
    answer = bytes.fromhex(match[1]) if match is not None else b""
    return answer[:-2] if len(answer) > 2 and answer[-2] >> 4 in (6, 9) else b""


def _opened_session(lines: Sequence[str]) -> tuple[str, str]:
    """The session id and what stands behind it."""
    prefixed = [line for line in lines if line.startswith("+")]
    candidates = {line.split(":", 1)[-1].strip() for line in (prefixed or lines)}
    if len(candidates) != 1:
        raise LineDamaged(f"AT+CCHO gave {len(candidates)} session ids")
    session_id, _, behind = candidates.pop().partition(",")
    session_id = session_id.strip()
    if session_id.startswith('"') and session_id.endswith('"') and len(session_id) >= 2:
        session_id = session_id[1:-1]
    if not re.fullmatch(r"[0-9A-Za-z_.-]{1,32}", session_id):
        raise LineDamaged("AT+CCHO gave something that is no session id")
    return session_id, behind


def close_channel(session_id: str, *, deadline_s: float) -> Command:
    """``AT+CCHC``."""
    return Command(f"AT+CCHC={session_id}", "AT+CCHC", deadline_s, re.compile(r"\+CCHC\b", re.IGNORECASE))


def generic_access(session_id: str, apdu: bytes, *, deadline_s: float, quoted: bool = True) -> Command:
    """``AT+CGLA``: an APDU on the channel of this session."""
    return Command(
        f"AT+CGLA={session_id},{_counted(apdu, quoted)}",
        "AT+CGLA",
        deadline_s,
        re.compile(r"\+CGLA\s*:", re.IGNORECASE),
    )


def sim_access(apdu: bytes, *, deadline_s: float, quoted: bool = True) -> Command:
    """``AT+CSIM``: an APDU as it is, the logical channel in its CLA."""
    return Command(f"AT+CSIM={_counted(apdu, quoted)}", "AT+CSIM", deadline_s, re.compile(r"\+CSIM\s*:", re.IGNORECASE))


def _counted(apdu: bytes, quoted: bool) -> str:
    text = apdu.hex().upper()
    return f'{len(text)},"{text}"' if quoted else f"{len(text)},{text}"


_APDU_ANSWER: Final = re.compile(r"\+(?:CGLA|CSIM)\s*:" + _APDU, re.IGNORECASE)
_STATUS_CLASSES: Final = "69"
"""The first hex digit of every status word (ISO 7816-4 §5.6)."""


def read_apdu(lines: Sequence[str], *, on_oddity: Callable[[str], None] | None = None) -> bytes:
    """The response APDU of ``+CGLA`` or ``+CSIM``: data and status word.

    Accepts missing blanks and quotes and the extra flag some modems put first. The length counts hex characters and
    must be right: it is the only guard against characters lost on the line. What is written in another way and has one
    meaning all the same is read and told to ``on_oddity``: the length in octets, one line twice, the status word in a
    line of its own.
    """
    told = [on_oddity] if on_oddity is not None else []
    distinct = list(dict.fromkeys(lines))
    if len(distinct) < len(lines):
        for tell in told:
            tell("the same line twice")
    if len(distinct) not in (1, 2):
        raise LineDamaged(f"{len(distinct)} answers to one APDU")
    text = _apdu_digits(distinct[0], told)
    if len(distinct) == 2:
        status = _apdu_digits(distinct[1], told)
        if len(status) != 4:
            raise LineDamaged("2 answers to one APDU")
        for tell in told:
            tell("the status word in a line of its own")
        text += status
    if len(text) < 4 or text[-4] not in _STATUS_CLASSES:
        raise LineDamaged("an APDU answer without a status word")
    return bytes.fromhex(text)


def _apdu_digits(line: str, told: Sequence[Callable[[str], None]]) -> str:
    """The hex digits of one line, which are as many as it says."""
    match = _APDU_ANSWER.fullmatch(line.strip())
    if match is None:
        raise LineDamaged("the answer to an APDU is not length and hex digits")
    length, text = match[1], match[2]
    if len(length) > 6 or len(text) % 2 or int(length) not in (len(text), len(text) // 2):
        raise LineDamaged(f"an APDU answer says {length[:7]} hex digits and has {len(text)}")
    if int(length) != len(text):
        for tell in told:
            tell("the length in octets")
    return text


# -- identity --------------------------------------------------------------------------------------------------------
def imei(*, deadline_s: float = 5.0) -> Command:
    """``AT+CGSN``."""
    return Command("AT+CGSN", "AT+CGSN", deadline_s, re.compile(r"\+CGSN\s*:"), _DIGITS_BARE)


def read_digits(lines: Sequence[str], low: int, high: int) -> str | None:
    """The one run of ``low`` to ``high`` digits in the answer (trailing F padding dropped), else None."""
    found = set()
    for line in lines:
        found.update(re.findall(rf"(?<![0-9A-Fa-f])([0-9]{{{low},{high}}})[Ff]{{0,2}}(?![0-9A-Fa-f])", line))
    return found.pop() if len(found) == 1 else None


def iccid(text: str, *, deadline_s: float) -> Command:
    """A vendor's ICCID command such as ``AT+QCCID``; answers come with a prefix of their own or bare."""
    return Command(
        text,
        text.rstrip("?"),
        deadline_s,
        re.compile(r"[+^#%!$]?[A-Z]*(?:CCID|SCID|ICCID)\s*:", re.IGNORECASE),
        _ICCID_BARE,
    )


def read_iccid(lines: Sequence[str]) -> Iccid | None:
    """The one ICCID in the answer: 18 to 20 digits or letters, with or without padding, as they are printed; or
    None."""
    found = {text.upper() for line in lines for text in _ICCID.findall(line)}
    printed = _of_nibbles(found.pop().ljust(_NIBBLES, "F")) if len(found) == 1 else None
    return None if printed is None else printed.turned


def _of_nibbles(text: str) -> Iccid | None:
    """Twenty nibbles; None when nothing was ever written there."""
    return None if text.upper() == "F" * _NIBBLES else Iccid.from_tbcd(bytes.fromhex(text))


READ_EF_ICCID: Final = Command("AT+CRSM=176,12258,0,0,10", "AT+CRSM", 8.0, re.compile(r"\+CRSM\s*:", re.IGNORECASE))
_CRSM: Final = re.compile(r'\+CRSM\s*:\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?:,\s*"?([0-9A-Fa-f]*)"?)?\s*', re.IGNORECASE)


def read_ef_iccid(lines: Sequence[str]) -> Iccid | None:
    """The ICCID of EF_ICCID, whatever its ten bytes are; None without them, or when nothing was ever written there."""
    match = _CRSM.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if match is None or int(match[1]) not in (0x90, 0x91, 0x9F) or not match[3] or len(match[3]) != _NIBBLES:
        return None
    return _of_nibbles(match[3])


def read_rates(lines: Sequence[str]) -> tuple[int, ...]:
    """The speeds that ``AT+IPR=?`` lists in one or two pairs of brackets (V.250 §6.2.10), without 0, which is "find it
    by yourself"; the second pair has those that can only be set, and modules put into it what they like."""
    found = {int(text) for line in lines for text in re.findall(r"(?<![0-9A-Za-z])[0-9]{3,7}(?![0-9A-Za-z])", line)}
    return tuple(sorted(found))


# -- state -----------------------------------------------------------------------------------------------------------
SIM_STATE: Final = Command("AT+CPIN?", "AT+CPIN", 10.0, re.compile(r"\+CPIN\s*:"))
FUNCTION_LEVEL: Final = Command("AT+CFUN?", "AT+CFUN", 5.0, re.compile(r"\+CFUN\s*:\s*\d"))


def read_number(lines: Sequence[str]) -> int | None:
    """The first number behind the colon of the first line, or None."""
    match = re.match(r"[^:]*:\s*(\d{1,5})\b", lines[0]) if lines else None
    return int(match[1]) if match else None


_STAT: Final = r"(?:1?\d|90)"
_QUOTED: Final = r'"[0-9A-Fa-f]*"'
_CODE: Final = rf"(?:{_QUOTED}|[0-9A-Fa-f]*)"


def registration(name: str) -> Command:
    """``AT+CEREG?`` and its relatives. The unsolicited twin lacks the first number, so that with unquoted location
    codes ``+CREG: 1, 5C9, 39E5`` looks like an answer at first sight: the second field must be a whole <stat>, and no
    unquoted code alone follows it (3GPP TS 27.007 §10.1.22: they come in pairs)."""
    return Command(
        f"AT+{name}?",
        f"AT+{name}",
        5.0,
        re.compile(rf"\+{re.escape(name)}\s*:\s*\d\s*,\s*{_STAT}\s*(?:,\s*(?:{_CODE}\s*,.*|{_QUOTED}))?$"),
    )


def read_registration(lines: Sequence[str]) -> int | None:
    """The state number: 1 home, 5 roaming, 3 denied and so on (3GPP TS 27.007 §10.1.22), or None. Of several lines
    that could be the answer none is taken, unless they say the same."""
    found = {match[1] for line in lines if (match := re.match(rf"\+\w+\s*:\s*\d\s*,\s*({_STAT})\b", line))}
    return int(found.pop()) if len(found) == 1 else None


OPERATOR_FORMAT_NUMERIC: Final = plain("AT+COPS=3,2")
OPERATOR: Final = Command("AT+COPS?", "AT+COPS", 10.0, re.compile(r"\+COPS\s*:"))


_NETWORK: Final = re.compile(r'\+COPS\s*:\s*\d\s*,\s*\d\s*,\s*"?[^",]')


def names_network(lines: Sequence[str]) -> bool:
    """Whether a ``+COPS`` answer names a network, in whatever format."""
    return len(lines) == 1 and _NETWORK.match(lines[0]) is not None


_APN: Final = re.compile(r"[A-Za-z0-9._-]{0,100}")
_CREDENTIAL: Final = re.compile(r"[ !#-~]{1,64}")
"""What stands between the quotes of a command: ASCII without the quote itself."""
AuthenticationProtocol = Literal["pap", "chap"]
_PROTOCOL_NUMBERS: Final[dict[AuthenticationProtocol, int]] = {"pap": 1, "chap": 2}


def define_context(number: int, apn: str, pdp_type: PdpType | None = None) -> Command | None:
    """``AT+CGDCONT=1,"IP","iot.example"`` (3GPP TS 27.007 §10.1.1); None for what cannot be an APN (TS 23.003 §9.1):
    nothing that a table or a card says may become a command. Without a type it is IP."""
    return plain(f'AT+CGDCONT={number},"{pdp_type or "IP"}","{apn}"') if _APN.fullmatch(apn) else None


def authenticate_context(number: int, user: str, password: str, protocol: AuthenticationProtocol) -> Command | None:
    """``AT+CGAUTH=1,2,"user","password"``, or ``AT+CGAUTH=1,0`` without a user (§10.1.31); None for what cannot stand
    in a command."""
    if not user:
        return plain(f"AT+CGAUTH={number},0")
    if not _CREDENTIAL.fullmatch(user) or not (_CREDENTIAL.fullmatch(password) or not password):
        return None
    return plain(f'AT+CGAUTH={number},{_PROTOCOL_NUMBERS[protocol]},"{user}","{password}"')


def read_plmn(lines: Sequence[str]) -> str | None:
    """The registered network as 5 or 6 digits, from a numeric (format 2) ``+COPS`` answer, or None."""
    match = re.match(r'\+COPS\s*:\s*\d\s*,\s*2\s*,\s*"?(\d{5,6})"?\s*(?:,|$)', lines[0]) if len(lines) == 1 else None
    return match[1] if match else None


_TECHNOLOGY: Final = re.compile(r'\+COPS\s*:\s*\d\s*,\s*\d\s*,\s*(?:"[^"]*"|[^,"]*)\s*,\s*(\d{1,2})\b')


def read_technology(lines: Sequence[str]) -> int | None:
    """The access technology's number of a ``+COPS`` answer (3GPP TS 27.007 §7.3), or None."""
    match = _TECHNOLOGY.match(lines[0]) if len(lines) == 1 else None
    return int(match[1]) if match else None


CME_MEANINGS: Final = {
    0: "phone failure",
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    20: "memory full: no free logical channel",
    22: "not found: no such application on the card",
    50: "incorrect parameters",
    100: "unknown error",
    515: "please wait",
}
CME_BUSY: Final = frozenset({14, 256, 258, 515})
CME_NO_SIM: Final = frozenset({10, 13})
CME_NO_FREE_CHANNEL: Final = 20
CME_NOT_FOUND: Final = 22
_CME_TEXTS: Final = {
    "sim not inserted": 10,
    "sim pin required": 11,
    "sim failure": 13,
    "sim busy": 14,
    "sim wrong": 15,
    "memory full": 20,
    "not found": 22,
    "operation not allowed": 3,
    "operation not supported": 4,
    "incorrect parameters": 50,
}


def cme_code(final: Result) -> int | None:
    """The number of a +CME ERROR, also of the common texts (AT+CMEE=2); None for other results."""
    if final.kind is not ResultKind.CME:
        return None
    return final.code if final.code is not None else _CME_TEXTS.get(final.text.split(":", 1)[-1].strip().lower())
