"""Follows an SMS that one of a few senders sends with the keyword, and deletes it; leaves all others alone."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ipad_agent.codec.short_message import ShortMessage
from ipad_agent.errors import IpadError
from ipad_agent.modem.short_messages import Announced, ShortMessages
from ipad_agent.records import dataclass, field

from . import events
from .wake_calls import WakeCalls

TRIES: Final = 3
AGAIN_S: Final = 10.0
_HOW: Final = "an SMS"


@dataclass(frozen=True, slots=True)
class SmsRules:
    """``senders`` as the network shows them, ``+4915…``; the text has to be the keyword and nothing else."""

    senders: frozenset[str]
    keyword: str = field(repr=False)

    def problem(self, message: ShortMessage) -> str | None:
        """Why it is no call, or None."""
        if message.sender not in self.senders:
            return "its sender is not in wake.sms_senders"
        if not hmac.compare_digest(message.text.strip().encode(), self.keyword.encode()):
            return "it does not hold the keyword"
        return None


@dataclass(frozen=True, slots=True)
class SmsWatch:
    """``turn`` gives the modem for a moment, between what the agent does with it."""

    messages: ShortMessages
    rules: SmsRules
    calls: WakeCalls
    turn: Callable[[], AbstractAsyncContextManager[None]]

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            announced = await self.messages.next()
            for attempt in range(1, TRIES + 1):
                try:
                    await self._look(announced)
                    break
                except (IpadError, TimeoutError) as error:
                    if attempt == TRIES:
                        reason = error.message if isinstance(error, IpadError) else "the agent is busy"
                        events.SMS_UNREADABLE.emit(reason=reason)
                    else:
                        await asyncio.sleep(AGAIN_S)

    async def _look(self, announced: Announced) -> None:
        async with self.turn():
            message = await self.messages.read(announced)
            if message is None:
                events.IGNORED.emit(how=_HOW, who="somebody", reason="it is no text that can be read")
                return
            problem = self.rules.problem(message)
            if problem is not None:
                events.IGNORED.emit(how=_HOW, who=shortened(message.sender), reason=problem)
                return
            try:
                await self.messages.delete(announced)
            except IpadError as error:  # it has called all the same
                events.SMS_UNREADABLE.emit(reason=f"it was read and cannot be deleted: {error.message}")
        self.calls.call(_HOW, shortened(message.sender))


def shortened(sender: str) -> str:
    """A telephone number in a log: its first and last digits."""
    return sender if len(sender) <= 6 else f"{sender[:3]}…{sender[-2:]}"
