"""Which IMSI the modem had with which profile (3GPP TS 27.007 §5.6).

A module that asks the card for its ICCID each time names the new profile at once, while it works on with what it read
when it last started the card. Its IMSI tells.

Kept in memory only; an IMSI is never said, shown or written down.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink

_IMSI: Final = re.compile(r'"?([0-9]{14,15})"?')
_READ_IMSI: Final = Command("AT+CIMI", "AT+CIMI", 5.0, re.compile(r"\+CIMI\s*:"), _IMSI)
_MOST: Final = 32


class KnownSubscribers:
    """The IMSIs by the text of the ICCID."""

    def __init__(self, link: ModemLink) -> None:
        self._link = link
        self._imsis: dict[str, str] = {}
        self._hangs = False

    async def note(self, iccid: str | None) -> None:
        """The modem sees this profile now; an IMSI that another one has is not believed."""
        if iccid is None or iccid in self._imsis:
            return
        imsi = await self._read()
        if imsi is not None and imsi not in self._imsis.values():
            self._keep(iccid, imsi)

    async def is_old(self, iccid: str) -> bool:
        """Whether the modem has the IMSI of another profile than this one."""
        imsi = await self._read()
        if imsi is None:
            return False
        if imsi in (known for other, known in self._imsis.items() if other != iccid):
            return self._imsis.get(iccid) != imsi
        self._keep(iccid, imsi)
        return False

    async def trust(self, iccid: str) -> None:
        """What the modem has now is the IMSI of this profile."""
        imsi = await self._read()
        if imsi is not None:
            self._keep(iccid, imsi)

    def _keep(self, iccid: str, imsi: str) -> None:
        self._imsis.pop(iccid, None)
        self._imsis[iccid] = imsi
        while len(self._imsis) > _MOST:
            del self._imsis[next(iter(self._imsis))]

    async def _read(self) -> str | None:
        if self._hangs:
            return None
        try:
            return _in_answer(await self._link.run(_READ_IMSI))
        except CommandTimeout:
            self._hangs = True
        except (CommandRefused, LineDamaged):
            pass
        return None


def _in_answer(lines: Sequence[str]) -> str | None:
    found = {match[1] for line in lines if (match := _IMSI.fullmatch(line.split(":", 1)[-1].strip()))}
    return found.pop() if len(found) == 1 else None
