"""What an examination may send: questions, and what it takes back itself. Every line is judged before it goes out, so
that a mistake elsewhere cannot write to a modem or change a card."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ipad_agent.local.at_command import Risk, examine

from .errors import WouldChange

_LINE_SETTINGS: Final = re.compile(r'AT(?:[EVQ][01])*|AT\+CMEE=[0-2]|AT\+CSCS="[A-Z0-9-]{2,12}"')
"""How the line is spoken; the examination puts back what it found."""
_SESSION: Final = re.compile(r'AT\+CCHO="[0-9A-F]{2,32}"|AT\+CCHC=[0-9A-Za-z_.-]{1,32}')
_READ_FILE: Final = re.compile(r"AT\+CRSM=(?:176|178|192|242),[0-9,]+")
_CARRIES_APDU: Final = re.compile(r'AT\+(?:CSIM=|CGLA=[0-9A-Za-z_.-]{1,32},)\d+,"?([0-9A-F]+)"?')
_QUERIES_OF_THE_CARD: Final = frozenset({"AT+CUAD", "AT"})
_NO_COMMAND: Final = frozenset({b"", b"+++", b"\x1b"})

_READING: Final = frozenset({0x70, 0xC0, 0xAA, 0xCA, 0xF2})
"""MANAGE CHANNEL (what is opened is closed), GET RESPONSE, TERMINAL CAPABILITY, GET DATA, STATUS."""
_SELECT, _STORE_DATA, _BY_AID = 0xA4, 0xE2, 0x04
READING_FUNCTIONS: Final = frozenset({0xBF3E, 0xBF20, 0xBF22, 0xBF2D, 0xBF55, 0xBF56, 0xBF3C, 0xBF43, 0xBF28})
"""ES10 requests that change nothing: GetEID, EUICCInfo1 and 2, GetProfilesInfo, GetEimConfigurationData, GetCerts,
GetEuiccConfiguredAddresses, GetRAT, ListNotification."""
SWITCHING_FUNCTIONS: Final = frozenset({0xBF5D, 0xBF5E})
"""ExecuteFallbackMechanism and ReturnFromFallback."""


class ReadOnlyGuard:
    """``own_questions`` are commands of the module's profile that only ask, or that take and give back the card.
    ``switching``: a person has consented to a switch there and back, with the reset that it may need."""

    def __init__(self, own_questions: Iterable[str] = ()) -> None:
        self._own = {text.upper() for text in own_questions}
        self.switching = False
        self.resets: frozenset[str] = frozenset()

    def allow(self, own_questions: Iterable[str]) -> None:
        """Know these too, once the module's profile is known."""
        self._own |= {text.upper() for text in own_questions}

    def check(self, data: bytes) -> None:
        """Raises ``WouldChange`` for what must not be sent."""
        if data.strip(b"\r\n") in _NO_COMMAND:
            return
        for line in re.split(rb"[\r\n]+", data.strip(b"\r\n")):
            text = line.decode("ascii", "replace").upper()
            if not self._may(text):
                name = re.match(r"AT[^=?]{0,20}", text)
                raise WouldChange(
                    f"{name[0] if name else 'a line that is no command'} was not sent: it may change things"
                )

    def _may(self, text: str) -> bool:
        if text in self._own or text in _QUERIES_OF_THE_CARD or _LINE_SETTINGS.fullmatch(text):
            return True
        if _SESSION.fullmatch(text) or _READ_FILE.fullmatch(text):
            return True
        if self.switching and text in self.resets:
            return True
        carried = _CARRIES_APDU.fullmatch(text)
        if carried is not None:
            return len(carried[1]) % 2 == 0 and self._may_apdu(bytes.fromhex(carried[1]))
        command = examine(text)
        return command is not None and command.risk is Risk.NONE

    def _may_apdu(self, apdu: bytes) -> bool:
        if len(apdu) < 4:
            return False
        instruction, p1, p2 = apdu[1:4]
        if instruction in _READING:
            return True
        if instruction == _SELECT:
            return p1 == _BY_AID
        if instruction != _STORE_DATA or len(apdu) < 7:
            return False
        if p2 > 0:
            return True  # its first block was judged
        tag = int.from_bytes(apdu[5:7], "big")
        return tag in READING_FUNCTIONS or (self.switching and tag in SWITCHING_FUNCTIONS)
