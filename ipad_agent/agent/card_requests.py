"""Things others want done with the card: each gets a turn of its own, between what the agent does anyway."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from ipad_agent.errors import CardError, IpadError, ModemError, Remedy
from ipad_agent.procedures.context import Context
from ipad_agent.records import dataclass

T = TypeVar("T")

MOST: Final = 16
"""So many may wait for their turn."""

Job = Callable[[Context, tuple[str, ...]], Awaitable[T]]
"""Gets the context of the card that is served, and the ids of all its eIMs."""


class NotServing(IpadError):
    """There is no card that anything could be done with."""

    remedy = Remedy.RETRY
    default_hint = "Wait until the agent has found modem and card, or see what keeps it from them."


@dataclass(frozen=True, slots=True)
class _Turn:
    job: Job[object]
    done: asyncio.Future[object]


class CardRequests:
    """Who waits for a turn. ``wake`` is called when somebody comes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._waiting: deque[_Turn] = deque()
        self._wake = wake
        self._why_not: str | None = "the agent has not found the card yet"

    def refuse(self, why: str) -> None:
        """There is no card now; everybody who waits hears why."""
        self._why_not = why
        while self._waiting:
            done = self._waiting.popleft().done
            if not done.done():
                done.set_exception(NotServing(why))

    def serve(self) -> None:
        """A card is there."""
        self._why_not = None

    async def ask(self, job: Job[T]) -> T:
        """Wait for a turn and have ``job`` done in it. Raises ``NotServing``, and whatever the job raises; a caller who
        goes away before its turn loses it."""
        if self._why_not is not None:
            raise NotServing(self._why_not)
        if len(self._waiting) >= MOST:
            raise NotServing("too many others wait for the card")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Turn(job, done))  # type: ignore[arg-type]  # the job's result is the future's
        self._wake()
        return await done

    @asynccontextmanager
    async def hold(self, limit_s: float) -> AsyncIterator[None]:
        """A turn for the body of a ``with``; the agent takes it back after ``limit_s``. Where no card is served there
        is nobody to disturb, and the body runs at once. Raises ``TimeoutError`` without a turn."""
        entered, left = asyncio.Event(), asyncio.Event()

        async def job(context: Context, eims: tuple[str, ...]) -> None:
            entered.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await left.wait()

        asked = asyncio.create_task(self.ask(job))
        waiting = asyncio.create_task(entered.wait())
        try:
            ended, _ = await asyncio.wait({asked, waiting}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                raise TimeoutError(f"no turn within {limit_s:g} s")
            yield
        finally:
            left.set()
            waiting.cancel()
            if not entered.is_set():
                asked.cancel()
            with contextlib.suppress(NotServing, asyncio.CancelledError):
                await asked

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    async def take(self, context: Context, eims: tuple[str, ...]) -> bool:
        """Do what is wanted now; whether there was anything. A card that fails in a job is raised here too."""
        taken = False
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.done.done():
                continue
            taken = True
            try:
                result = await turn.job(context, eims)
            except (CardError, ModemError) as trouble:
                _end(turn.done, trouble)
                if not (isinstance(trouble, CardError) and trouble.alive):  # whoever asked has heard it
                    raise
            except IpadError as refusal:
                _end(turn.done, refusal)
            except BaseException:
                turn.done.cancel()
                raise
            else:
                if not turn.done.done():
                    turn.done.set_result(result)
        return taken


def _end(done: asyncio.Future[object], error: IpadError) -> None:
    if not done.done():
        done.set_exception(error)
