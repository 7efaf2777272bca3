"""The card slot that the configuration wants: read first, written only where it differs and where that is allowed.

A slot is kept in the module's flash, so it is written once in the life of this process at most; what does not stick
then is for a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import commands, events
from .at.at_session import AtSession
from .errors import CommandRefused, CommandTimeout, LineDamaged
from .module_profile import ModuleProfile

_NOT_FATAL = (CommandRefused, CommandTimeout, LineDamaged)
_SWITCH_S = 15.0


class SlotSelection:
    """``wanted`` counts from 1, as the commands of the profile do; None leaves it as it is."""

    def __init__(self, wanted: int | None, *, allow_nvm_writes: bool) -> None:
        self._wanted = wanted
        self._allowed = allow_nvm_writes
        self._written = False
        self._said: str | None = None

    async def ensure(self, session: AtSession, profile: ModuleProfile) -> bool:
        """Whether the slot was changed now. Raises only what ends the line."""
        slots = profile.slots
        if self._wanted is None:
            return False
        if slots.query is None or self._wanted > len(slots.select):
            self._say("the profile of this module knows no command that tells it")
            return False
        found = await self._read(session, slots.query, slots.select)
        if found is None:
            self._say("the module did not tell which one it uses")
        elif found == self._wanted:
            self._said = None
        elif slots.writes_nvm and not self._allowed:
            self._say(f"the module uses slot {found}, and modem.allow_nvm_writes is not set")
        elif self._written:
            self._say(f"the module uses slot {found} again, and its memory is not written twice")
        else:
            return await self._write(session, profile, found, self._wanted)
        return False

    async def _write(self, session: AtSession, profile: ModuleProfile, found: int, wanted: int) -> bool:
        slots = profile.slots
        self._written = True
        try:
            for text in (*slots.before, slots.select[wanted - 1]):
                await session.run(commands.plain(text, deadline_s=_SWITCH_S))
        except _NOT_FATAL as error:
            self._say(error.message)
            return False
        finally:
            for text in slots.after:
                await self._try(session, text)
        events.SLOT_SELECTED.emit(slot=wanted, former=found)
        return True

    async def _read(self, session: AtSession, query: str, select: Sequence[str]) -> int | None:
        """The slot whose command would say the same as the answer; None when that is not exactly one."""
        try:
            lines = await session.run(commands.of_person(query, deadline_s=5.0))
        except _NOT_FATAL:
            return None
        told = {_plain(line.partition(":")[2]) for line in lines if ":" in line}
        fitting = [number for number, text in enumerate(select, 1) if _plain(text.partition("=")[2]) in told]
        return fitting[0] if len(fitting) == 1 else None

    async def _try(self, session: AtSession, text: str) -> None:
        try:
            await session.run(commands.plain(text, deadline_s=_SWITCH_S))
        except _NOT_FATAL as error:
            events.INIT_REFUSED.emit(command=commands.plain(text).name, reason=error.message)

    def _say(self, reason: str) -> None:
        """Each reason once, until the slot is right."""
        if reason != self._said:
            self._said = reason
            events.SLOT_NOT_SELECTED.emit(slot=self._wanted or 0, reason=reason)


def _plain(text: str) -> str:
    return re.sub(r'[\s"]', "", text).upper()
