"""Which of the module's card slots is in use: read, and changed only where it differs and that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ipad_agent.modem import commands, events
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink

MAX_WRITES: Final = 2
"""So often one run of the agent chooses a slot: whoever sets it back again has a reason, and flash wears out."""


class SlotSelection:
    """The slots by the commands of the module's profile. Slots are counted from 1 in the order of the profile."""

    def __init__(self, link: ModemLink, *, wanted: int | None, consent_nvm_writes: bool) -> None:
        self._link = link
        self._wanted = wanted
        self._consent = consent_nvm_writes
        self._writes = 0
        self._arranged_in = -1
        self.current: int | None = None
        """The slot in use, when the module told it."""

    async def look(self) -> int | None:
        """Which slot is in use, counted from 1; None when the module does not tell. Writes nothing."""
        query = self._link.profile.slots.query
        if query is not None:
            self.current = await self._read(query)
        return self.current

    async def arrange(self) -> None:
        """Read the slot, once per opening of the port or reset, and choose the wanted one where another is in use.

        Raises errors of the port; a refused command is no error.
        """
        if self._arranged_in == self._link.generation:
            return
        self._arranged_in = self._link.generation
        slots = self._link.profile.slots
        await self.look()
        wanted = self._wanted
        if wanted is None or self.current == wanted or not slots.select:
            return
        if wanted > len(slots.select):
            events.SLOT_NOT_CHOSEN.emit(slot=wanted, reason=f"the module has {len(slots.select)}")
        elif self.current is None:
            events.SLOT_NOT_CHOSEN.emit(slot=wanted, reason="the module does not tell which one is in use")
        elif slots.writes_nvm and not self._consent:
            events.SLOT_NOT_CHOSEN.emit(slot=wanted, reason="writing needs modem.allow_nvm_writes")
        elif self._writes >= MAX_WRITES:
            events.SLOT_NOT_CHOSEN.emit(slot=wanted, reason="another program chooses another one again and again")
        else:
            await self._choose(wanted)

    async def _read(self, query: str) -> int | None:
        try:
            lines = await self._link.run(commands.plain(query))
        except (CommandRefused, CommandTimeout, LineDamaged):
            return None
        return read_slot(lines, self._link.profile.slots.select)

    async def _choose(self, wanted: int) -> None:
        slots = self._link.profile.slots
        self._writes += 1
        self._link.generation += 1  # a card that is cut off keeps no channel
        self._arranged_in = self._link.generation
        try:
            for text in (*slots.before, slots.select[wanted - 1]):
                await self._link.run(commands.plain(text, deadline_s=15.0))
        except (CommandRefused, CommandTimeout, LineDamaged) as error:
            events.SLOT_NOT_CHOSEN.emit(slot=wanted, reason=error.message)
        else:
            events.SLOT_CHOSEN.emit(slot=wanted, before=self.current or 0)
            self.current = wanted
        finally:
            for text in slots.after:
                await self._link.run(commands.plain(text, deadline_s=15.0))


def read_slot(lines: Sequence[str], select: Sequence[str]) -> int | None:
    """The slot, counted from 1, whose command sets the value that the answer ends with; None when there is none.

    ``+QUIMSLOT: 2`` is the second of ``AT+QUIMSLOT=1`` and ``AT+QUIMSLOT=2``.
    """
    if len(lines) != 1:
        return None
    told = _last_value(lines[0].split(":", 1)[-1])
    found = [number for number, text in enumerate(select, start=1) if _last_value(text.split("=", 1)[-1]) == told]
    return found[0] if len(found) == 1 else None


def _last_value(text: str) -> str:
    return text.rsplit(",", 1)[-1].strip().strip('"')
