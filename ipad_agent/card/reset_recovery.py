"""Getting the card back after a reset, a REFRESH or a loss: open, else climb the reset ladder, and verify.

Reachable is: ISD-R selected and EID read. Switched is: the modem sees the ICCID of the profile that is enabled on
the card. A rung that does not lead there is followed by the next (SGP.32 v1.2 §3.3.1, TS 102 223 §6.4.7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.codec.identifiers import NO_PROFILE, same_iccid, short_iccid
from ipad_agent.errors import CardError, ModemError

from . import events
from .apdu_channel import RecoveryPlan, TellsSubscriber
from .errors import CardUnreachable, ResetPending
from .isdr_session import IsdrSession

_FIRST_DELAY_S: Final = 0.25
_DELAY_GROWTH: Final = 1.5
_MAX_DELAY_S: Final = 3.0
_STILL_PENDING_S: Final = 5.0  # a card that waits for its reset does not change its mind by waiting
_ICCID_POLL_S: Final = 1.0
_ICCID_WAIT_S: Final = 15.0
_POWER_CYCLE_RUNG: Final = 3
"""From this rung on the card had no power: the modem has read all of it anew."""


class Recovery:
    """``enabled_iccid`` tells the ICCID of the profile enabled on the card as text, None when none is or the card tells
    none: then there is nothing to compare the modem's with."""

    def __init__(self, isdr: IsdrSession, enabled_iccid: Callable[[], Awaitable[str | None]]) -> None:
        self._isdr = isdr
        self._access = isdr.access
        self._enabled_iccid = enabled_iccid
        self._cut_off_at: int | None = None  # the rung at which the last run was cancelled for want of time

    async def run(self, *, reset_expected: bool, first_rung: int | None, expected: str | None = None) -> None:
        """Get the card back. ``reset_expected``: a profile was switched, so only a reset completes it; otherwise the
        card is just opened again, and the ladder is for a card that stays away. ``expected`` is the ICCID of the
        profile that the modem has to see, or ``NO_PROFILE``: a card that reports the old state until its reset would
        agree with a modem that never reset it.

        Raises ``CardUnreachable`` when the whole ladder does not help. A card that answers something else than an EID
        is not reset for that, unless a reset is due: its ``CardError`` is raised.
        """
        start = asyncio.get_running_loop().time()
        # Without this, a ladder that is longer than the time for it would never be climbed to its end.
        first_rung, self._cut_off_at = self._cut_off_at if first_rung is None else first_rung, None
        await self._isdr.forget()
        failure: CardError | ModemError | None = None
        if not reset_expected and first_rung is None:
            failure = await self._reach(self._access.recovery_plan().wait_s)
            if failure is None:
                self._report(start, rung=None)
                return
            if isinstance(failure, CardError) and failure.answered:
                raise failure
        reached = gone = False
        for rung in [rung for rung in self._access.recovery_plan().rungs if rung >= (first_rung or 0)]:
            events.RECOVERING.emit(rung=rung)
            self._cut_off_at = rung
            await self._isdr.forget()
            try:
                await self._access.reset_card(rung=rung)
            except (CardError, ModemError) as error:
                events.RUNG_FAILED.emit(rung=rung, reason=error.message)
                failure, gone = failure or error, True
                continue
            gone = False
            await self._isdr.forget()
            plan = self._access.recovery_plan()
            failure = await self._reach(plan.wait_s)
            reached = failure is None
            if not reached:
                continue
            try:
                agreed = not reset_expected or await self._switched(plan, rung, expected)
            except (CardError, ModemError) as error:
                # It answered, and is gone again: nobody has seen that modem and card agree.
                events.RUNG_FAILED.emit(rung=rung, reason=error.message)
                failure, reached = error, False
                continue
            if agreed:
                self._cut_off_at = None
                self._report(start, rung=rung)
                return
        self._cut_off_at = None
        if reached and gone:
            # It was reached, but modem and card did not agree, and no harder rung was possible: because the modem does
            # not have it, or because the port is gone and nobody knows what will be there when it comes back.
            failure = await self._reach(0.0)
            reached = failure is None
        if not reached:
            reason = failure.message if failure is not None else "no rung of the reset ladder is available"
            raise CardUnreachable(f"the card does not come back: {reason}") from failure

    async def wait(self) -> None:
        """Open the card again without resetting anything; raises the last failure when it stays away."""
        failure = await self._reach(self._access.recovery_plan().wait_s)
        if failure is not None:
            raise failure

    async def _reach(self, limit_s: float) -> CardError | ModemError | None:
        """Open the ISD-R with growing pauses; None when it worked, else the last failure."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                await self._isdr.transport()
            except (CardError, ModemError) as error:
                failure = error
            else:
                return None
            patience_s = min(limit_s, _STILL_PENDING_S) if isinstance(failure, ResetPending) else limit_s
            if loop.time() + delay_s - start > patience_s:
                return failure
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * _DELAY_GROWTH, _MAX_DELAY_S)

    async def _switched(self, plan: RecoveryPlan, rung: int, expected: str | None) -> bool:
        """Whether modem and card agree on the enabled profile; the modem gets some time to read it. Raises
        ``CardError`` or ``ModemError`` when one of them is gone."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + min(plan.wait_s, _ICCID_WAIT_S)
        on_card = expected or await self._enabled_iccid()
        if on_card is None:
            return True
        if expected == NO_PROFILE:  # and the card still names one: it was not reset
            events.NOT_YET_SWITCHED.emit(card="none", modem=short_iccid(on_card), rung=rung)
            return False
        while True:
            seen = await self._access.read_iccid()
            agreed = seen is not None and same_iccid(seen, on_card)
            if agreed and not await self._subscriber_is_old(on_card, rung):
                return True
            if loop.time() + _ICCID_POLL_S > limit:
                break
            await asyncio.sleep(_ICCID_POLL_S)
        if agreed:
            events.OLD_SUBSCRIBER.emit(iccid=short_iccid(on_card), rung=rung)
            return False
        events.NOT_YET_SWITCHED.emit(
            card=short_iccid(on_card), modem=short_iccid(seen) if seen else "no SIM", rung=rung
        )
        return False

    async def _subscriber_is_old(self, iccid: str, rung: int) -> bool:
        """Whether the modem only reads the new profile's ICCID and goes on with the subscription of the old one. Two
        profiles may have the same IMSI: after a power cycle nothing speaks against it any more."""
        if not isinstance(self._access, TellsSubscriber):
            return False
        if rung >= _POWER_CYCLE_RUNG:
            await self._access.trust_subscriber(iccid)
            return False
        return await self._access.subscriber_is_old(iccid)

    def _report(self, start: float, *, rung: int | None) -> None:
        seconds = round(asyncio.get_running_loop().time() - start, 1)
        events.RECOVERED.emit(seconds=seconds, rung="none" if rung is None else rung)
