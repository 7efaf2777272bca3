"""An LPA in the module's own firmware that keeps the ISD-R to itself: found by asking, switched off with consent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands, events
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink

from .channel_record import SettingMemory
from .reset_ladder import ResetLadder

_STATE: Final = re.compile(r"[^:]*:\s*(?:.*,)?\s*\"?([01])\"?\s*")
REMEDY: Final = "The module's own LPA is switched on and may hold the ISD-R."


class VendorLpa:
    """To be asked when the ISD-R could not be opened by any way."""

    def __init__(
        self, link: ModemLink, ladder: ResetLadder, *, consent_nvm_writes: bool, settings: SettingMemory
    ) -> None:
        self._link = link
        self._ladder = ladder
        self._consent = consent_nvm_writes
        self._settings = settings
        self._asked_in = -1
        self.on = False
        """Whether the module said so when it was asked last."""

    async def lets_go(self) -> bool:
        """Ask the module, once per opening of the port or reset; with the operator's consent switch its LPA off, once
        for ever, and restart the module where that is needed. True when opening a channel is worth another try.

        Raises errors of the port; a refused command is no error.
        """
        lpa = self._link.profile.vendor_lpa
        if lpa.query is None or self._asked_in == self._link.generation:
            return False
        self._asked_in = self._link.generation
        self.on = await self._asked(lpa.query) is True
        if not self.on:
            return False
        off = " ".join(lpa.off)
        if not lpa.off or (lpa.writes_nvm and not self._consent):
            events.VENDOR_LPA_HOLDS.emit(command=off or lpa.query)
            return False
        key = f"{(await self._link.identity()).key} {off}"
        if self._settings.written(key):
            events.VENDOR_LPA_ON_AGAIN.emit(command=off)
            return False
        self._settings.save(key)
        for text in lpa.off:
            try:
                await self._link.run(commands.plain(text))
            except (CommandRefused, CommandTimeout, LineDamaged) as error:
                events.VENDOR_LPA_STAYS.emit(reason=error.message)
                return False
        events.VENDOR_LPA_SWITCHED_OFF.emit(command=off)
        self.on = False
        if lpa.reset_needed:
            await self._restart()
        self._asked_in = self._link.generation
        return True

    async def _asked(self, text: str) -> bool | None:
        try:
            return read_state(await self._link.run(commands.plain(text)))
        except (CommandRefused, CommandTimeout, LineDamaged):
            return None

    async def _restart(self) -> None:
        rungs = self._ladder.rungs()
        if rungs:
            try:
                await self._ladder.climb(rungs[-1])
            except ModemError as error:
                events.VENDOR_LPA_STAYS.emit(reason=error.message)


def read_state(lines: Sequence[str]) -> bool | None:
    """The 0 or 1 at the end of the one answer line (``+QESIM: "lpa_enable",1``); None for anything else."""
    match = _STATE.fullmatch(lines[0]) if len(lines) == 1 else None
    return None if match is None else match[1] == "1"
