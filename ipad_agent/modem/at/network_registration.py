"""Whether the modem is registered in a network, and in which."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from ipad_agent.modem import commands
from ipad_agent.modem.errors import CommandRefused, CommandTimeout
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.records import dataclass

from .hanging_commands import HangingQueries

_STATES: Final = {
    0: "not registered",
    1: "registered at home",
    2: "searching",
    3: "denied",
    4: "unknown",
    5: "registered, roaming",
    6: "registered for SMS only",
    7: "registered for SMS only, roaming",
    8: "emergency calls only",
    90: "no UICC",
}

# 3GPP TS 27.007 §7.3 has EC-GSM-IoT for 8, which nobody operates; modules for LTE-M use that number for it.
_TECHNOLOGIES: Final = {
    0: "GSM",
    1: "GSM",
    2: "UMTS",
    3: "EDGE",
    4: "HSPA",
    5: "HSPA",
    6: "HSPA",
    7: "LTE",
    8: "LTE-M",
    9: "NB-IoT",
    10: "LTE (5G core)",
    11: "5G",
    12: "5G",
    13: "LTE with 5G",
}

OPERATOR_KEPT_S: Final = 30.0
_REGISTRATION_REPORT: Final = re.compile(r"\+(CREG|CGREG|CEREG|C5GREG)\b")


@dataclass(frozen=True, slots=True)
class Registration:
    """``state`` as in 3GPP TS 27.007 §10.1.22; ``source`` is CEREG, CGREG, CREG or C5GREG."""

    state: int
    source: str

    @property
    def registered(self) -> bool:
        """Whether data may flow."""
        return self.state in (1, 5)

    def __str__(self) -> str:
        return f"{_STATES.get(self.state, f'state {self.state}')} ({self.source})"


async def read(link: ModemLink, queries: HangingQueries | None = None) -> Registration | None:
    """The best registration that any of the module's commands tells; None when none of them works. ``queries``
    remembers which of them hang."""
    best: Registration | None = None
    hang: CommandTimeout | None = None
    queries = queries if queries is not None else HangingQueries()
    await link.ready()
    for name in queries.worth_asking(link.profile.queries.registration):
        try:
            state = commands.read_registration(await link.run(commands.registration(name)))
        except CommandTimeout as error:
            queries.hung(name)
            hang = hang or error
            continue
        except CommandRefused:
            continue
        if state is None:
            continue
        queries.answered(name)
        found = Registration(state, name)
        if found.registered:
            return found
        best = best or found
    if best is None and hang is not None:
        raise hang
    return best


class Operator:
    """The network by AT+COPS?, asked once for all who want to know a part of it within a poll."""

    def __init__(self, link: ModemLink) -> None:
        self._link = link
        self._lines: tuple[str, ...] = ()
        self._until_s = 0.0
        self._generation = -1
        link.listen(self._look)

    async def rplmn(self) -> str | None:
        """The registered network's MCC and MNC as 5 or 6 digits, for ESipa rPLMN; None when unknown. Raises errors of
        the modem side."""
        lines = await self._ask()
        if commands.names_network(lines) and commands.read_plmn(lines) is None:
            # By its name: the format was never set, or the modem restarted since.
            try:
                await self._link.run(commands.OPERATOR_FORMAT_NUMERIC)
            except CommandRefused:
                return None
            self._until_s = 0.0
            lines = await self._ask()
        return commands.read_plmn(lines)

    async def technology(self) -> str | None:
        """The radio access in words; None when the modem does not tell, or is not registered. Raises errors of the
        modem side."""
        number = commands.read_technology(await self._ask())
        return None if number is None else _TECHNOLOGIES.get(number, f"access technology {number}")

    async def _ask(self) -> tuple[str, ...]:
        """The answer's lines; what named a network holds for a moment, or until the registration changes."""
        await self._link.ready()
        now_s = asyncio.get_running_loop().time()
        if self._generation == self._link.generation and now_s < self._until_s:
            return self._lines
        self._generation, self._until_s = self._link.generation, now_s + OPERATOR_KEPT_S
        try:
            lines = await self._link.run(commands.OPERATOR)
        except CommandRefused:
            lines = ()
        self._lines = lines
        if not commands.names_network(lines):
            self._until_s = 0.0
        return lines

    def _look(self, text: str) -> None:
        if _REGISTRATION_REPORT.match(text):
            self._until_s = 0.0
