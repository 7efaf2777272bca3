"""Logical channels by AT+CCHO, +CGLA and +CCHC: the modem opens the channel and puts its number into CLA."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.modem import commands
from ipad_agent.modem.commands import Command
from ipad_agent.modem.modem_link import ModemLink

from .logical_channel import LogicalChannel, class_on_channel


class CglaChannel(LogicalChannel):
    """A session id, an opaque text that is given back as it came."""

    description = "CGLA"

    def _command(self, apdu: bytes) -> Command:
        uicc = self._link.profile.uicc
        if uicc.cla_on_cgla == "session" and self.handle.isdecimal() and int(self.handle) <= 19:
            apdu = class_on_channel(apdu, int(self.handle))
        deadline_s = self._link.profile.deadlines.apdu_s
        return commands.generic_access(self.handle, apdu, deadline_s=deadline_s, quoted=uicc.quote_hex)

    async def _shut(self) -> None:
        await close_session(self._link, self.handle)


async def open_cgla(
    link: ModemLink, aid: bytes, *, on_unusable: Callable[[str], None], on_closed: Callable[[], None]
) -> CglaChannel:
    """Open a channel with ``aid`` selected; raises errors of the modem side."""
    command = commands.open_channel(aid, deadline_s=link.profile.deadlines.open_s)
    lines = await link.run(command)
    channel = CglaChannel(link, commands.read_session_id(lines), on_unusable=on_unusable, on_closed=on_closed)
    channel.select_response = commands.read_select_answer(lines)
    return channel


async def close_session(link: ModemLink, session_id: str) -> None:
    """AT+CCHC; raises errors of the modem side (``CommandRefused`` for an unknown session is normal)."""
    await link.run(commands.close_channel(session_id, deadline_s=link.profile.deadlines.close_s))
