"""The quick ways, for most seeds: APDUs straight to the card, and requests straight to the eIM.

They lose, delay and refuse as the long ways do, but have no AT dialogue and no datagrams.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from ipad_agent.card.apdu_channel import (
    ApduChannel,
    CardNotReady,
    ChannelLost,
    ChannelRefused,
    LossReason,
    ModemIdentity,
    RecoveryPlan,
)
from ipad_agent.lab.bench.card_slot import CardSlot
from ipad_agent.lab.eim.errors import RequestRefusedError
from ipad_agent.lab.euicc import PowerLostError
from ipad_agent.modem.errors import PortUnavailable
from ipad_agent.net.errors import PeerBusy, PeerStatus, TransferTimeout, Unreachable
from ipad_agent.records import dataclass
from ipad_agent.torture.peers.observed_eim import ObservedEim

from .process_fence import ProcessFence
from .simulated_network import SimulatedNetwork
from .virtual_time_loop import TortureLoop

_ATTACH_S = 2.0
_ROUND_TRIP_S = 0.1
_PATIENCE_S = 60.0
_SHORT_BYTES = 32


class Reader:
    """A card reader with a radio: executes the card's REFRESH, attaches with the profile that the card shows.

    ``faults`` are taken from the front, one at the next APDU of the card's own functions: ``lost`` (not executed, no
    answer), ``answer-lost`` (executed, no answer), ``cut`` (the card loses power before), ``cut-after``, ``garbage``;
    ``short`` lets the next longer answer end after 32 bytes, as if that were all. ``absent`` takes the reader away
    altogether. One that does not ``refresh`` leaves REFRESH to others.
    """

    def __init__(
        self, loop: TortureLoop, slot: CardSlot, covers: Callable[[str | None], bool], *, refreshes: bool
    ) -> None:
        self._loop = loop
        self._covers = covers
        self.slot = slot
        self.generation = 0
        self.absent = False
        self._refreshes = refreshes
        self.faults: list[str] = []
        self.attached_at_s = loop.time()
        self.seen = slot.card.active_iccid
        slot.on_power_lost = self._power_lost

    @property
    def serves(self) -> bool:
        """Whether the packet service passes data."""
        attached = self._loop.time() >= self.attached_at_s and not self.absent
        return attached and self._covers(self.seen)

    def reset(self) -> None:
        """Cold reset; the radio looks for a network with the profile that is there afterwards."""
        self.generation += 1
        self.slot.reset()
        self.seen = self.slot.card.active_iccid
        self.attached_at_s = self._loop.time() + _ATTACH_S

    def _power_lost(self) -> None:
        self.generation += 1

    def transmit(self, apdu: bytes) -> bytes:
        """An APDU as it is, channel included; raises ``PowerLostError``."""
        answer = self.slot.card.transmit(apdu)
        if answer[-2] == 0x91 and self._refreshes:
            self._loop.call_soon(self._refresh, self.generation)
        return answer

    def _refresh(self, generation: int) -> None:
        if generation == self.generation:
            self.reset()


class ReaderAccess:
    """Implements ``CardAccess`` for one process. ``look`` is called after every APDU."""

    def __init__(self, reader: Reader, owner: ProcessFence, look: Callable[[], None]) -> None:
        self._reader = reader
        self._owner = owner
        self._look = look

    @property
    def epoch(self) -> int:
        return self._reader.generation

    async def notice_changes(self) -> None:
        self._owner.check()
        if self._reader.absent:
            raise PortUnavailable("the reader is not there")

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        self._owner.check()
        if self._reader.absent:
            raise PortUnavailable("the reader is not there")
        await asyncio.sleep(0.01)
        if not self._reader.slot.card.powered:
            raise CardNotReady("the card has no power")
        opened = await self.transmit(bytes.fromhex("0070000001"))
        if opened[-2:] != b"\x90\x00":
            if self._reader.slot.card.powered:
                raise ChannelRefused(f"no channel: {opened.hex()}")
            raise CardNotReady("the card has no power")
        number = opened[0]
        selected = await self.transmit(bytes([number, 0xA4, 4, 0, len(aid)]) + aid)
        if selected[-2] not in (0x90, 0x61):
            raise ChannelRefused(f"not selected: {selected.hex()}")
        return _Channel(self, number, self._reader.generation)

    async def transmit(self, apdu: bytes) -> bytes:
        """To the card and back; errors of the card room."""
        self._owner.check()
        reader = self._reader
        await asyncio.sleep(0.005)
        self._owner.check()
        if reader.absent:
            raise ChannelLost("the reader is gone", reason=LossReason.PORT)
        waiting = reader.faults[0] if reader.faults else None
        fault = reader.faults.pop(0) if waiting not in (None, "short") and apdu[1] == 0xE2 else None
        if fault == "lost":
            raise ChannelLost("no answer", reason=LossReason.TIMEOUT)
        if fault == "cut":
            reader.slot.card.power_cut_after(0)
        elif fault == "cut-after":
            reader.slot.card.power_cut_after(1, answer_lost=True)
        try:
            answer = reader.transmit(apdu)
        except PowerLostError:
            reader.generation += 1
            raise ChannelLost("the card lost its power", reason=LossReason.RESET) from None
        finally:
            self._look()
        await asyncio.sleep(0)
        self._owner.check()
        if fault == "answer-lost":
            raise ChannelLost("no answer", reason=LossReason.TIMEOUT)
        if fault == "garbage":
            raise ChannelLost("noise", reason=LossReason.DAMAGED)
        if waiting == "short" and len(answer) > _SHORT_BYTES:
            reader.faults.pop(0)
            return answer[:_SHORT_BYTES] + b"\x90\x00"
        return answer

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        return await self.transmit(apdu)

    async def reset_card(self, *, rung: int) -> None:
        self._owner.check()
        await asyncio.sleep(1.0)
        self._owner.check()
        if self._reader.absent:
            raise PortUnavailable("the reader is not there")
        if rung > 0:
            self._reader.reset()
            self._look()
        await asyncio.sleep(_ATTACH_S)

    async def read_iccid(self) -> str | None:
        self._owner.check()
        await asyncio.sleep(0.01)
        return self._reader.seen

    async def identity(self) -> ModemIdentity:
        return ModemIdentity("torture", "reader", "1", None, "generic-3gpp")

    def recovery_plan(self) -> RecoveryPlan:
        return RecoveryPlan(wait_s=5.0, rungs=(0, 2, 5))

    async def close(self) -> None:
        self._owner.check()

    @property
    def generation(self) -> int:
        """Changes with every reset."""
        return self._reader.generation


class _Channel:
    le_on_case4 = False
    max_data_bytes = 255
    description = "reader"
    select_response = b""

    def __init__(self, access: ReaderAccess, number: int, generation: int) -> None:
        self._access = access
        self._number = number
        self._generation = generation

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        if self._generation != self._access.generation:
            raise ChannelLost("the card was reset", reason=LossReason.RESET, may_have_executed=False)
        return await self._access.transmit(bytes([apdu[0] | self._number]) + apdu[1:])

    async def close(self) -> None:
        if self._generation == self._access.generation:
            try:
                await self._access.transmit(bytes([0x00, 0x70, 0x80, self._number]))
            except ChannelLost:
                return

    def note_unusable(self, reason: str) -> None:
        """There is no other kind of way."""


@dataclass
class StraightCarrier:
    """Implements ``Carrier``: one request to the eIM's desk and back, if the air lets it pass.

    ``worst`` is the chance that a request, and again that an answer, gets lost for good.
    """

    observed_eim: ObservedEim
    network: SimulatedNetwork
    owner: ProcessFence
    dice: random.Random
    scheme = "straight"
    bytes_sent = 0
    bytes_received = 0

    async def reach(self) -> None:
        self.owner.check()
        await asyncio.sleep(_ROUND_TRIP_S / 2)
        self.owner.check()
        if not self.network.passes:
            await asyncio.sleep(_PATIENCE_S)
            raise Unreachable("nobody answers")
        if self.observed_eim.gate.impostor:
            raise Unreachable("somebody else answers")

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        await self.reach()
        loss = self.network.weather.loss / 3
        if loss and self.dice.random() < loss:
            await asyncio.sleep(_PATIENCE_S)
            raise TransferTimeout("the request was lost")
        try:
            reply = self.observed_eim.exchange(body, peer="straight")
        except RequestRefusedError as error:
            raise PeerStatus("4.00", body=str(error).encode()) from None
        await asyncio.sleep(_ROUND_TRIP_S / 2 + reply.delay_s)
        self.owner.check()
        if reply.lost is not None or not self.network.passes or (loss and self.dice.random() < loss):
            await asyncio.sleep(_PATIENCE_S)
            raise TransferTimeout("the answer was lost")
        if reply.code == "5.03":
            raise PeerBusy(float(reply.max_age_s or 60))
        if reply.code is not None and not reply.code.startswith("2."):
            raise PeerStatus(reply.code, body=reply.body)
        return reply.body

    async def close(self) -> None:
        self.owner.check()
