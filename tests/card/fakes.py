"""A card played by hand: what it answers to which APDU is written down in each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ipad_agent.card.apdu_channel import ApduChannel, ChannelLost, LossReason, ModemIdentity, RecoveryPlan
from ipad_agent.errors import IpadError

EID = "89049032123451234512345678901235"
EID_ANSWER = "BF3E125A10" + EID + "9000"

Reply = str | Exception | Callable[[bytes], "Reply"]


class FakeChannel:
    """Replies from a list, in order; an exception in it is raised. Commands are kept as upper-case hex."""

    def __init__(
        self, *replies: Reply, description: str = "CGLA", max_data_bytes: int = 255, le_on_case4: bool = False
    ) -> None:
        self.replies = list(replies)
        self.sent: list[str] = []
        self.deadlines: list[float] = []
        self.description = description
        self.max_data_bytes = max_data_bytes
        self.le_on_case4 = le_on_case4
        self.select_response = b""
        self.unusable: list[str] = []
        self.closed = False

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        self.sent.append(apdu.hex().upper())
        self.deadlines.append(deadline_s)
        assert self.replies, f"no reply left for {self.sent[-1]}"
        reply = self.replies.pop(0)
        while callable(reply) and not isinstance(reply, Exception):
            reply = reply(apdu)
        if isinstance(reply, Exception):
            raise reply
        return bytes.fromhex(reply)

    async def close(self) -> None:
        self.closed = True

    def note_unusable(self, reason: str) -> None:
        self.unusable.append(reason)


class FakeCard:
    """An ISD-R behind a way. ``answers`` maps ES10 requests (hex, one block) to answers (hex with status word);
    an exception is raised, a list is used up entry by entry, the last one staying."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply | list[Reply]] = {"BF3E035C015A": EID_ANSWER}
        self.open_errors: list[IpadError] = []
        self.requests: list[str] = []
        self.opened = 0
        self.aids: list[bytes] = []
        self.rungs: list[int] = []
        self.rung_errors: dict[int, IpadError] = {}
        self.capabilities: list[str] = []
        self.capability_answer: str | IpadError = "9000"
        self.iccid: str | None = None
        self.plan = RecoveryPlan()
        self.channels: list[CardChannel] = []
        self.on_reset: Callable[[int], None] = lambda rung: None
        self.closed = False
        self.epoch = 0
        self.noticed = 0
        self.swapped = False
        self.said: list[str] = []
        self.lasts: list[bool] = []
        self.wants_le = False
        self.refuses_le = False
        self.select_response = b""

    def lost(self, *, reason: LossReason = LossReason.REFUSED) -> ChannelLost:
        return ChannelLost("gone", reason=reason)

    # -- CardAccess
    async def notice_changes(self) -> None:
        self.noticed += 1
        if self.swapped:
            self.swapped = False
            self.epoch += 1

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        self.opened += 1
        self.aids.append(aid)
        self.lasts.append(last)
        self.said.append("open")
        if self.open_errors:
            raise self.open_errors.pop(0)
        self.channels.append(CardChannel(self))
        return self.channels[-1]

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        self.capabilities.append(apdu.hex().upper())
        self.said.append("capability")
        if isinstance(self.capability_answer, IpadError):
            raise self.capability_answer
        return bytes.fromhex(self.capability_answer)

    async def reset_card(self, *, rung: int) -> None:
        self.rungs.append(rung)
        await asyncio.sleep(1)
        self.epoch += 1
        if rung in self.rung_errors:
            raise self.rung_errors[rung]
        self.on_reset(rung)

    async def read_iccid(self) -> str | None:
        return self.iccid

    async def identity(self) -> ModemIdentity:
        return ModemIdentity("ACME", "M1", "R1", None, "generic-3gpp")

    def recovery_plan(self) -> RecoveryPlan:
        return self.plan

    async def close(self) -> None:
        self.closed = True

    def answer(self, request: str) -> str:
        self.requests.append(request)
        reply = self.answers.get(request, "6A88")
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        while callable(reply) and not isinstance(reply, Exception):
            reply = reply(bytes.fromhex(request))
        if isinstance(reply, Exception):
            raise reply
        return reply


class CardChannel(FakeChannel):
    """Puts STORE DATA blocks together and asks the card; answers are handed over whole."""

    def __init__(self, card: FakeCard) -> None:
        super().__init__()
        self._card = card
        self.select_response = card.select_response
        self._request = b""

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        assert not self.closed
        assert apdu[1] == 0xE2
        self.sent.append(apdu.hex().upper())
        le = len(apdu) > 5 + apdu[4]
        if le and self._card.refuses_le:
            return b"\x67\x00"
        assert apdu[3] == len(self._request) // 255
        self._request += apdu[5 : 5 + apdu[4]]
        if apdu[2] == 0x11:
            return b"\x90\x00"
        request, self._request = self._request, b""
        if self._card.wants_le and not le:
            return b"\x90\x00"
        return bytes.fromhex(self._card.answer(request.hex().upper()))
