"""The ISD-R on the card's basic channel, by AT+CGLA with session 0: for modules that open no channel at all.

The module uses the basic channel itself. Whatever it selects there takes the ISD-R from the agent, which the card then
says (6999, 6D00), and the channel is opened again. So this way is only taken where a module's profile names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipad_agent.card.apdu_channel import AidNotFound, ChannelRefused
from ipad_agent.modem import commands
from ipad_agent.modem.commands import Command
from ipad_agent.modem.modem_link import ModemLink

from .logical_channel import LogicalChannel, is_done

SESSION: Final = "0"
_SELECT_P2: Final = (0x00, 0x04, 0x0C)


class BasicChannel(LogicalChannel):
    """Session 0, which always exists."""

    description = "CGLA session 0"

    def _command(self, apdu: bytes) -> Command:
        profile = self._link.profile
        deadline_s, quoted = profile.deadlines.apdu_s, profile.uicc.quote_hex
        return commands.generic_access(self.handle, apdu, deadline_s=deadline_s, quoted=quoted)

    async def _shut(self) -> None:
        """There is nothing to close; the module selects anew what it wants there."""

    async def select(self, aid: bytes, *, deadline_s: float) -> None:
        """Select ``aid``. Raises ``AidNotFound``, ``ChannelRefused`` or ``ChannelLost``."""
        status = 0
        for p2 in _SELECT_P2:
            command = bytes([0x00, 0xA4, 0x04, p2, len(aid)]) + aid
            self.select_response, status = await self.complete(command, deadline_s)
            if status != 0x6A86:
                break
        if status == 0x6A82:
            raise AidNotFound("the card knows no application with this AID (6A82)")
        if not is_done(status):
            raise ChannelRefused(f"SELECT was answered with {status:04X}")
        self._proven = False  # that it selects does not yet say that it carries


async def open_basic(
    link: ModemLink, aid: bytes, *, on_unusable: Callable[[str], None], on_closed: Callable[[], None]
) -> BasicChannel:
    """Select ``aid`` on the basic channel; raises as ``BasicChannel.select`` and errors of the modem side."""
    channel = BasicChannel(link, SESSION, on_unusable=on_unusable, on_closed=on_closed)
    await channel.select(aid, deadline_s=link.profile.deadlines.open_s)
    return channel
