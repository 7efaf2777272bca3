"""Logical channels by AT+CSIM: the agent sends MANAGE CHANNEL and SELECT and puts the channel into CLA itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipad_agent.card.apdu_channel import AidNotFound, ChannelRefused
from ipad_agent.modem import commands
from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.modem_link import ModemLink

from .logical_channel import MAX_CHANNEL, LogicalChannel, NoFreeChannel, class_on_channel, is_done

_OPEN_FORMS: Final = (bytes.fromhex("0070000001"), bytes.fromhex("0070000000"))
_NO_FREE_CHANNEL: Final = frozenset({0x6A81, 0x6881, 0x6A84})
_SELECT_P2: Final = (0x00, 0x04, 0x0C)


class CsimChannel(LogicalChannel):
    """A channel number that the card gave."""

    description = "CSIM"

    def _command(self, apdu: bytes) -> Command:
        profile = self._link.profile
        deadline_s, quoted = profile.deadlines.apdu_s, profile.uicc.quote_hex
        on_channel = class_on_channel(apdu, int(self.handle))
        return commands.sim_access(on_channel, deadline_s=deadline_s, quoted=quoted)

    async def _shut(self) -> None:
        await close_number(self._link, int(self.handle))

    async def select(self, aid: bytes, *, deadline_s: float) -> None:
        """Select ``aid``: P2 00, then 04 and 0C when the card dislikes that. Raises ``AidNotFound``,
        ``ChannelRefused`` or ``ChannelLost``; the caller closes the channel then."""
        answer, status = b"", 0
        for p2 in _SELECT_P2:
            command = bytes([0x00, 0xA4, 0x04, p2, len(aid)]) + aid
            answer, status = await self.complete(command, deadline_s)
            if status != 0x6A86:
                break
        if status == 0x6A82:
            raise AidNotFound("the card knows no application with this AID (6A82)")
        if not is_done(status):
            raise ChannelRefused(f"SELECT was answered with {status:04X}")
        self.select_response = answer
        self._proven = False  # that it opens does not yet say that it carries


async def open_csim(
    link: ModemLink, aid: bytes, *, on_unusable: Callable[[str], None], on_closed: Callable[[], None]
) -> CsimChannel:
    """Open a channel and select ``aid``.

    Raises ``AidNotFound``, ``ChannelRefused``, ``NoFreeChannel``, ``ChannelLost`` or errors of the modem side.
    """
    number = await open_number(link)
    channel = CsimChannel(link, str(number), on_unusable=on_unusable, on_closed=on_closed)
    try:
        await channel.select(aid, deadline_s=link.profile.deadlines.open_s)
    except BaseException:
        await channel.close()
        raise
    return channel


async def transmit(link: ModemLink, apdu: bytes, *, deadline_s: float) -> bytes:
    """One APDU as it is over AT+CSIM; raises errors of the modem side."""
    command = commands.sim_access(apdu, deadline_s=deadline_s, quoted=link.profile.uicc.quote_hex)
    return commands.read_apdu(await link.run(command), on_oddity=link.note_oddity)


async def open_number(link: ModemLink) -> int:
    """MANAGE CHANNEL open; the number that the card gives (never a fixed one)."""
    deadline_s = link.profile.deadlines.open_s
    status = 0
    for form in _OPEN_FORMS:
        answer = await transmit(link, form, deadline_s=deadline_s)
        if answer[-2] == 0x61:
            answer = await transmit(link, bytes([0x00, 0xC0, 0, 0, answer[-1]]), deadline_s=deadline_s)
        status = int.from_bytes(answer[-2:], "big")
        if is_done(status):
            if len(answer) == 3 and 1 <= answer[0] <= MAX_CHANNEL:
                return answer[0]
            raise ChannelRefused("MANAGE CHANNEL gave no usable channel number")
        if status in _NO_FREE_CHANNEL:
            raise NoFreeChannel(f"MANAGE CHANNEL was answered with {status:04X}")
        if status != 0x6700 and status >> 8 != 0x6C:
            break
    raise ChannelRefused(f"MANAGE CHANNEL was answered with {status:04X}")


async def close_number(link: ModemLink, number: int) -> None:
    """MANAGE CHANNEL close; some modems want a length byte behind it."""
    deadline_s = link.profile.deadlines.close_s
    command = bytes([0x00, 0x70, 0x80, number])
    try:
        answer = await transmit(link, command, deadline_s=deadline_s)
        if is_done(int.from_bytes(answer[-2:], "big")):
            return
    except CommandRefused:
        pass
    await transmit(link, command + b"\0", deadline_s=deadline_s)
