"""A modem that says what another one said: recorded answers to the commands that were recorded.

Which answer, when a command was given several times? The next one, in the order of the recording; but what the card
said before an order that it has carried out since is out of date, and is passed over. When they are used up the last
one is said again: a signal that is asked for more often now is no reason to stop. What a card is asked to go on with
(GET RESPONSE) goes on from the command before it.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from typing import Final

from ipad_agent.lab.modem.virtual_module import Output, Send

from .recorded_session import ModemExchange

MOST_DELAY_S: Final = 5.0
"""Longer silences of the recording are shortened to this."""
_PLAIN: Final = re.compile(r"(?i)(AT)?|AT[EVQ][01]|ATE0V1|ATQ0V1|AT\+CMEE=[012]")
"""What every modem says OK to; a recording that began later does not have it."""
_APDU: Final = re.compile(r'(?i)AT\+(?:CSIM|CGLA)=[0-9, ]*"?([0-9A-F]+)"?')
_READING: Final = frozenset(
    bytes.fromhex(tag)
    for tag in ("BF20", "BF22", "BF28", "BF2B", "BF2D", "BF2E", "BF3C", "BF3E", "BF43", "BF55", "BF56")
)
"""ES10 functions that change nothing on the card."""


class ReplayedModem:
    """``lab.modem``'s stream of bytes. ``not_recorded`` are commands that the recording knows nothing of, in order;
    they got ERROR, or OK where every modem says that."""

    def __init__(self, exchanges: list[ModemExchange]) -> None:
        self._exchanges = exchanges
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, exchange in enumerate(exchanges):
            self._places[_plain(exchange.sent)].append(place)
        self._used: set[int] = set()
        self._out_of_date = -1
        self._last_apdu = -1
        self._incoming = bytearray()
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self.not_recorded: list[str] = []
        self.asked = 0

    @property
    def next_due_s(self) -> float | None:
        """When there is more to say."""
        return self._due[0][0] if self._due else None

    def feed(self, data: bytes, now_s: float) -> list[Output]:
        """Bytes of the host."""
        self._incoming += data
        while (end := self._incoming.find(b"\r")) >= 0:
            line = bytes(self._incoming[: end + 1])
            del self._incoming[: end + 1]
            self._answer(line, now_s)
        return self.advance(now_s)

    def advance(self, now_s: float) -> list[Output]:
        """What is due by now."""
        outputs: list[Output] = []
        while self._due and self._due[0][0] <= now_s:
            outputs.append(Send(heapq.heappop(self._due)[2]))
        return outputs

    def _answer(self, line: bytes, now_s: float) -> None:
        command = _plain(line)
        self.asked += 1
        place = self._place(command)
        if place is None:
            known = _PLAIN.fullmatch(command) is not None
            self.not_recorded.append(command)
            self._say(now_s, b"\r\nOK\r\n" if known and command else b"" if known else b"\r\nERROR\r\n")
            return
        self._used.add(place)
        apdu = _apdu(command)
        if apdu is not None:
            self._last_apdu = place
            if _changes(apdu):
                self._out_of_date = max(self._out_of_date, place)
        for delay_s, data in self._exchanges[place].received:
            self._say(now_s + min(delay_s, MOST_DELAY_S), data)

    def _place(self, command: str) -> int | None:
        places = self._places.get(command)
        if not places:
            return None
        apdu = _apdu(command)
        if apdu is not None and apdu[1:2] == b"\xc0":
            return next((place for place in places if place > self._last_apdu), places[-1])
        fresh = [place for place in places if place not in self._used and place > self._out_of_date]
        return fresh[0] if fresh else places[-1]

    def _say(self, due_s: float, data: bytes) -> None:
        if data:
            self._count += 1
            heapq.heappush(self._due, (due_s, self._count, data))


def _plain(line: bytes) -> str:
    """The command without what differs from one time to the next: blanks outside, the end, the case of AT."""
    text = line.decode("latin-1").strip("\r\n \x1b")
    return text.upper() if _APDU.fullmatch(text) else text


def _apdu(command: str) -> bytes | None:
    found = _APDU.fullmatch(command)
    return bytes.fromhex(found[1]) if found and len(found[1]) % 2 == 0 else None


def _changes(apdu: bytes) -> bool:
    """STORE DATA of an order; of the blocks of one, the first names it."""
    return apdu[1:2] == b"\xe2" and apdu[3:4] == b"\x00" and apdu[5:7] not in _READING
