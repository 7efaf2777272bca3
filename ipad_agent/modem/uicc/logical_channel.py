"""What the two kinds of logical channel share: when they are gone, and what a failure means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from ipad_agent.card.apdu_channel import ChannelLost, ChannelRefused, LossReason
from ipad_agent.errors import ModemError
from ipad_agent.modem import commands, events
from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged, PortContention
from ipad_agent.modem.modem_link import ModemLink

MAX_CHANNEL: Final = 19


class NoFreeChannel(ChannelRefused):
    """The card has no free logical channel; leaked ones may be swept."""


class LogicalChannel(ABC):
    """One open channel; ``ApduChannel`` over AT.

    ``on_unusable`` hears that this kind of way damages what it carries, ``on_closed`` that nothing is left to close.
    """

    description: ClassVar[str]

    def __init__(
        self, link: ModemLink, handle: str, *, on_unusable: Callable[[str], None], on_closed: Callable[[], None]
    ) -> None:
        self.handle = handle
        self.select_response = b""
        self.le_on_case4 = link.profile.uicc.le_on_case4
        self.max_data_bytes = link.profile.uicc.max_data_bytes
        self._link = link
        self._generation = link.generation
        self._on_unusable = on_unusable
        self._on_closed = on_closed
        self._usable = True
        self._proven = False
        self._prepared: tuple[bytes, Command] | None = None

    @abstractmethod
    def _command(self, apdu: bytes) -> Command:
        """The AT command for one command APDU whose CLA has channel bits zero."""

    async def _transmit(self, apdu: bytes, deadline_s: float) -> bytes:
        """Send one such APDU; raises errors of the modem side."""
        prepared, self._prepared = self._prepared, None
        command = prepared[1] if prepared is not None and prepared[0] == apdu else self._command(apdu)
        lines = await self._link.run(command, deadline_s=deadline_s)
        return commands.read_apdu(lines, on_oddity=self._link.note_oddity)

    @abstractmethod
    async def _shut(self) -> None:
        """Close the channel on the card; raises errors of the modem side."""

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        """See ``ApduChannel``. Any failure ends the channel: what the card made of the APDU is not known."""
        if not self._usable or self._generation != self._link.generation:
            raise ChannelLost("the channel is gone", reason=LossReason.CLOSED, may_have_executed=False)
        self._usable = False
        try:
            answer = await self._transmit(apdu, deadline_s)
        except ModemError as error:
            loss = _loss(error)
            if isinstance(error, LineDamaged):
                self._link.note_damage()
            if loss.reason is LossReason.REFUSED and not self._proven:
                self._on_unusable("refused the first APDU")
            raise loss from error
        self._usable = self._proven = True
        return answer

    async def complete(self, command: bytes, deadline_s: float) -> tuple[bytes, int]:
        """SELECT with the answer that 61xx (or 9Fxx, as old SIM software writes it) announces, in the length that 6Cxx
        asks for: its data and its status word."""
        answer = await self._in_length(command, deadline_s)
        if answer[-2] in (0x61, 0x9F):
            length = answer[-1]
            for cla in (0x00, 0x80):
                answer = await self._in_length(bytes([cla, 0xC0, 0, 0, length]), deadline_s)
                if answer[-2:] not in (b"\x6e\x00", b"\x6d\x00"):
                    break
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    async def _in_length(self, command: bytes, deadline_s: float) -> bytes:
        """One command; once more with the Le byte that 6Cxx asks for."""
        answer = await self.transceive(command, deadline_s=deadline_s)
        if answer[-2] == 0x6C:
            without = command[:4] if len(command) == 5 else command
            answer = await self.transceive(without + answer[-1:], deadline_s=deadline_s)
        return answer

    def prepare(self, apdu: bytes) -> None:
        """See ``PreparesCommands``."""
        self._prepared = apdu, self._command(apdu)

    async def close(self) -> None:
        """See ``ApduChannel``. When closing fails the owner's record stays and the channel is closed later."""
        self._usable = False
        if self._generation != self._link.generation or self._link.session is None:
            return
        try:
            await self._shut()
        except CommandRefused:
            pass  # the card does not know the channel any more
        except ModemError:
            return
        self._on_closed()
        for text in self._link.profile.uicc.unlock:
            try:
                await self._link.run(commands.plain(text))
            except ModemError as error:
                events.INIT_REFUSED.emit(command=text, reason=error.message)

    def note_unusable(self, reason: str) -> None:
        """See ``ApduChannel``."""
        self._on_unusable(reason)


def is_done(status: int) -> bool:
    """Whether the card did what it was told, with or without a remark (ETSI TS 102 221 §10.2.1)."""
    return status == 0x9000 or status >> 8 in (0x91, 0x62, 0x63) or 0x9200 <= status < 0x9210


def class_on_channel(apdu: bytes, channel: int) -> bytes:
    """The command with its logical channel in CLA (ETSI TS 102 221 §10.1.1): 0 to 3 in two bits, 4 to 19 in four."""
    cla = apdu[0]
    if cla & 0x7F:
        raise ValueError(f"CLA {cla:02X} has channel or other bits set already")
    if 0 <= channel <= 3:
        return bytes([cla | channel]) + apdu[1:]
    if 4 <= channel <= MAX_CHANNEL:
        return bytes([cla | 0x40 | (channel - 4)]) + apdu[1:]
    raise ValueError(f"there is no logical channel {channel}")


def _loss(error: ModemError) -> ChannelLost:
    match error:
        case CommandRefused():
            reason = LossReason.REFUSED
        case CommandTimeout():
            reason = LossReason.TIMEOUT
        case LineDamaged() | PortContention():
            reason = LossReason.DAMAGED
        case _:
            reason = LossReason.PORT
    return ChannelLost(f"the channel is lost: {error.message}", reason=reason)
