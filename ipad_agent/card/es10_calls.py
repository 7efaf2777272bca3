"""How a function of ES10 is called: one after the other, and repeated or not.

Reads are repeated once on a new channel when the channel got lost or the card refused them, and what they told is kept
until something may have changed it (``known_answers.py``). What changes the card is never sent twice unless the card
cannot have seen it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, cast

from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.errors import CodecError

from . import apdu, events
from .errors import (
    CardBusy,
    CardUnreachable,
    ChannelLost,
    ChannelTrouble,
    LossReason,
    MalformedAnswer,
    NotSelected,
    NotSupportedByCard,
    ResetPending,
    StatusWordError,
    TruncatedAnswer,
)
from .isdr_session import IsdrSession
from .known_answers import Aside, Fact, Known
from .reset_recovery import Recovery

T = TypeVar("T")

_LACKING: Final = frozenset({0x6A80, 0x6A86, 0x6A88, 0x6D00, 0x6E00})
_NOTICE_GAP_S: Final = 30.0
_PROFILE_STATES: Final = bytes.fromhex("5A9F70")


class Es10Calls:
    """The calls to one eUICC. ``lock`` is held during each; ``reset_due``: a profile was switched and the reset that
    completes it was not seen yet."""

    def __init__(self, isdr: IsdrSession, *, recover_limit_s: float) -> None:
        self.isdr = isdr
        self.lock = asyncio.Lock()
        self.known = Known(lambda: isdr.access.epoch, lambda: isdr.eid, lambda: asyncio.get_running_loop().time())
        self.reset_due = False
        self._recover_limit_s = recover_limit_s
        self._recovery = Recovery(isdr, self._enabled_iccid)
        self._noticed_s: float | None = None

    async def recover(self, *, first_rung: int | None, expected: str | None) -> None:
        """See ``Euicc.recover``."""
        async with self.lock:
            self.known.drop()
            try:
                async with asyncio.timeout(self._recover_limit_s):
                    await self._recovery.run(reset_expected=self.reset_due, first_rung=first_rung, expected=expected)
            except TimeoutError:
                raise CardUnreachable(f"the card did not come back within {self._recover_limit_s:g} s") from None
            self.reset_due = False

    async def read(self, function: str, request: bytes, parse: Callable[[bytes], T]) -> T:
        """Ask the card, whatever is known."""
        async with self.lock:
            return await self.read_locked(function, request, parse)

    async def kept(
        self, fact: Fact, read: Callable[[], Awaitable[T]], *, worth_keeping: Callable[[T], bool] = lambda _: True
    ) -> T:
        """What is known, else what the card says now."""
        async with self.lock:
            if self.known.get(fact) is not None:
                await self._notice_changes()
            found = self.known.get(fact)
            if found is not None:
                return cast(T, found)
            answer = await read()
            self._noticed_s = asyncio.get_running_loop().time()
            if worth_keeping(answer) and not self.reset_due and not self.isdr.proactive_pending:
                self.known.keep(fact, answer, epoch=self.isdr.opened_in)
            return answer

    async def change(
        self,
        function: str,
        request: bytes,
        parse: Callable[[bytes], T],
        switched: Callable[[T], bool] = lambda _: False,
        *,
        note: Callable[[T, Aside], None] = lambda _answer, _before: None,
    ) -> T:
        """Order something; again only when the card cannot have seen the order. ``switched`` tells from the answer
        whether the card now needs a reset, ``note`` what is known afterwards from the answer and what was before."""
        async with self.lock:
            before = self.known.set_aside()
            try:
                answer = await self.call(function, request, parse, idempotent=False)
            except (ChannelLost, NotSelected, ChannelTrouble) as error:
                if error.may_have_executed:
                    raise
                events.READ_REPEATED.emit(function=function, reason=error.message)
                answer = await self.call(function, request, parse, idempotent=False)
            if switched(answer):
                self.reset_due = True
            if not self.reset_due:
                note(answer, before)
            return answer

    async def switch(self, function: str, request: bytes, parse: Callable[[bytes], ResultCode]) -> ResultCode:
        """``change`` for a function that switches the profile when its code is ok."""
        return await self.change(function, request, parse, lambda code: code.ok)

    async def once(self, function: str, request: bytes, parse: Callable[[bytes], T]) -> T:
        """For what is never repeated, whether the card has seen it or not."""
        async with self.lock:
            return await self.call(function, request, parse, idempotent=False)

    async def read_locked(self, function: str, request: bytes, parse: Callable[[bytes], T]) -> T:
        """``read`` for whoever holds ``lock``."""
        return await self.repeated(function, lambda: self.call(function, request, parse, idempotent=True))

    async def repeated(self, function: str, call: Callable[[], Awaitable[T]]) -> T:
        """For whoever holds ``lock``: ask; once more on a new channel when the channel was lost, the answer cut, or the
        question refused in a way that names no lack; once more after a recovery when the card waits for a reset that
        is known to be due."""
        try:
            return await call()
        except (ChannelLost, NotSelected, ChannelTrouble, TruncatedAnswer) as error:
            events.READ_REPEATED.emit(function=function, reason=error.message)
            if isinstance(error, ChannelLost) and error.reason is LossReason.PORT:
                await self._recovery.wait()  # a port that vanished needs some seconds to come back
        except ResetPending:
            if not self.reset_due:
                raise
            self.known.drop()
            await self._recovery.run(reset_expected=True, first_rung=None)
            self.reset_due = False
        except CardBusy:
            raise  # it was asked often enough
        except StatusWordError as error:
            events.READ_REPEATED.emit(function=function, reason=error.message)
            await self.isdr.drop()
        return await call()

    async def call(self, function: str, request: bytes, parse: Callable[[bytes], T], *, idempotent: bool) -> T:
        """One call and no more, for whoever holds ``lock``."""
        try:
            raw = await self.send(request, idempotent=idempotent)
        except StatusWordError as error:
            if error.sw not in _LACKING:
                raise
            events.NOT_SUPPORTED.emit(function=function, answer=apdu.explain(error.sw))
            raise NotSupportedByCard(f"{function}: the card answered {apdu.explain(error.sw)}") from error
        if not raw:
            events.NOT_SUPPORTED.emit(function=function, answer="9000 without data")
            raise NotSupportedByCard(f"{function}: the card answered nothing")
        try:
            answer = parse(raw)
        except CodecError as error:
            raise MalformedAnswer(f"the answer to {function} cannot be read: {error.message}", raw=raw) from error
        self.isdr.tolerated(function, getattr(answer, "tolerances", ()))
        return answer

    async def send(self, request: bytes, *, idempotent: bool, answer_due: bool = True) -> bytes:
        """As ``call``, for an answer that may be empty; ``answer_due`` is False where it has to be."""
        transport = await self.isdr.transport()
        try:
            answer = await transport.es10(request, idempotent=idempotent, answer_due=answer_due)
        except TruncatedAnswer:
            self.known.drop()
            await self.isdr.drop()
            raise
        except (ChannelLost, NotSelected, ChannelTrouble):
            self.known.drop()
            await self.isdr.forget()  # the card was reset, or may have been
            raise
        finally:
            # 91xx: the card has a REFRESH for the modem, whatever the answer looks like.
            self.reset_due = self.reset_due or (transport.proactive_pending and not idempotent)
        return answer

    async def _notice_changes(self) -> None:
        """Before anything is taken as known: whether the modem still sees the same card. While a channel is open, or
        was a moment ago, the card itself would have shown it."""
        now_s = asyncio.get_running_loop().time()
        if self.isdr.is_open:
            self._noticed_s = now_s
        elif self._noticed_s is None or now_s - self._noticed_s >= _NOTICE_GAP_S:
            await self.isdr.access.notice_changes()
            self._noticed_s = now_s

    async def _enabled_iccid(self) -> str | None:
        """For the recovery, which holds the lock already; asks without repeating anything."""
        try:
            request = es10_requests.get_profiles_request(tag_list=_PROFILE_STATES)
            enabled = (
                await self.call("GetProfilesInfo", request, es10_requests.parse_get_profiles, idempotent=True)
            ).enabled
        except (NotSupportedByCard, MalformedAnswer):
            return None
        return None if enabled is None or enabled.iccid is None else str(enabled.iccid)
