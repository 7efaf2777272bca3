"""SMS of the modem (3GPP TS 27.005): being told of a new one, reading it, deleting it.

Messages are left where the modem keeps them and only one that was announced is looked at. PDU mode is what a modem is
in after it was switched on, and what other programs on other ports expect.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Final

from ipad_agent.codec.short_message import ShortMessage, parse_short_message
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from . import commands
from .commands import Command
from .errors import CommandRefused
from .modem_link import ModemLink

ANNOUNCE: Final = ("AT+CMGF=0", "AT+CNMI=2,1,0,0,0")
"""PDU mode; keep a message and say where (+CMTI), nothing else (§3.4.1)."""
MOST_WAITING: Final = 16
_STORED: Final = re.compile(r'\+CMTI\s*:\s*"([A-Z]{2})"\s*,\s*(\d{1,5})\s*', re.IGNORECASE)
_HANDED_OVER: Final = re.compile(r"\+CMT\s*:", re.IGNORECASE)
_PDU: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){12,176}")
_MEMORY: Final = re.compile(r'\+CPMS\s*:\s*"([A-Z]{2})"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Announced:
    """A message that came: where it is kept, or what it is where the modem keeps none."""

    memory: str = ""
    index: int = 0
    pdu: bytes | None = None


class ShortMessages:
    """Of one modem. Every new session announces what comes from then on."""

    def __init__(self, link: ModemLink) -> None:
        self._link = link
        self._waiting: deque[Announced] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()
        self._text_follows = False
        link.also_initialise(ANNOUNCE)
        link.listen(self._heard)

    async def next(self) -> Announced:
        """The next one that came."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    async def read(self, announced: Announced) -> ShortMessage | None:
        """What it says; None for what is no SMS that can be read. Raises ``ModemError``."""
        pdu = announced.pdu
        if pdu is None:
            async with _Memory(self._link, announced.memory):
                lines = await self._link.run(_read(announced.index))
            bodies = [line for line in lines if _PDU.fullmatch(line)]
            if len(bodies) != 1:
                return None
            pdu = bytes.fromhex(bodies[0])
        try:
            return parse_short_message(pdu)
        except CodecError:
            return None

    async def delete(self, announced: Announced) -> None:
        """Take it out of the modem's memory. Raises ``ModemError``."""
        if announced.pdu is None:
            async with _Memory(self._link, announced.memory):
                await self._link.run(commands.plain(f"AT+CMGD={announced.index}", deadline_s=25.0))

    def _heard(self, line: str) -> None:
        stored = _STORED.fullmatch(line)
        if stored is not None:
            self._put(Announced(stored[1].upper(), int(stored[2])))
        elif self._text_follows and _PDU.fullmatch(line):
            self._put(Announced(pdu=bytes.fromhex(line)))
        self._text_follows = _HANDED_OVER.match(line) is not None

    def _put(self, announced: Announced) -> None:
        self._waiting.append(announced)
        self._news.set()


class _Memory:
    """While entered, commands are about this memory; the former one is chosen again at the end."""

    def __init__(self, link: ModemLink, name: str) -> None:
        self._link = link
        self._name = name
        self._former: str | None = None

    async def __aenter__(self) -> None:
        try:
            answer = await self._link.run(commands.query("AT+CPMS?", "+CPMS"))
        except CommandRefused:  # then there is one memory only
            return
        found = _MEMORY.match(answer[0]) if answer else None
        if found is not None and found[1].upper() != self._name:
            await self._choose(self._name)
            self._former = found[1].upper()

    async def __aexit__(self, *_: object) -> None:
        if self._former is not None:
            await self._choose(self._former)

    async def _choose(self, name: str) -> None:
        await self._link.run(commands.query(f'AT+CPMS="{name}"', "+CPMS"))


def _read(index: int) -> Command:
    return Command(f"AT+CMGR={index}", "AT+CMGR", 20.0, re.compile(r"\+CMGR\s*:"), _PDU)
