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
from .errors import (
    AidNotFound,
    CardBusy,
    CardNotReady,
    ChannelLost,
    ChannelRefused,
    NotAnEuicc,
    SimBusy,
    StatusWordError,
)
from .es10_transport import ApduDeadlines, BlockSizeMemory, Es10Transport, VolatileBlockSizes

TerminalCapabilityPolicy = Literal["auto", "always", "never"]

GET_EID: Final = bytes.fromhex("BF3E035C015A")
_WANTS_TERMINAL_CAPABILITY: Final = frozenset({0x6A82, 0x6985, 0x6D00})
_NO_ES10: Final = frozenset({0x6A80, 0x6A82, 0x6A86, 0x6A88, 0x6D00, 0x6E00})
_FORMS: Final = (
    ("IoT", apdu.TERMINAL_CAPABILITY_IOT),
    ("IoT and LPA", apdu.TERMINAL_CAPABILITY_BOTH),
    ("LPA", apdu.TERMINAL_CAPABILITY_LPA),
    ("full", apdu.TERMINAL_CAPABILITY_FULL),
)


class IsdrSession:
    """Holds at most one channel to the ISD-R and hands out the transport over it.

    ``aids`` are tried in order, the one that was there last time first. ``terminal_capability``: ``always`` sends it
    before the first channel after each reset and, in other forms, when the card does not open its ISD-R all the same;
    ``auto`` only then; ``never`` does not.
    """

    def __init__(
        self,
        access: CardAccess,
        *,
        aids: Sequence[bytes] = (apdu.ISD_R_AID,),
        terminal_capability: TerminalCapabilityPolicy = "always",
        deadlines: ApduDeadlines | None = None,
        block_sizes: BlockSizeMemory | None = None,
    ) -> None:
        self.access = access
        self.eid: Eid | None = None
        self.opened_in: int | None = None
        """The card's epoch in which the channel was opened last."""
        self.select_response = b""
        self.tolerances: Counter[tuple[str, str]] = Counter()
        """Function and tolerance -> how often this card's answers needed it."""
        self._aids = tuple(aids)
        self._aid: bytes | None = None  # the one that was there last
        self._policy = terminal_capability
        self._deadlines = deadlines
        self._block_sizes = block_sizes if block_sizes is not None else VolatileBlockSizes()
        self._refused_last_blocks: Counter[str] = Counter()
        self._habits_said: set[str] = set()
        self._transport: Es10Transport | None = None
        self._last_channel: ApduChannel | None = None
        self._reached: tuple[bytes, str] | None = None
        """Which card, and how, was said last; the same again is no news."""
        self._declared_in: int | None = None  # the card's epoch in which TERMINAL CAPABILITY was sent
        self._capability_tried = False
        self._form = 0  # the form of TERMINAL CAPABILITY that worked last
        self._le = False  # whether the card wants an Le byte
        self._first_refused: int | None = None  # the status word that was said last
        self._template_said: frozenset[int] | None = None
        self._apdus_before = 0

    @property
    def is_open(self) -> bool:
        """Whether a channel is open, as far as is known."""
        return self._transport is not None

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
            self.opened_in = self.access.epoch
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
        """The card was reset, or may have been: the channel is gone, TERMINAL CAPABILITY is due again
        (TS 102 221 §11.1.19)."""
        await self.drop()
        self._declared_in = None
        self._capability_tried = False

    async def declare(self) -> None:
        """Say now that this device holds an IPAd, whatever was said before: the last TERMINAL CAPABILITY counts. The
        next call opens a new channel. Never fatal."""
        await self.drop()
        await self._send_capability(0)

    @property
    def template(self) -> frozenset[int] | None:
        """The bits of the card's IoT template (see ``iot_template``); None when it was not seen."""
        return iot_template(self.select_response)

    async def _open(self) -> Es10Transport:
        if self._policy == "always":
            await self._declare_if_due()
        epoch = self.access.epoch
        try:
            transport = await self._open_any_aid()
        except (AidNotFound, ChannelRefused, NotAnEuicc, StatusWordError) as error:
            opened = await self._open_with_capability() if self._capability_may_help(error) else None
            if opened is not None:
                return opened
            if not isinstance(error, StatusWordError) or error.sw not in _NO_ES10:
                raise
            opened = await self._open_another_way(error)
            if opened is not None:
                return opened
            raise NotAnEuicc(f"the application under the ISD-R's AID answers {apdu.explain(error.sw)}") from error
        if self._declared_in is None and self.access.epoch == epoch:
            self._declared_in = epoch  # a modem that cannot send it to a card that is there never will
        return transport

    async def _declare_if_due(self) -> None:
        """TERMINAL CAPABILITY before the first MANAGE CHANNEL after a reset (SGP.32 v1.2 §3.8.2, §3.8.4). It stays due
        while the modem sees no card."""
        await self.access.identity()  # opens the port, so that the epoch is that of this card
        if self._declared_in != self.access.epoch:
            self._declared_in, self._capability_tried = None, False
            if await self._send_capability(self._form):
                self._declared_in = self.access.epoch

    async def _open_with_capability(self) -> Es10Transport | None:
        """Try the forms of TERMINAL CAPABILITY, the one that worked last first; None when none helps."""
        self._capability_tried = True
        forms = sorted(range(len(_FORMS)), key=lambda number: number != self._form)
        if self._policy == "always":
            forms.remove(self._form)  # that one was sent
        for form in forms:
            if not await self._send_capability(form):
                return None
            try:
                transport = await self._open_any_aid()
            except (AidNotFound, ChannelRefused, NotAnEuicc, StatusWordError):
                continue
            self._form = form
            self._declared_in = self.access.epoch
            return transport
        await self._send_capability(0)  # the last one counts, and it must not hide the IPAd
        return None

    async def _open_another_way(self, error: StatusWordError) -> Es10Transport | None:
        """A way that opens a channel and then talks to another application (wrong channel in CLA) looks like a card
        that is no eUICC; only another way tells the two apart."""
        if self._last_channel is None:
            return None
        self._last_channel.note_unusable(f"GetEID was answered with {error.sw:04X}")
        try:
            return await self._open_any_aid()
        except (AidNotFound, ChannelRefused, NotAnEuicc, StatusWordError):
            return None

    def _capability_may_help(self, error: CardError) -> bool:
        """Only once after each reset: a card that waits for its reset gives the same answers."""
        if self._policy == "never" or self._capability_tried or isinstance(error, NotAnEuicc):
            return False
        return not isinstance(error, StatusWordError) or error.sw in _WANTS_TERMINAL_CAPABILITY

    async def _open_any_aid(self) -> Es10Transport:
        """The first application of the list that tells an EID. What modems call an application that is not there
        differs (not found, SIM failure, a bare ERROR), so that only the whole list allows a verdict."""
        aids = sorted(self._aids, key=lambda aid: aid != self._aid)
        failures: list[CardError] = []
        for number, aid in enumerate(aids, start=1):
            try:
                channel = await self.access.open(aid, last=number == len(aids))
            except SimBusy:
                raise
            except (AidNotFound, CardNotReady, ChannelRefused) as error:
                failures.append(error)
                continue
            try:
                transport = await self._prove(channel)
            except (NotAnEuicc, StatusWordError) as error:
                await channel.close()
                failures.append(error)
                continue
            except BaseException:
                await channel.close()
                raise
            self._aid = aid
            return transport
        raise _verdict(failures)

    async def _prove(self, channel: ApduChannel) -> Es10Transport:
        """Read the EID: "selectable" is not yet "an eUICC", and a way that opens is not yet one that carries."""
        self._last_channel = channel
        identity = await self.access.identity()
        transport = Es10Transport(
            channel,
            deadlines=self._deadlines,
            block_sizes=self._block_sizes,
            memory_key=identity.key,
            refused_last_blocks=self._refused_last_blocks,
            said=self._habits_said,
        )
        transport.le, self._le = transport.le or self._le, False
        wants_le = transport.le and not channel.le_on_case4
        answer = await self._ask_for_eid(transport)
        if not answer and not transport.le:
            transport.le = wants_le = True
            answer = await self._ask_with_le(transport)
        try:
            eid = Eid.from_bytes(tlv.parse(answer).require(0x5A).value)
        except CodecError as error:
            raise NotAnEuicc(f"the application under the ISD-R's AID tells no EID: {error.message}") from error
        if self.eid is not None and eid != self.eid:
            events.CARD_CHANGED.emit(old=self.eid.short, new=eid.short)
            self.tolerances.clear()
            self._habits_said.clear()
        self.eid = eid
        self._le = wants_le
        notes = Notes()
        note_eid(eid, notes)
        self.tolerated("GetEID", notes.ids)
        self.select_response = channel.select_response
        self._say_template()
        reached = (eid.bytes, channel.description)
        said = events.CARD_OPENED_AGAIN if reached == self._reached else events.CARD_OPENED
        self._reached = reached
        said.emit(eid=eid.short, way=channel.description)
        return transport

    async def _ask_for_eid(self, transport: Es10Transport) -> bytes:
        """GetEID, on the same channel once more when it is refused: some cards refuse the first command behind a
        SELECT, each time, so that neither a new channel nor a reset helps. With which status word tells nothing:
        such a card also says that it has no such function, or that it waits for its reset."""
        try:
            return await transport.es10(GET_EID, idempotent=True)
        except CardBusy:
            raise  # it was asked often enough
        except StatusWordError as error:
            answer = await transport.es10(GET_EID, idempotent=True)
            if self._first_refused != error.sw:
                self._first_refused = error.sw
                events.FIRST_COMMAND_REFUSED.emit(status=apdu.explain(error.sw))
            return answer

    async def _ask_with_le(self, transport: Es10Transport) -> bytes:
        """Once more with an Le byte; a few cards give data only then. Empty when that does not help either."""
        try:
            answer = await transport.es10(GET_EID, idempotent=True)
        except (ChannelLost, StatusWordError):
            return b""
        if answer:
            events.LE_WANTED.emit()
        return answer

    def _say_template(self) -> None:
        """Say what the card tells of its kind, when it is something new."""
        bits = self.template
        if bits is None or bits == self._template_said:
            return
        self._template_said = bits
        said = (
            "IPAe supported" if 0 in bits else "no IPAe",
            "a profile is enabled" if 1 in bits else "no profile is enabled",
        )
        events.IOT_TEMPLATE_READ.emit(what=", ".join(said))

    async def _send_capability(self, form: int) -> bool:
        """Send one form on the basic channel; False when there is no way to send it, or no card yet. Never fatal."""
        name, command = _FORMS[form]
        try:
            raw = await self.access.send_terminal_capability(command)
        except (CardError, ModemError) as error:
            events.TERMINAL_CAPABILITY_SENT.emit(form=name, status=f"nothing: {error.message}")
            return False
        status = apdu.explain(int.from_bytes(raw[-2:], "big"))
        events.TERMINAL_CAPABILITY_SENT.emit(form=name, status=status)
        return True


def _verdict(failures: list[CardError]) -> CardError:
    """One error for all applications: what one of them answered goes before what the modem made of the others."""
    for kind in (StatusWordError, NotAnEuicc, CardNotReady, AidNotFound):
        for failure in failures:
            if isinstance(failure, kind):
                return failure
    return failures[0] if failures else AidNotFound("no AID of an ISD-R is configured")


def iot_template(select_response: bytes) -> frozenset[int] | None:
    """The bits of the ISD-R's IoT template E1 {80} in an FCI: 0 IPAe supported, 1 a profile is enabled.

    It is found at any place. None when the answer to SELECT is not known or holds no such template (SGP.32 v1.2 §3.8).
    """
    try:
        return _template_in(tlv.parse_all(select_response))
    except CodecError:
        return None


def _template_in(elements: Iterable[tlv.Tlv]) -> frozenset[int] | None:
    for element in elements:
        if element.tag == 0xE1:
            field = element.find(0x80)
            return None if field is None else field.bits()
        found = _template_in(element.children()) if element.constructed else None
        if found is not None:
            return found
    return None
