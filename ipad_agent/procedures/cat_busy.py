"""A card whose toolkit is busy for a moment (catBusy, SGP.32 v1.2 §5.9.15 to §5.9.23) is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ipad_agent.codec.ber.tlv_fields import ResultCode

CAT_BUSY: Final = 5
TRIES: Final = 3
PAUSE_S: Final = 2.0


async def unless_busy(call: Callable[[], Awaitable[ResultCode]]) -> ResultCode:
    """The answer to ``call``, which is made three times at most, two seconds apart, while the card says catBusy."""
    code = await call()
    for _ in range(TRIES - 1):
        if code != CAT_BUSY:
            break
        await asyncio.sleep(PAUSE_S)
        code = await call()
    return code
