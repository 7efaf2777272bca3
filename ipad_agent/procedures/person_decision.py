"""What a person may say to a switch that is under way: keep it, or go back."""

from __future__ import annotations

import asyncio
from enum import StrEnum


class Call(StrEnum):
    """One such word."""

    CONFIRM = "confirm"
    ROLLBACK = "rollback"


class PersonDecision:
    """Carries the word to the procedure that waits. One that comes when nobody waits is kept for the next who does;
    ``clear`` forgets it."""

    def __init__(self) -> None:
        self._call: Call | None = None
        self._said = asyncio.Event()
        self.waited_for = False
        """Whether a procedure waits for a word right now."""

    def say(self, call: Call) -> None:
        """To be called in the event loop."""
        self._call = call
        self._said.set()

    def clear(self) -> None:
        self._call = None
        self._said.clear()

    async def wait(self, limit_s: float) -> Call | None:
        """The word, or None after ``limit_s``."""
        self.waited_for = True
        try:
            async with asyncio.timeout(max(limit_s, 0.001)):
                await self._said.wait()
        except TimeoutError:
            return None
        finally:
            self.waited_for = False
        call = self._call
        self.clear()
        return call
