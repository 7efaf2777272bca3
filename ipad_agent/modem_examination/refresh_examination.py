"""What a REFRESH of the card does to this modem: measured by changing to the fallback profile and back, which is the
one switch that SGP.32 leaves to a device (v1.2 §5.9.20, §5.9.21). Only after a person consented.

Whatever happens in between, the way back is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.card.es10_functions import Euicc
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.errors import CardError, ModemError
from ipad_agent.records import dataclass

from .examined_port import ExaminedPort
from .way_examination import UnsweptAccess

_TRIES_BACK: Final = 3


@dataclass(frozen=True, slots=True)
class OneSwitch:
    """``ok``: the card took the order; else ``why``. ``modem_executed``: the modem saw the other profile without a
    command. ``rung`` is that of the reset ladder that made it see it, 0 for none needed, None when none helped."""

    order: str
    ok: bool
    why: str = ""
    modem_executed: bool | None = None
    seconds: float | None = None
    rung: int | None = None
    port_vanished: bool = False


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """``back``: the profile of before is enabled again, None when nothing was switched. ``unsolicited`` are the names
    of the results that came by themselves meanwhile."""

    switches: tuple[OneSwitch, ...]
    back: bool | None
    unsolicited: tuple[str, ...] = ()


class RefreshExamination:
    """``deadline_s`` is how long the modem may take by itself."""

    def __init__(self, euicc: Euicc, access: UnsweptAccess, port: ExaminedPort) -> None:
        self._euicc = euicc
        self._access = access
        self._port = port
        self.names: list[str] = []

    def note(self, text: str) -> None:
        """An unsolicited result."""
        name = text.partition(":")[0].strip()[:40]
        if name not in self.names:
            self.names.append(name)

    async def run(self) -> RefreshFacts:
        """There and back. Raises ``CardError`` or ``ModemError`` only before anything was switched."""
        before = await self._enabled()
        fallback = next((one for one in await self._euicc.get_profiles() if one.fallback_attribute), None)
        try:
            away = await self._switch("ExecuteFallbackMechanism", self._euicc.execute_fallback, fallback)
            if not away.ok:
                return RefreshFacts((away,), None if await self._is_enabled(before) else await self._insist(before))
            again, back = await self._go_back(before)
        except BaseException:
            # Interrupted half-way: what the card did is not known, and going back does no harm.
            await self._go_back(before)
            await self._let_the_modem_see(before)
            raise
        return RefreshFacts((away, *again), back, tuple(self.names))

    async def _go_back(self, before: ProfileInfo | None) -> tuple[tuple[OneSwitch, ...], bool]:
        done: list[OneSwitch] = []
        for _ in range(_TRIES_BACK):
            if await self._is_enabled(before):
                break
            try:
                done.append(await self._switch("ReturnFromFallback", self._euicc.return_from_fallback, before))
            except (CardError, ModemError) as error:
                done.append(OneSwitch("ReturnFromFallback", False, error.message))
                await self._recover()
        return tuple(done), await self._is_enabled(before)

    async def _let_the_modem_see(self, wanted: ProfileInfo | None) -> None:
        """A switch that was given up may have lost the reset that completes it."""
        expected = None if wanted is None or wanted.iccid is None else str(wanted.iccid)
        with contextlib.suppress(CardError, ModemError):
            if await self._access.read_iccid() != expected:
                await self._euicc.verify_switched(expected)

    async def _insist(self, before: ProfileInfo | None) -> bool:
        return (await self._go_back(before))[1]

    async def _switch(
        self, order: str, call: Callable[[], Awaitable[ResultCode]], wanted: ProfileInfo | None
    ) -> OneSwitch:
        openings, loop = self._port.openings, asyncio.get_running_loop()
        self._access.rungs.clear()
        code = await call()
        if not code.ok:
            return OneSwitch(order, False, f"the card answered {code}")
        began_s = loop.time()
        expected = None if wanted is None or wanted.iccid is None else str(wanted.iccid)
        try:
            await self._euicc.recover(expected=expected)
        except (CardError, ModemError) as error:
            return OneSwitch(order, True, error.message, False, None, None, self._port.openings > openings)
        seconds = round(loop.time() - began_s, 1)
        rung = self._access.rungs[-1] if self._access.rungs else 0
        return OneSwitch(order, True, "", rung == 0, seconds, rung, self._port.openings > openings)

    async def _recover(self) -> None:
        try:
            await self._euicc.recover()
        except (CardError, ModemError):
            return

    async def _enabled(self) -> ProfileInfo | None:
        self._euicc.ask_anew()
        return next((one for one in await self._euicc.get_profiles() if one.state == 1), None)

    async def _is_enabled(self, wanted: ProfileInfo | None) -> bool:
        try:
            found = await self._enabled()
        except (CardError, ModemError):
            return False
        return found is not None and wanted is not None and found.iccid == wanted.iccid
