"""ES10 requests over an APDU channel: STORE DATA chains out, collected answers back (SGP.22 §5.7.2, SGP.32 v1.2 §5.9).

Rules of this file:

* a chain is cut into blocks; a block that fails with evidence against its size makes the next chain smaller;
* nothing is sent twice unless it only reads (``idempotent``) or the card cannot have seen the last block;
* an answer is one TLV, and a shorter one than its header says never leaves this file.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from . import apdu, events
from .apdu_channel import ApduChannel, PreparesCommands
from .errors import (
    AnswerTooLong,
    CardBusy,
    ChannelLost,
    ChannelTrouble,
    LossReason,
    NotSelected,
    ResetPending,
    StatusWordError,
    TruncatedAnswer,
)

BLOCK_SIZES: Final = (255, 240, 120, 60)
MAX_ANSWER_BYTES: Final = 0x40000
"""A card that chooses itself what it tells of its profiles tells their icons: a hundred of them are over 100 kB."""
MAX_ROUNDS: Final = 1100
"""The longest answer in pieces of 256 bytes, and some more."""
MAX_LE_CORRECTIONS: Final = 3
BUSY_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)
FAILURES_AGAINST_PROVEN_SIZE: Final = 3
REFUSED_LAST_BLOCKS: Final = 2
"""So often a modem may end the last block of an order with an error until another way, and a smaller size, is tried."""
_SIZE_SUSPECTS: Final = frozenset({0x6601, 0x6700, 0x6F00})
_MORE_TO_FETCH: Final = frozenset({0x61, 0x9F})
"""SW1 that announces data: that of ISO 7816-4, and that of 3GPP TS 51.011 §9.4.1, as old SIM software writes it."""

ApduTap = Callable[[str, bytes], None]
_TAPS: Final[list[ApduTap]] = []


def tap(listener: ApduTap) -> Callable[[], None]:
    """Call ``listener(direction, data)`` for every APDU: ``sent`` before it goes, ``received`` with the answer and its
    status word, which is empty when none came. It must be quick and must not raise. Returns the way to end that."""
    _TAPS.append(listener)
    return lambda: _TAPS.remove(listener)


def _tell(direction: str, data: bytes) -> None:
    for listener in tuple(_TAPS):
        listener(direction, data)


class BlockSizeMemory(Protocol):
    """Remembers the block size that works for a module and firmware; ``key`` is an opaque name."""

    def load(self, key: str) -> int | None:
        """The remembered size in bytes, if any."""

    def save(self, key: str, size_bytes: int) -> None:
        """Remember it."""


class VolatileBlockSizes:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def load(self, key: str) -> int | None:
        return self._sizes.get(key)

    def save(self, key: str, size_bytes: int) -> None:
        self._sizes[key] = size_bytes


@dataclass(frozen=True, slots=True)
class ApduDeadlines:
    """Seconds one APDU may take. The last block of a chain is where the card does its work, seconds of it."""

    apdu_s: float = 60.0
    last_block_s: float = 240.0


class Es10Transport:
    """One selected ISD-R. Not for concurrent use: the owner serialises.

    ``proactive_pending`` is set when the last answer ended in 91xx: the card wants the modem to fetch a toolkit
    command, after a profile change the REFRESH. ``refused_last_blocks`` counts by way and outlives the channel, which
    such a refusal ends; so does ``said``, what was told of this card's habits. ``apdu_count`` counts command APDUs for
    diagnostics. ``le``: whether STORE DATA carries an Le byte, which a few cards want before they give data.
    """

    def __init__(
        self,
        channel: ApduChannel,
        *,
        deadlines: ApduDeadlines | None = None,
        block_sizes: BlockSizeMemory | None = None,
        memory_key: str = "",
        refused_last_blocks: Counter[str] | None = None,
        said: set[str] | None = None,
    ) -> None:
        self.channel = channel
        self._prepare = channel.prepare if isinstance(channel, PreparesCommands) else None
        self._refused = refused_last_blocks if refused_last_blocks is not None else Counter()
        self.proactive_pending = False
        self.apdu_count = 0
        self.le = channel.le_on_case4
        self._deadlines = deadlines or ApduDeadlines()
        self._memory = block_sizes if block_sizes is not None else VolatileBlockSizes()
        self._memory_key = f"{memory_key}/{channel.description}"
        remembered = self._memory.load(self._memory_key) or apdu.MAX_DATA_BYTES
        self.block_size = max(BLOCK_SIZES[-1], min(apdu.MAX_DATA_BYTES, channel.max_data_bytes, remembered))
        self._size_proven = False
        self._size_failures = 0
        self._get_response_proprietary = True
        self._said = said if said is not None else set()

    async def es10(self, request: bytes, *, idempotent: bool = False, answer_due: bool = True) -> bytes:
        """Send one ES10 request, return the answer's bytes (empty when the card answers 9000 without data).

        ``answer_due``: the function has an answer, so that data which nobody announced are fetched. A segment of a
        profile package has none until the last one.

        Raises ``ChannelLost`` or a ``StatusWordError`` (both say in ``may_have_executed`` whether the card may have
        acted), ``TruncatedAnswer``, ``RequestTooLarge``, ``AnswerTooLong``.
        """
        while True:
            size = self.block_size
            try:
                answer = await self._chain(request, idempotent=idempotent, answer_due=answer_due)
            except StatusWordError as error:
                # 6700 is said of the length, before anything is executed (ISO 7816-4 §5.1.3).
                repeatable = idempotent or not error.may_have_executed or error.sw == 0x6700
                if error.sw in _SIZE_SUSPECTS and repeatable and self.block_size < size:
                    continue
                raise
            self._check_complete(answer)
            return self._without_padding(answer)

    async def _chain(self, request: bytes, *, idempotent: bool, answer_due: bool) -> bytes:
        size = self.block_size
        commands = tuple(apdu.store_data(request, block_size=size, le=self.le))
        data = b""
        for number, (command, last) in enumerate(commands, start=1):
            works = last and not idempotent  # reading is quick; only orders keep the card busy
            deadline_s = self._deadlines.last_block_s if works else self._deadlines.apdu_s
            if not last and self._prepare is not None:
                # While this block is on the line, which takes milliseconds, the next one is made ready.
                asyncio.get_running_loop().call_soon(self._prepare, commands[number][0])
            try:
                answer = await self._send_block(command, deadline_s)
            except ChannelLost as error:
                error.may_have_executed = error.may_have_executed and last
                if works and error.reason is LossReason.REFUSED:
                    self._note_refused_work()
                raise
            except StatusWordError as error:
                error.may_have_executed = error.may_have_executed and last
                raise
            if command[4] == size:
                self._size_proven, self._size_failures = True, 0
            data = answer.data
            if last and not data and answer_due and answer.sw != 0x9000:
                data = await self._fetch_unannounced(answer)
            if data and not last:
                events.EARLY_ANSWER.emit(block=number, blocks=len(commands))
                break
        return data

    async def _send_block(self, command: bytes, deadline_s: float) -> apdu.Answer:
        """One block; a failure before its answer starts to arrive is evidence against its size."""
        length = command[4]
        try:
            answer = await self._command(command, deadline_s)
        except ChannelLost as error:
            if error.reason in (LossReason.REFUSED, LossReason.TIMEOUT):
                self._note_size_failure(length, error.reason.value)
            raise
        if answer.sw in _SIZE_SUSPECTS:
            self._note_size_failure(length, apdu.explain(answer.sw), of_length=answer.sw == 0x6700)
        return self._judge(await self._collect(answer))

    async def exchange(self, command: bytes, *, deadline_s: float) -> apdu.Answer:
        """Send one command, collect all of its answer. Only success comes back; the rest is raised."""
        return self._judge(await self._collect(await self._command(command, deadline_s)))

    async def _command(self, command: bytes, deadline_s: float) -> apdu.Answer:
        """Send until the card neither asks for another Le nor says that its toolkit is busy."""
        answer = await self._send_when_idle(command, deadline_s)
        le_corrections = 0
        while answer.sw1 == 0x6C and le_corrections < MAX_LE_CORRECTIONS:
            # The card did not execute it, it only names the length it wants (ISO 7816-4 §5.3.3).
            le_corrections += 1
            answer = await self._send_when_idle(apdu.with_le(command, answer.sw2), deadline_s)
        if answer.sw == 0x9300:
            raise CardBusy(f"the card answered {apdu.explain(answer.sw)}", sw=answer.sw)
        return answer

    async def _send_when_idle(self, command: bytes, deadline_s: float) -> apdu.Answer:
        """Send, and again after a while as long as the card says that its toolkit is busy: that command it did not
        execute (ETSI TS 102 221 §10.2.1.2). 9300 comes back when it stays."""
        for delay_s in BUSY_DELAYS_S:
            answer = await self._send(command, deadline_s)
            if answer.sw != 0x9300:
                return answer
            await asyncio.sleep(delay_s)
        return await self._send(command, deadline_s)

    async def _send(self, command: bytes, deadline_s: float) -> apdu.Answer:
        self.apdu_count += 1
        raw = b""
        if _TAPS:
            _tell("sent", command)
        try:
            raw = await self.channel.transceive(command, deadline_s=deadline_s)
        finally:
            if _TAPS:
                _tell("received", raw)
        if len(raw) < 2:
            raise ChannelLost("an answer without status word", reason=LossReason.DAMAGED)
        return apdu.split_answer(raw)

    async def _collect(self, answer: apdu.Answer) -> apdu.Answer:
        """Fetch what 61xx announces; many modems do not, some do."""
        if answer.sw1 not in _MORE_TO_FETCH:
            return answer
        collected = bytearray(answer.data)
        wanted = answer.sw2
        for _ in range(MAX_ROUNDS):
            try:
                answer = await self._get_response(wanted)
            except ChannelLost as error:
                # The command itself was answered: however surely GET RESPONSE did not arrive, the order did.
                error.may_have_executed = True
                raise
            collected += answer.data
            if len(collected) > MAX_ANSWER_BYTES:
                raise AnswerTooLong(f"the card sent over {MAX_ANSWER_BYTES} bytes as one answer")
            if answer.sw1 != 0x6C and answer.sw1 not in _MORE_TO_FETCH:
                return apdu.Answer(bytes(collected), answer.sw)
            wanted = answer.sw2
        raise AnswerTooLong(f"the card announced more data {MAX_ROUNDS} times")

    async def _fetch_unannounced(self, answer: apdu.Answer) -> bytes:
        """The data of an answer that came without any and does not say that there are some: over T=0 a warning, or a
        waiting toolkit command, takes the place of 61xx, and the data are fetched with length 00 (ETSI TS 102 221
        §7.3.1.1.4). Empty when there are none."""
        try:
            fetched = self._judge(await self._collect(apdu.Answer(b"", 0x6100)))
        except StatusWordError:
            return b""
        finally:
            self.proactive_pending = self.proactive_pending or answer.sw1 == 0x91
        if fetched.data and self._is_news(f"unannounced {answer.sw:04X}"):
            events.UNANNOUNCED_DATA.emit(status=apdu.explain(answer.sw))
        return fetched.data

    async def _get_response(self, length: int) -> apdu.Answer:
        deadline_s = self._deadlines.apdu_s
        command = apdu.get_response(length, proprietary_class=self._get_response_proprietary)
        answer = await self._send_when_idle(command, deadline_s)
        if answer.sw in (0x6E00, 0x6D00) and self._get_response_proprietary:
            self._get_response_proprietary = False
            events.GET_RESPONSE_CLASS.emit()
            answer = await self._send_when_idle(apdu.get_response(length, proprietary_class=False), deadline_s)
        return answer

    def _judge(self, answer: apdu.Answer) -> apdu.Answer:
        sw1, sw2, sw = answer.sw1, answer.sw2, answer.sw
        if sw == 0x9000 or sw1 == 0x91 or (sw1 == 0x92 and sw2 < 0x10):
            self.proactive_pending = sw1 == 0x91
            return answer
        if sw1 in (0x62, 0x63):
            if self._is_news(f"warning {sw:04X}"):
                events.CARD_WARNING.emit(status=apdu.explain(sw))
            self.proactive_pending = False
            return answer
        kind = {0x6985: ResetPending, 0x6999: NotSelected, 0x6881: ChannelTrouble, 0x6A81: ChannelTrouble}.get(
            sw, StatusWordError
        )
        raise kind(f"the card answered {apdu.explain(sw)}", sw=sw)

    def _check_complete(self, answer: bytes) -> None:
        if not answer:
            return
        try:
            announced = tlv.announced_size(answer)
        except CodecError:
            return  # no TLV at all: the parser of the function reports it with the bytes
        if announced is None or announced > len(answer):
            reason = f"the answer has {len(answer)} bytes, its header announces {announced or 'more'}"
            self.channel.note_unusable(reason)
            raise TruncatedAnswer(reason)

    def _is_news(self, what: str) -> bool:
        """Whether this was not yet said of the card: some have such habits in every answer."""
        if what in self._said:
            return False
        self._said.add(what)
        return True

    def _without_padding(self, answer: bytes) -> bytes:
        """The one element, without the zeros or FFs that filled up its last piece. What else follows it is left to
        the parser of the function."""
        try:
            size = tlv.announced_size(answer)
        except CodecError:
            return answer
        if size is None or size == len(answer) or not _is_padding(answer[size:]):
            return answer
        if self._is_news("padding"):
            events.PADDING_CUT.emit(size_bytes=len(answer) - size)
        return answer[:size]

    def _note_refused_work(self) -> None:
        """The modem ended a command with an error that had the card work: many of them have a clock of their own for
        the card and stop waiting, while the card goes on. Nothing is sent again; the way is changed when it happens
        once more, and its blocks become smaller in case it is all there is."""
        way = self.channel.description
        self._refused[way] += 1
        events.LAST_BLOCK_REFUSED.emit(way=way)
        if self._refused[way] < REFUSED_LAST_BLOCKS:
            return
        self._refused[way] = 0
        self.channel.note_unusable("ends commands that the card still works on")
        smaller = next((size for size in BLOCK_SIZES if size < self.block_size), None)
        if smaller is not None:
            self._step_down(smaller, "last blocks were refused")

    def _note_size_failure(self, length: int, evidence: str, *, of_length: bool = False) -> None:
        """Decide whether a failed block of ``length`` bytes is a reason for smaller blocks.

        A size that never worked is given up at once; one that did work has to fail three times in a row, so that an
        unplugged cable does not slow the device down for ever. ``of_length``: the card named the length as the reason,
        so that the next size is one below it, however far that is from the present one.
        """
        limit = min(length, self.block_size) if of_length else self.block_size
        smaller = next((size for size in BLOCK_SIZES if size < limit), None)
        if smaller is None or length <= smaller:
            return
        self._size_failures += 1
        if self._size_proven and self._size_failures < FAILURES_AGAINST_PROVEN_SIZE:
            return
        self._step_down(smaller, evidence)

    def _step_down(self, smaller: int, evidence: str) -> None:
        events.BLOCK_SIZE_STEPPED_DOWN.emit(
            old=self.block_size, new=smaller, way=self.channel.description, evidence=evidence
        )
        self.block_size = smaller
        self._size_proven, self._size_failures = False, 0
        self._memory.save(self._memory_key, smaller)


def _is_padding(data: bytes) -> bool:
    return data in (bytes(len(data)), b"\xff" * len(data))
