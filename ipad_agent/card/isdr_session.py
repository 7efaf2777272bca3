"""The ISD-R and the logical channel to it: opened when needed, proven by the EID, opened again when lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import note_eid
from ipad_agent.codec.identifiers import Eid
from ipad_agent.codec.tolerances import CATALOGUE, Notes
from ipad_agent.errors import CardError, CodecError, ModemError

from . import apdu, events
from .apdu_channel import ApduChannel, CardAccess
from .errors import AidNotFound, ChannelRefused, NotAnEuicc, StatusWordError
from .es10_transport import ApduDeadlines, BlockSizeMemory, Es10Transport, VolatileBlockSizes

TerminalCapabilityPolicy = Literal["auto", "always", "never"]

GET_EID: Final = bytes.fromhex("BF3E035C015A")
_WANTS_TERMINAL_CAPABILITY: Final = frozenset({0x6A82, 0x6985, 0x6D00})
_NO_ES10: Final = frozenset({0x6A80, 0x6A82, 0x6A86, 0x6A88, 0x6D00, 0x6E00})
_FORMS: Final = (
    ("IoT", apdu.TERMINAL_CAPABILITY_IOT),
    ("LPA", apdu.TERMINAL_CAPABILITY_LPA),
    ("full", apdu.TERMINAL_CAPABILITY_FULL),
)


class IsdrSession:
    """Holds at most one channel to the ISD-R and hands out the transport over it.

    ``aids`` are tried in order. ``terminal_capability``: ``always`` sends it before the first channel after each
    reset, ``auto`` only when the card does not open its ISD-R without it, ``never`` does not.
    """

    def __init__(
        self,
        access: CardAccess,
        *,
        aids: Sequence[bytes] = (apdu.ISD_R_AID,),
        terminal_capability: TerminalCapabilityPolicy = "auto",
        deadlines: ApduDeadlines | None = None,
        block_sizes: BlockSizeMemory | None = None,
    ) -> None:
        self.access = access
        self.eid: Eid | None = None
        self.select_response = b""
        self.tolerances: Counter[tuple[str, str]] = Counter()
        """Function and tolerance -> how often this card's answers needed it."""
        self._aids = tuple(aids)
        self._policy = terminal_capability
        self._deadlines = deadlines
        self._block_sizes = block_sizes if block_sizes is not None else VolatileBlockSizes()
        self._transport: Es10Transport | None = None
        self._last_channel: ApduChannel | None = None
        self._capability_due = terminal_capability == "always"
        self._capability_tried = False
        self._form = 0  # the form of TERMINAL CAPABILITY that worked last
        self._apdus_before = 0

    @property
    def apdu_count(self) -> int:
        """Command APDUs sent since the start."""
        return self._apdus_before + (self._transport.apdu_count if self._transport else 0)

    @property
    def proactive_pending(self) -> bool:
        """Whether the last answer said that the card has a toolkit command (a REFRESH) waiting."""
        return self._transport is not None and self._transport.proactive_pending

    async def transport(self) -> Es10Transport:
        """The transport over an open channel. Opens one when there is none; the EID proves that it works."""
        if self._transport is None:
            self._transport = await self._open()
        return self._transport

    def tolerated(self, function: str, tolerances: Iterable[str]) -> None:
        """Count what an answer of this card needed, and say it the first time: the same lists are read all day."""
        for id in tolerances:
            self.tolerances[function, id] += 1
            if self.tolerances[function, id] == 1:
                what = CATALOGUE[id].what if id in CATALOGUE else id
                events.MESSAGE_TOLERATED.emit(function=function, what=what, tolerance=id)

    async def drop(self) -> None:
        """Close the channel, if any; never raises for a channel that is lost."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._apdus_before += transport.apdu_count
            await transport.channel.close()

    async def forget(self) -> None:
        """The card was reset: the channel is gone, TERMINAL CAPABILITY is due again (TS 102 221 §11.1.19)."""
        await self.drop()
        self._capability_due = self._policy == "always"
        self._capability_tried = False

    async def _open(self) -> Es10Transport:
        if self._capability_due:
            await self._send_capability(self._form)
            self._capability_due = False
        try:
            return await self._open_any_aid()
        except (AidNotFound, ChannelRefused, StatusWordError) as error:
            opened = await self._open_with_capability() if self._capability_may_help(error) else None
            if opened is not None:
                return opened
            if not isinstance(error, StatusWordError) or error.sw not in _NO_ES10:
                raise
            opened = await self._open_another_way(error)
            if opened is not None:
                return opened
            raise NotAnEuicc(f"the application under the ISD-R's AID answers {apdu.explain(error.sw)}") from error

    async def _open_with_capability(self) -> Es10Transport | None:
        """Try the forms of TERMINAL CAPABILITY, the one that worked last first; None when none helps."""
        self._capability_tried = True
        for form in sorted(range(len(_FORMS)), key=lambda number: number != self._form):
            if not await self._send_capability(form):
                return None
            try:
                transport = await self._open_any_aid()
            except (AidNotFound, ChannelRefused, StatusWordError):
                continue
            self._form = form
            return transport
        return None

    async def _open_another_way(self, error: StatusWordError) -> Es10Transport | None:
        """A way that opens a channel and then talks to another application (wrong channel in CLA) looks like a card
        that is no eUICC; only another way tells the two apart."""
        if self._last_channel is None:
            return None
        self._last_channel.note_unusable(f"GetEID was answered with {error.sw:04X}")
        try:
            return await self._open_any_aid()
        except (AidNotFound, ChannelRefused, StatusWordError):
            return None

    def _capability_may_help(self, error: CardError) -> bool:
        """Only once after each reset: a card that waits for its reset gives the same answers."""
        if self._policy != "auto" or self._capability_tried:
            return False
        return not isinstance(error, StatusWordError) or error.sw in _WANTS_TERMINAL_CAPABILITY

    async def _open_any_aid(self) -> Es10Transport:
        not_found: AidNotFound | None = None
        for aid in self._aids:
            try:
                channel = await self.access.open(aid)
            except AidNotFound as error:
                not_found = not_found or error
                continue
            try:
                return await self._prove(channel)
            except BaseException:
                await channel.close()
                raise
        raise not_found or AidNotFound("no AID of an ISD-R is configured")

    async def _prove(self, channel: ApduChannel) -> Es10Transport:
        """Read the EID: "selectable" is not yet "an eUICC", and a way that opens is not yet one that carries."""
        self._last_channel = channel
        identity = await self.access.identity()
        transport = Es10Transport(
            channel, deadlines=self._deadlines, block_sizes=self._block_sizes, memory_key=identity.key
        )
        answer = await transport.es10(GET_EID, idempotent=True)
        try:
            eid = Eid.from_bytes(tlv.parse(answer).require(0x5A).value)
        except CodecError as error:
            raise NotAnEuicc(f"the application under the ISD-R's AID tells no EID: {error.message}") from error
        if self.eid is not None and eid != self.eid:
            events.CARD_CHANGED.emit(old=self.eid.short, new=eid.short)
            self.tolerances.clear()
        self.eid = eid
        notes = Notes()
        note_eid(eid, notes)
        self.tolerated("GetEID", notes.ids)
        self.select_response = channel.select_response
        events.CARD_OPENED.emit(eid=eid.short, way=channel.description)
        return transport

    async def _send_capability(self, form: int) -> bool:
        """Send one form on the basic channel; False when there is no way to send it. Never fatal."""
        name, command = _FORMS[form]
        try:
            raw = await self.access.send_terminal_capability(command)
        except (CardError, ModemError) as error:
            events.TERMINAL_CAPABILITY_SENT.emit(form=name, status=f"nothing: {error.message}")
            return False
        status = apdu.explain(int.from_bytes(raw[-2:], "big"))
        events.TERMINAL_CAPABILITY_SENT.emit(form=name, status=status)
        return True


def iot_template(select_response: bytes) -> frozenset[int] | None:
    """The bits of the ISD-R's IoT template E1 {80} in an FCI: 0 IPAe supported, 1 a profile is enabled.

    None when the answer to SELECT is not known or holds no such template (SGP.32 v1.2 §3.8).
    """
    try:
        for element in tlv.parse_all(select_response):
            if element.tag != 0x6F:
                continue
            template = element.find(0xE1)
            field = template.find(0x80) if template else None
            if field is not None:
                return field.bits()
    except CodecError:
        return None
    return None
