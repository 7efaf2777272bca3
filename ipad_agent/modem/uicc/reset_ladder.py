"""The reset ladder: from waiting for the modem's own REFRESH to restarting the modem (rungs 0 to 5).

Whatever a rung switches off is switched on again, also when the port vanishes or the agent is stopped half-way: a
device left in AT+CFUN=0 is offline for ever.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands, events
from ipad_agent.modem.errors import ResetNotPossible
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.module_profile import ModuleProfile, Rung

_POLL_S = 1.0
_RADIO_DEADLINE_S = 15.0
_TICK_S = 0.001  # sums of times are not exact; less than this is no time


class ResetLadder:
    """Climbs one rung when told. Sees every unsolicited result, so that a REFRESH that was quicker than the question
    for it is not missed; ``note_opened`` starts a new look-out."""

    def __init__(
        self, link: ModemLink, *, consent_nvm_writes: bool, read_iccid: Callable[[], Awaitable[str | None]]
    ) -> None:
        self._link = link
        self._consent_nvm_writes = consent_nvm_writes
        self._read_iccid = read_iccid
        self.initialisations = 0
        """How often the modem said that the SIM was initialised."""
        self._sim_ready = asyncio.Event()
        self._iccid_before: str | None = None
        self._iccid_generation = -1
        self._patterns: tuple[str, ...] = ()
        self._sim_ready_line = re.compile("(?!)")
        link.listen(self._look)

    def rungs(self) -> tuple[int, ...]:
        """The rungs that exist for the module and are allowed, cheapest first."""
        profile = self._link.profile
        return tuple(
            number
            for number, rung in sorted(profile.ladder.items())
            if self._allowed(rung) and not (number == 0 and profile.refresh.modem_executes is False)
        )

    async def note_opened(self) -> str | None:
        """A channel was opened: a "SIM ready" or another ICCID from now on tells of a reset. The ICCID that the modem
        sees, where it was asked anew."""
        self._sim_ready.clear()
        if self._iccid_generation != self._link.generation:
            self._iccid_generation = self._link.generation
            self._iccid_before = await self._read_iccid()
            return self._iccid_before
        return None

    def note_seen(self, iccid: str | None) -> None:
        """The modem sees this profile now. Another one than when the channel was opened tells of a reset, or of another
        card, that it did not announce."""
        if self._iccid_generation == self._link.generation and iccid != self._iccid_before:
            self._iccid_before = iccid
            self.initialisations += 1

    async def climb(self, number: int) -> None:
        """Do rung ``number`` and wait until the SIM side looks ready again (or the time for that is over).

        Raises ``ResetNotPossible`` when the rung does not exist or is not allowed, or another ``ModemError`` when the
        modem does not come back.
        """
        await self._link.ready()
        profile = self._link.profile
        rung = profile.ladder.get(number)
        if rung is None:
            raise ResetNotPossible(f"profile {profile.name} has no rung {number}")
        if not self._allowed(rung):
            raise ResetNotPossible(
                f"rung {number} writes to the module's memory",
                hint="Allow it with modem.allow_nvm_writes if the wear is acceptable.",
            )
        if number == 0:
            await self._wait_sim_ready(profile.deadlines.refresh_wait_s, before=self._iccid_before)
            self._iccid_generation = -1
            return
        self._sim_ready.clear()
        await self._execute(rung, profile)
        if rung.port_may_vanish:
            await self._link.come_back(profile.deadlines.port_return_s)
        limit_s = profile.deadlines.sim_ready_s
        if not await self._wait_sim_ready(limit_s, before=None):
            events.SIM_READY_TIMEOUT.emit(seconds=limit_s)

    def _allowed(self, rung: Rung) -> bool:
        return self._consent_nvm_writes or not rung.writes_nvm

    async def _execute(self, rung: Rung, profile: ModuleProfile) -> None:
        events.RESET_STEP.emit(rung=rung.rung, commands=" ".join((*rung.commands, *rung.restore)))
        self._link.generation += 1  # from the first command on, no old channel may be trusted
        try:
            for text in rung.commands:
                try:
                    await self._link.run(commands.plain(text, deadline_s=_RADIO_DEADLINE_S))
                except ModemError:
                    if not rung.port_may_vanish:
                        raise
                await asyncio.sleep(rung.pause_s)
        finally:
            for text in rung.restore:
                await self._insist(text, profile.deadlines.port_return_s)

    async def _insist(self, text: str, limit_s: float) -> None:
        """Send a command until the modem takes it, over refusals and lost ports."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + limit_s
        while True:
            try:
                await self._link.run(commands.plain(text, deadline_s=_RADIO_DEADLINE_S))
                return
            except ModemError:
                if loop.time() >= limit:
                    raise
            await asyncio.sleep(_POLL_S)

    async def _wait_sim_ready(self, limit_s: float, *, before: str | None) -> bool:
        """Until the modem says that the SIM is ready, or reads an ICCID other than ``before``."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + limit_s
        while (left_s := limit - loop.time()) > _TICK_S:
            try:
                async with asyncio.timeout(min(left_s, _POLL_S)):
                    await self._sim_ready.wait()
                    return True
            except TimeoutError:
                pass
            try:
                # Also keeps the port alive: a REFRESH may take it away, and a new one tells of a restarted modem.
                iccid = await self._read_iccid()
            except ModemError:
                continue
            if iccid is not None and iccid != before:
                return True
        return False

    def _look(self, text: str) -> None:
        patterns = self._link.profile.events.sim_ready
        if patterns != self._patterns:
            self._patterns = patterns
            self._sim_ready_line = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
        if self._sim_ready_line.fullmatch(text):
            self.initialisations += 1
            self._sim_ready.set()
