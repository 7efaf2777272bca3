"""What a port seems to be that does not answer AT: told by what comes from it."""

from __future__ import annotations

import re
from typing import Final

from ipad_agent.records import dataclass

_NMEA: Final = re.compile(rb"\$([A-Z]{2}[A-Z]{3}|P[A-Z0-9]{3,}),([ -)+-~]*)\*([0-9A-Fa-f]{2})")
_FLAG: Final = 0x7E
DIAG_QUESTION: Final = bytes.fromhex("7E0078F07E")
"""The version number request of Qualcomm's diagnostic protocol: command 0 with its checksum, between flags. It only
asks."""
_LEAST_NOISE: Final = 8


@dataclass(frozen=True, slots=True)
class Seems:
    """``kind`` is a word for programs, ``sentence`` one for people, ``fix`` what to do."""

    kind: str
    sentence: str
    fix: str


_ANOTHER: Final = "Take another port of this modem; `ipactl modem list` shows them."


def judge(silence: bytes, answer: bytes, sent: bytes) -> Seems:
    """``silence`` came before anything was sent, ``answer`` after ``sent``."""
    everything = silence + answer
    if _is_nmea(everything):
        return Seems("gnss", "It sends positions (NMEA): it is the modem's GNSS port.", _ANOTHER)
    frames = [frame for frame in _frames(everything) if frame not in sent]
    if any(frame.startswith((b"\xff\x03\xc0", b"\xff\x7d\x23")) for frame in frames):
        fix = "Ended connections leave it so: end the program that dials (pppd), or switch the modem off and on."
        return Seems("ppp", "It is in data mode: it speaks PPP, the protocol of a data connection.", fix)
    if any(_checks(frame) for frame in frames):
        return Seems(
            "diagnostic", "It answers in frames of the diagnostic protocol: it is the diagnostic port.", _ANOTHER
        )
    if re.search(rb"(?i)(login|password): *$", answer.rstrip(b"\r\n")):
        return Seems("console", "It asks for a login: it is the console of a computer.", "Take the port of the modem.")
    if answer and _only_echo(answer, sent):
        fix = "Check the wiring (RX and TX may be bridged), and that this is the modem's port."
        return Seems("echo", "It only sends back what was sent: a loop, or a port without a program behind it.", fix)
    if len(everything) >= _LEAST_NOISE and _share_of_text(everything) < 0.7:
        fix = "Try another speed with --baud (9600, 115200, 460800, 921600)."
        return Seems("noise", "What it sends is no text: most likely the speed is wrong.", fix)
    if everything:
        return Seems("other", "It sends something, but no answer to AT.", _ANOTHER)
    fix = f"Check power and wiring; on a UART try --baud 9600 or 921600. {_ANOTHER}"
    return Seems("silent", "It says nothing at all.", fix)


def _is_nmea(data: bytes) -> bool:
    """One sentence whose checksum is right (the XOR of all between $ and *)."""
    for found in _NMEA.finditer(data):
        body = found[0][1 : found[0].rindex(b"*")]
        checksum = 0
        for byte in body:
            checksum ^= byte
        if checksum == int(found[3], 16):
            return True
    return False


def _frames(data: bytes) -> list[bytes]:
    """What stands between two flags, or before the first one."""
    parts = data.split(bytes([_FLAG]))
    return [part for part in parts[:-1] if part] if len(parts) > 1 else []


def _checks(frame: bytes) -> bool:
    """Whether the frame ends with its CRC-16/X-25, escapes undone (RFC 1662)."""
    plain = re.sub(rb"\x7d(.)", lambda found: bytes([found[1][0] ^ 0x20]), frame, flags=re.DOTALL)
    if len(plain) < 3:
        return False
    crc = 0xFFFF
    for byte in plain[:-2]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc ^ 0xFFFF == int.from_bytes(plain[-2:], "little")


def _only_echo(answer: bytes, sent: bytes) -> bool:
    """Nothing came that was not sent, whatever a terminal made of the line ends."""
    strange = bytes.maketrans(b"", b"")
    wanted = sent.translate(strange, b"\r\n\x00")
    got = answer.translate(strange, b"\r\n\x00")
    return bool(got) and (got in wanted or wanted in got or _caret(got) == _caret(wanted))


def _caret(data: bytes) -> bytes:
    """Without the ^X form in which a terminal shows control characters."""
    return re.sub(rb"\^[@-_]|[\x00-\x1f\x7f-\xff]", b"", data)


def _share_of_text(data: bytes) -> float:
    return sum(byte in b"\r\n\t" or 0x20 <= byte < 0x7F for byte in data) / len(data)
