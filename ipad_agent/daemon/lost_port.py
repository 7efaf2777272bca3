"""A modem that goes away between two polls: found out at once, and not by the next poll, which may be a day away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.agent.card_requests import Job
from ipad_agent.errors import IpadError
from ipad_agent.modem.modem_link import ModemLink

GRACE_S: Final = 5.0
"""A module that restarts is often back by then, and nobody has to hear of it."""


async def look_after_lost_port(link: ModemLink, ask: Callable[[Job[None]], Awaitable[None]]) -> None:
    """For ever: when the port is lost and stays away, have the modem looked for in a turn of the agent's.

    A modem that is not there fails that turn, so that the agent says so and looks for it until it is back; one that is
    there is opened again. In the midst of other work the turn comes behind it.
    """
    lost = asyncio.Event()
    link.when_lost(lost.set)

    async def look(*_: object) -> None:
        await link.ready()

    while True:
        await lost.wait()
        await asyncio.sleep(GRACE_S)
        lost.clear()
        if link.session is None:
            with contextlib.suppress(IpadError):  # the agent hears it too
                await ask(look)
