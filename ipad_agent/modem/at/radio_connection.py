"""When the radio is connected, and letting it rest (3GPP TS 27.007: +CSCON, +CNMPSD).

Only for modules whose profile has the commands in ``[power]``. What is refused is left alone until the port is opened
again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ipad_agent.modem import commands, events
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink

_STATE: Final = commands.query("AT+CSCON?", "+CSCON")
_REPORT: Final = re.compile(r"\+CSCON\s*:\s*([01])\s*(?:,\s*[0-9]+.*)?")
_ANSWER: Final = re.compile(r"\+CSCON\s*:\s*[0-9]\s*,\s*([01])\s*(?:,.*)?")


class RadioConnection:
    """``connected`` is what the modem said last; None where it says nothing. ``on_connected`` is called when the radio
    gets connected, whoever wanted it."""

    def __init__(self, link: ModemLink) -> None:
        self.connected: bool | None = None
        self.on_connected: Callable[[], None] | None = None
        self._link = link
        self._asked_in = self._refused_in = -1
        link.listen(self._heard)

    async def look(self) -> None:
        """Have changes told, and ask for the state; once per opening of the port. Raises errors of the port."""
        await self._link.ready()
        if self._asked_in == self._link.generation:
            return
        self._asked_in, self.connected = self._link.generation, None
        if not self._link.profile.power.connection:
            return
        try:
            await self._link.run(commands.plain("AT+CSCON=1"))
            (line,) = await self._link.run(_STATE)
        except (CommandRefused, CommandTimeout, LineDamaged) as error:
            events.INIT_REFUSED.emit(command="AT+CSCON", reason=error.message)
            return
        except ValueError:
            return
        match = _ANSWER.fullmatch(line.strip())
        self.connected = None if match is None else match[1] == "1"

    async def release(self) -> None:
        """Tell the modem that no more data comes, so that the radio rests at once. Raises errors of the port."""
        await self._link.ready()
        if self._refused_in == self._link.generation:
            return
        for text in self._link.profile.power.release:
            try:
                await self._link.run(commands.plain(text))
            except (CommandRefused, CommandTimeout, LineDamaged) as error:
                self._refused_in = self._link.generation
                events.INIT_REFUSED.emit(command=text, reason=error.message)
                return

    def _heard(self, text: str) -> None:
        match = _REPORT.fullmatch(text.strip())
        if match is None or not self._link.profile.power.connection:
            return
        before, self.connected = self.connected, match[1] == "1"
        if self.connected and not before and self.on_connected is not None:
            self.on_connected()
