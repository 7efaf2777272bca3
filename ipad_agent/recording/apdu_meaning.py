"""APDUs and AT lines in words, for people who read a recording."""

from __future__ import annotations

import re
from typing import Final

from ipad_agent.card.apdu import explain
from ipad_agent.errors import CodecError

from .recording_format import SENT

MOST_BYTES: Final = 5 + 65_535 + 3
_INSTRUCTIONS: Final = {
    0x04: "DEACTIVATE FILE",
    0x10: "TERMINAL PROFILE",
    0x12: "FETCH",
    0x14: "TERMINAL RESPONSE",
    0x20: "VERIFY PIN",
    0x24: "CHANGE PIN",
    0x26: "DISABLE PIN",
    0x28: "ENABLE PIN",
    0x2C: "UNBLOCK PIN",
    0x32: "INCREASE",
    0x44: "ACTIVATE FILE",
    0x70: "MANAGE CHANNEL",
    0x73: "MANAGE SECURE CHANNEL",
    0x75: "TRANSACT DATA",
    0x76: "SUSPEND UICC",
    0x78: "GET IDENTITY",
    0x84: "GET CHALLENGE",
    0x88: "AUTHENTICATE",
    0x89: "AUTHENTICATE",
    0xA2: "SEARCH RECORD",
    0xA4: "SELECT",
    0xAA: "TERMINAL CAPABILITY",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xC2: "ENVELOPE",
    0xCA: "GET DATA",
    0xCB: "RETRIEVE DATA",
    0xD6: "UPDATE BINARY",
    0xDB: "SET DATA",
    0xDC: "UPDATE RECORD",
    0xE2: "STORE DATA",
    0xF2: "STATUS",
}
"""TS 102 221 §10.1.2 and GlobalPlatform; GET DATA has CA in both."""
_FILES: Final = {
    0x3F00: "MF",
    0x2FE2: "EF_ICCID",
    0x2F00: "EF_DIR",
    0x2F05: "EF_PL",
    0x6F07: "EF_IMSI",
    0x6FAD: "EF_AD",
    0x6F46: "EF_SPN",
    0x6F40: "EF_MSISDN",
    0x7FFF: "the application",
}
_APPLICATIONS: Final = {
    "A0000005591010FFFFFFFF8900000100": "ISD-R",
    "A0000005591010FFFFFFFF8900000200": "ECASD",
    "A0000000871002": "USIM",
    "A0000000871004": "ISIM",
}
_KNOWN_LINES: Final = (
    (r"AT\+CSIM=", "an APDU to the card"),
    (r"\+CSIM:", "an answer of the card"),
    (r"AT\+CGLA=", "an APDU to a channel of the card"),
    (r"\+CGLA:", "an answer of a channel of the card"),
    (r"AT\+CCHO=", "open a channel to an application"),
    (r"\+CCHO:", "the channel that was opened"),
    (r"AT\+CCHC=", "close a channel"),
    (r"AT\+CRSM=", "read or write a file of the card"),
    (r"\+CRSM:", "what a file of the card holds"),
    (r"AT\+CPIN\?", "does the card want a PIN?"),
    (r"AT\+CPIN=", "a PIN"),
    (r"\+CPIN:", "whether the card wants a PIN"),
    (r"AT\+CFUN", "how much of the modem is on"),
    (r"AT\+CIMI", "the subscriber's number (IMSI)"),
    (r"AT\+CGSN", "the modem's number (IMEI)"),
    (r"AT\+C?CCID|AT\+ICCID", "the profile's number (ICCID)"),
    (r"AT\+CGM[IMR]", "who made the modem, and which one it is"),
    (r"AT\+C(?:E|G|5G)?REG|\+C(?:E|G|5G)?REG:", "whether the network has registered the modem"),
    (r"AT\+COPS|\+COPS:", "the network's operator"),
    (r"AT\+CSQ|\+CSQ:|AT\+CESQ|\+CESQ:", "how strong the signal is"),
    (r"AT\+CMEE", "how errors are told"),
    (r"AT\+CGDCONT|\+CGDCONT:", "the access point (APN)"),
    (r"ATE[01]", "whether the modem repeats what it is told"),
    (r"AT$", "are you there?"),
    (r"OK$", "done"),
    (r"ERROR$", "it did not work"),
    (r"\+CM[ES] ERROR:", "it did not work, for this reason"),
)
_HEX: Final = re.compile(r'"?([0-9A-Fa-f]{4,})"?\s*$')
_WITH_APDU: Final = re.compile(r"(?i)(AT)?\+(CSIM|CGLA)\s*[=:]")


def command_meaning(apdu: bytes) -> str:
    """``STORE DATA, last block 0, 3 bytes, channel 1``. Raises ``CodecError`` for what is no command."""
    if len(apdu) < 4 or len(apdu) > MOST_BYTES:
        raise CodecError("a command APDU has four bytes at least", hint="CLA INS P1 P2, then length and data.")
    instruction, p1, p2 = apdu[1], apdu[2], apdu[3]
    name = _INSTRUCTIONS.get(instruction)
    if name is None:
        raise CodecError(f"there is no instruction {instruction:02X}", hint="Is this an APDU?")
    length = apdu[4] if len(apdu) > 4 else 0
    data = apdu[5 : 5 + length] if len(apdu) > 5 else b""
    parts = [name]
    match instruction:
        case 0xE2:
            parts.append(f"{'last block' if p1 & 0x80 else 'block'} {p2}")
        case 0xA4 if p1 == 0x04:
            parts.append(application_name(data))
        case 0xA4 if len(data) >= 2:
            file = int.from_bytes(data[-2:], "big")
            parts.append(f"{data.hex().upper()} {_FILES.get(file, '')}".strip())
        case 0x70:
            parts.append("close" if p1 == 0x80 else "open")
        case 0xB2 | 0xDC:
            parts.append(f"record {p1}")
    if data:
        parts.append(f"{len(data)} bytes")
        if len(data) < length:
            parts[-1] += f" of {length}"
    elif len(apdu) > 4:
        parts.append(f"{length or 256} bytes wanted")
    channel = 4 + (apdu[0] & 0x0F) if apdu[0] & 0x40 else apdu[0] & 0x03
    return ", ".join([*parts, f"channel {channel}"])


def application_name(aid: bytes) -> str:
    """``A000… ISD-R``."""
    text = aid.hex().upper()
    name = next((name for known, name in _APPLICATIONS.items() if text.startswith(known)), "")
    return f"{text} {name}".strip()


def answer_meaning(answer: bytes) -> str:
    """``9000: done, 19 bytes``; nothing is an answer too."""
    if not answer:
        return "no answer came"
    if len(answer) < 2:
        raise CodecError("an answer of a card ends with a status word of two bytes")
    data = f"{len(answer) - 2} bytes" if len(answer) > 2 else "no data"
    return f"{explain(int.from_bytes(answer[-2:], 'big'))}, {data}"


def command_data(apdu: bytes) -> bytes:
    """What a command carries."""
    return apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""


def line_meaning(line: str) -> str:
    """An AT line in words; empty when nothing is known of it. With an APDU in it, what that says."""
    text = line.strip()
    known = next((meaning for pattern, meaning in _KNOWN_LINES if re.match(f"(?i){pattern}", text)), "")
    apdu, way = apdu_in_line(text)
    if apdu is None:
        return known
    try:
        inside = command_meaning(apdu) if way == SENT else answer_meaning(apdu)
    except CodecError:
        return known
    return f"{known}: {inside}"


def apdu_in_line(line: str) -> tuple[bytes | None, str]:
    """The bytes to or from the card in an AT line, and which way they go."""
    found, hexed = _WITH_APDU.match(line.strip()), _HEX.search(line.strip())
    if found is None or hexed is None or len(hexed[1]) % 2:
        return None, ""
    return bytes.fromhex(hexed[1]), SENT if found[1] else "received"
