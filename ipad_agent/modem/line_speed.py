"""The speed of a UART: found where the module is, raised by AT+IPR where that is allowed, with a way back.

AT+IPR changes the speed at which the module listens, so a mistake makes it unreachable. Each step is therefore proved
before the next: a new speed counts when AT gets its OK there several times, without noise, and the module still says
who it is. Else the old speed is proved, then the way back is ordered at the new one, then all usual speeds are tried.
What failed is remembered for the module and its firmware.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ipad_agent.records import dataclass, replace

from . import commands, events
from .at.at_session import AtSession
from .commands import Command
from .errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead, PortContention
from .module_settings import SpeedUp
from .port.byte_stream import LineRate

USUAL_RATES: Final = (115200, 9600, 460800, 921600, 230400, 57600, 38400, 19200)
"""Tried in this order where nothing answers."""
MAX_TRIES: Final = 2
"""So many speeds are tried at one opening, the highest first."""
PROOF_PINGS: Final = 3
"""So many AT in a row get their OK at a speed that is good."""
PROOF_ROUNDS: Final = 4
"""A module may lose what comes right after the change."""
_TRY_S: Final = 0.5
_SET_S: Final = 1.5
_WAY_BACK_ORDERS: Final = 5
_MAX_REMEMBERED: Final = 32
_UNCLEAR: Final = (CommandTimeout, LineDamaged, PortContention)
"""Noise may look like anything."""


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """What is known of one module and firmware: the speeds that AT+IPR=? offered (None: not asked yet), those that
    failed, those that were written to its permanent memory, and the configured limit under which all this was done.
    Another limit is another attempt."""

    limit: int
    offered: tuple[int, ...] | None = None
    failed: tuple[int, ...] = ()
    written: tuple[int, ...] = ()


class SpeedMemory(Protocol):
    """Keeps a record for each module and firmware."""

    def load(self, key: str) -> SpeedRecord | None:
        """The record, if there is one."""

    def save(self, key: str, record: SpeedRecord) -> None:
        """Replace it. Never raises: it can be learned again."""


class VolatileSpeedMemory:
    """A memory that lasts as long as the process."""

    def __init__(self) -> None:
        self._records: dict[str, SpeedRecord] = {}

    def load(self, key: str) -> SpeedRecord | None:
        return self._records.get(key)

    def save(self, key: str, record: SpeedRecord) -> None:
        self._records[key] = record


class LineSpeed:
    """``limit`` is the highest speed that the operator allows; None leaves the line as it is. Without
    ``consent_nvm_writes`` no module is touched that keeps its speed over a restart."""

    def __init__(self, *, limit: int | None, consent_nvm_writes: bool, memory: SpeedMemory) -> None:
        self._limit = limit
        self._consent = consent_nvm_writes
        self._memory = memory
        self._configured: int | None = None
        self._kept = False
        self._said: str | None = None

    # -- where the module is -----------------------------------------------------------------------------------------
    async def find(self, session: AtSession, line: LineRate) -> None:
        """Before the line is brought into step: take the speed that the module may have from a time when the agent was
        not asked to stop. Costs one AT where it has the configured one. Finding nothing is no error."""
        self._configured = line.baud_rate
        if self._limit is not None:
            raised = [rate for rate in sorted({*USUAL_RATES, self._limit}) if self._configured < rate <= self._limit]
            await self._answering(session, line, (self._configured, *reversed(raised)))

    async def search(self, session: AtSession, line: LineRate) -> bool:
        """After silence: whether the module answers at any usual speed, which the line has then."""
        configured = self._configured if self._configured is not None else line.baud_rate
        known = (configured, *(() if self._limit is None else (self._limit,)), *USUAL_RATES)
        rate = await self._answering(session, line, tuple(dict.fromkeys(known)))
        return rate is not None

    async def _answering(self, session: AtSession, line: LineRate, rates: Sequence[int]) -> int | None:
        for rate in rates:
            if _take(line, rate) and (await _answers(session) or await _answers(session)):
                if rate != rates[0]:
                    self._say(rate, f"the module answers at this speed and not at {rates[0]}")
                return rate
        _take(line, rates[0])
        return None

    # -- up ----------------------------------------------------------------------------------------------------------
    async def raise_speed(
        self, session: AtSession, line: LineRate, allowed: SpeedUp, *, key: str, names: Mapping[str, str]
    ) -> None:
        """Take the highest speed that profile, module and operator allow. ``key`` names module and firmware; ``names``
        are questions with the answers that the module gave before. Raises ``LinkDead`` when the module answers at no
        speed any more, or ``PortLost``; everything else ends at a speed at which it answers."""
        if self._limit is None or self._forbidden(allowed, line):
            return
        self._kept = allowed.writes_nvm
        record = self._memory.load(key)
        if record is None or record.limit != self._limit:
            record = SpeedRecord(self._limit, None if record is None else record.offered)
        if record.offered is None:
            record = replace(record, offered=await _offered(session))
            self._memory.save(key, record)
        if self._configured is not None and self.is_raised(line) and line.baud_rate in record.failed:
            await self._change(session, line, self._configured, names)  # a module that keeps its speed still has it
        wanted = [
            rate
            for rate in reversed(allowed.rates)
            if rate <= self._limit
            and rate not in record.failed
            and rate not in record.written  # somebody sets it back; flash wears out
            and (not record.offered or rate in record.offered)
        ]
        for rate in wanted[:MAX_TRIES]:
            if rate <= line.baud_rate:
                break
            before = line.baud_rate
            if allowed.writes_nvm:
                record = replace(record, written=(*record.written, rate))
                self._memory.save(key, record)
            try:
                trouble = await self._change(session, line, rate, names)
            except LinkDead:
                self._memory.save(key, _without(record, rate))  # once more it would be the same
                raise
            if trouble is None:
                self._say(rate, f"raised from {before} by AT+IPR")
                break
            record = _without(record, rate)
            self._memory.save(key, record)
            self._say(line.baud_rate, f"{rate} bit/s failed: {trouble}; it is not tried again with this firmware")
        session.gives_up_early = self.is_raised(line)

    def condemn(self, line: LineRate, key: str, reason: str) -> None:
        """A raised speed proved bad in use: do not take it again with this module and firmware."""
        if self._limit is not None:
            record = self._memory.load(key) or SpeedRecord(self._limit)
            self._memory.save(key, _without(record, line.baud_rate))
            self._say(line.baud_rate, f"{reason}; this speed is left and not taken again with this firmware")

    def is_raised(self, line: LineRate) -> bool:
        """Whether the module has a higher speed than it starts with."""
        return self._limit is not None and self._configured is not None and line.baud_rate > self._configured

    def _forbidden(self, allowed: SpeedUp, line: LineRate) -> bool:
        """Says why, when nothing may be done."""
        if not allowed.rates:
            reason = "the module's profile names no speeds that AT+IPR sets"
        elif allowed.restart_needed:
            reason = "the module takes another speed only when it restarts"
        elif allowed.writes_nvm and not self._consent:
            reason = "the module keeps its speed over a restart, and writing needs modem.allow_nvm_writes"
        else:
            return False
        self._say(line.baud_rate, reason)
        return True

    async def _change(self, session: AtSession, line: LineRate, rate: int, names: Mapping[str, str]) -> str | None:
        """None when the module is at ``rate`` now, else what went wrong; it is where it was then."""
        before = line.baud_rate
        try:
            await session.run(_set(rate), deadline_s=_SET_S)
        except CommandRefused as error:
            return error.message
        except _UNCLEAR:
            pass  # it changed before it said OK, or it hangs; where it is shows next
        if _take(line, rate) and await _proved_soon(session, names):
            return None
        await self._go_back(session, line, rate, before)
        return "the module does not answer there, or not cleanly"

    # -- and back ------------------------------------------------------------------------------------------------------
    async def lower(self, session: AtSession, line: LineRate) -> None:
        """Before the port is given back: the speed that others expect, unless the module would write that to its
        permanent memory each time. Raises errors of the modem side when it does not answer; it is found again then."""
        if (
            self._configured is not None
            and not self._kept
            and self.is_raised(line)
            and await session.try_out(_set(self._configured), within_s=_TRY_S)
        ):
            _take(line, self._configured)

    async def _go_back(self, session: AtSession, line: LineRate, rate: int, before: int) -> None:
        """The module may be at ``before`` or at ``rate``, or anywhere."""
        _take(line, before)
        if await _proved_soon(session, {}):
            return
        for _ in range(_WAY_BACK_ORDERS):
            if _take(line, rate):
                await session.try_out(_set(before), within_s=_TRY_S)
            _take(line, before)
            if await _proved_soon(session, {}):
                return
        if not await self.search(session, line):
            raise LinkDead(f"no answer to AT at any speed on {session.description} after AT+IPR={rate}")
        found = line.baud_rate
        if found != before and await session.try_out(_set(before), within_s=_TRY_S):
            _take(line, before)
            if not await _proved_soon(session, {}):
                _take(line, found)
        session.take_for_granted()

    def _say(self, rate: int, reason: str) -> None:
        """Not the same again: the port is opened often on some devices."""
        if self._said != (said := f"{rate} {reason}"):
            self._said = said
            events.LINE_SPEED.emit(rate=rate, reason=reason)


def _without(record: SpeedRecord, rate: int) -> SpeedRecord:
    return replace(record, failed=(*record.failed, rate)[-_MAX_REMEMBERED:])


def _set(rate: int) -> Command:
    return commands.plain(f"AT+IPR={rate}")


def _take(line: LineRate, rate: int) -> bool:
    """Whether the port knows this speed."""
    try:
        line.set_baud_rate(rate)
    except ValueError:
        return False
    return True


async def _answers(session: AtSession) -> bool:
    if not await session.try_out(commands.ping(), within_s=_TRY_S):
        return False
    session.take_for_granted()
    return True


async def _proved(session: AtSession, names: Mapping[str, str]) -> bool:
    """Only OK counts, so that an echo proves nothing; whole answers, so that a line which damages some bytes does not
    pass for a good one."""
    for _ in range(PROOF_PINGS):
        if not await _answers(session):
            return False
    for text, answer in names.items():
        garbage = session.stats.garbage_bytes
        command = commands.text_query(text)
        try:
            told = commands.read_text(command, await session.run(command, deadline_s=_SET_S))
        except (CommandRefused, *_UNCLEAR):
            return False
        if not told.startswith(answer) or session.stats.garbage_bytes != garbage:
            return False
    return True


async def _proved_soon(session: AtSession, names: Mapping[str, str]) -> bool:
    for _ in range(PROOF_ROUNDS):
        if await _proved(session, names):
            return True
    return False


async def _offered(session: AtSession) -> tuple[int, ...]:
    """The speeds of ``+IPR: (those found by itself),(those to be set)``; empty when the module does not tell."""
    try:
        lines = await session.run(commands.query("AT+IPR=?", "+IPR"))
    except (CommandRefused, *_UNCLEAR):
        return ()
    return commands.read_rates(lines)
