"""One command at a time over a byte stream: deadlines, answers, unsolicited results, and the way back into step.

After a deadline the line is *dirty*: whatever still comes belongs to a command that was given up. Before the next
command the session drains the line and asks ``AT`` until exactly one answer comes to one question; so a late answer
is never taken for that of another command.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Final

from ipad_agent.errors import ModemError
from ipad_agent.modem import commands, events
from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead, PortContention, PortLost
from ipad_agent.modem.port.byte_stream import ByteStream
from ipad_agent.records import dataclass, field

from . import at_parser

ESCAPE: Final = b"\x1b"
_BREATH_S: Final = 0.03
"""What a modem says within this time after a result belongs to it."""
_TICK_S: Final = 0.001  # sums of times are not exact; less than this is no time
MAX_ECHO_OFFS: Final = 5  # a modem that echoes in spite of ATE0 is left alone
UNASKED_RESULTS: Final = 3
UNASKED_WITHIN_S: Final = 60.0
"""So many results of commands that the agent did not send, within this time, are another program's."""

LineTap = Callable[[str, bytes], None]
_TAPS: Final[list[LineTap]] = []


def tap(listener: LineTap) -> Callable[[], None]:
    """Call ``listener(direction, data)`` for all bytes on the line, the direction being ``sent`` or ``received``; it
    must be quick and must not raise. Returns the way to end that."""
    _TAPS.append(listener)
    return lambda: _TAPS.remove(listener)


def _tell(direction: str, data: bytes) -> None:
    for listener in tuple(_TAPS):
        listener(direction, data)


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Seconds of the recipe that brings a line back into step."""

    quiet_after_timeout_s: float = 2.0
    quiet_after_stray_s: float = 0.2
    drain_limit_s: float = 10.0
    ping_s: float = 1.0
    pings: int = 5
    settle_s: float = 0.1
    escape_guard_s: float = 1.0


@dataclass(slots=True)
class _Flight:
    command: Command
    done: asyncio.Future[at_parser.Result]
    lines: list[str] = field(default_factory=list)


class AtSession:
    """The AT dialogue on one open stream. When the stream is lost the session is over; open a new one.

    ``contentions``, ``stray_lines`` and ``trailing_lines`` count for diagnostics, as does ``stats`` of the parser.
    """

    def __init__(self, stream: ByteStream, *, urcs: tuple[str, ...] = (), timing: LinkTiming | None = None) -> None:
        self._stream = stream
        self._parser = at_parser.AtParser(urcs=urcs)
        self._timing = timing or LinkTiming()
        self._lock = asyncio.Lock()
        self._terminator = b"\r"
        self._flight: _Flight | None = None
        self._quiet_due_s = 0.0  # silence to wait for before the next command; 0 means in step
        self._dirty_reason = ""
        self._last_byte_at = 0.0
        self._written_at = 0.0
        self._stray_since_ping = 0
        self._prompted = False
        self._contention: str | None = None
        self._unanswered = 0  # results of our own that may still come
        self._unasked_at: list[float] = []
        self._contention_said_s: float | None = None
        self._ended_by: at_parser.AtEvent | None = None
        self._ended_s = 0.0
        self._echoed = False
        self._body_follows = False
        self._echo_offs = 0
        self._subscribers: list[Callable[[str], None]] = []
        self._loss_watchers: list[Callable[[], None]] = []
        self.lost: ModemError | None = None
        self.wake_after_s: float | None = None
        """After so much silence the module may sleep, and the next line is lost; None: it does not sleep."""
        self.gives_up_early = False
        """Silence means that the other end has another speed now: opened anew, the line finds it sooner."""
        self.contentions = 0
        self.stray_lines = 0
        self.trailing_lines = 0
        """Results said twice and prompts behind them, which are left out."""
        stream.start(self._on_data, self._on_lost)

    @property
    def stats(self) -> at_parser.LinkStats:
        """How good the line is."""
        return self._parser.stats

    @property
    def description(self) -> str:
        return self._stream.description

    def add_urcs(self, patterns: tuple[str, ...]) -> None:
        """Know these whole-line patterns as unsolicited results from now on."""
        self._parser.add_urcs(patterns)

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call ``callback`` with every unsolicited result; returns the function that ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def wait_for(self, pattern: re.Pattern[str], *, deadline_s: float) -> str | None:
        """The next unsolicited result that matches, or None after ``deadline_s``. Raises ``PortLost``."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def look(text: str) -> None:
            if pattern.match(text) and not found.done():
                found.set_result(text)

        def give_up() -> None:
            if not found.done():
                found.set_exception(self.lost or PortLost("the port was closed"))

        if self.lost is not None:
            raise self.lost
        unsubscribe = self.subscribe(look)
        self._loss_watchers.append(give_up)
        try:
            async with asyncio.timeout(deadline_s):
                return await found
        except TimeoutError:
            return None
        finally:
            unsubscribe()
            self._loss_watchers.remove(give_up)

    async def run(self, command: Command, *, deadline_s: float | None = None) -> tuple[str, ...]:
        """Send one command, return the lines of its answer after OK.

        Raises ``CommandRefused`` (another final result), ``CommandTimeout``, ``LineDamaged``, ``PortContention``,
        ``LinkDead`` or ``PortLost``.
        """
        async with self._lock:
            self._check_lost()
            if self._contention is not None:
                evidence, self._contention = self._contention, None
                raise PortContention(f"another program uses the port: {evidence}")
            if self._quiet_due_s:
                await self._resync_because()
            elif self._may_sleep():
                await self._wake()
            if self._echoed and self._echo_offs < MAX_ECHO_OFFS:
                await self._echo_off()
            return await self._exchange(command, deadline_s)

    def _may_sleep(self) -> bool:
        silent_s = asyncio.get_running_loop().time() - self._last_byte_at
        return self.wake_after_s is not None and silent_s >= self.wake_after_s

    async def _wake(self) -> None:
        """An AT that may be lost; without an answer the line is brought into step, as nobody knows what became of it.
        This is how such a module is, so that nothing is said of it."""
        try:
            await self._exchange(commands.ping(deadline_s=self._timing.ping_s))
        except CommandTimeout:
            self._quiet_due_s = self._timing.quiet_after_stray_s
            await self._resync()

    async def _echo_off(self) -> None:
        self._echo_offs += 1
        events.ECHO_RETURNED.emit()
        try:
            await self._exchange(commands.plain("ATE0", deadline_s=2.0))
        except (CommandRefused, CommandTimeout, LineDamaged):
            if self._quiet_due_s:
                await self._resync_because()
        self._echoed = False  # this was the echo of ATE0 itself

    async def resync(self) -> None:
        """Bring the line into step now, whatever its state; raises ``LinkDead`` when nothing answers."""
        async with self._lock:
            self._check_lost()
            events.LINK_CHECKED.emit()
            self._mark_dirty(self._timing.quiet_after_stray_s, "")
            await self._resync()

    async def try_out(self, command: Command, *, within_s: float) -> bool:
        """Send one command in whatever state the line is, and tell whether its OK came, alone. What noise may have left
        at the other end is ended before. Afterwards the line is as dirty as it is: ``take_for_granted``, or the next
        command brings it into step. Raises ``LinkDead`` or ``PortLost``."""
        async with self._lock:
            self._check_lost()
            await self._write(b"\r")
            await self._drain(self._timing.settle_s)
            self._stray_since_ping = 0
            garbage, trailing = self.stats.garbage_bytes, self.trailing_lines
            try:
                await self._exchange(command, within_s)
            except PortLost:
                raise
            except ModemError:
                return False
            damaged = self.stats.garbage_bytes - garbage or self.trailing_lines - trailing
            return not self._stray_since_ping and not damaged

    def take_for_granted(self) -> None:
        """The line is in step: whoever tried it out has seen enough."""
        self._quiet_due_s, self._dirty_reason = 0.0, ""
        self._unanswered = 0
        self._prompted = False
        self._contention = None

    async def close(self) -> None:
        """End the session and close the stream."""
        self._on_lost(PortLost("the port was closed"))
        await self._stream.close()

    # -- one exchange ------------------------------------------------------------------------------------------------
    async def _exchange(self, command: Command, deadline_s: float | None = None) -> tuple[str, ...]:
        limit_s = command.deadline_s if deadline_s is None else deadline_s
        if self.trailing_lines:  # what follows the last result must not meet this command
            await asyncio.sleep(max(0.0, self._ended_s + _BREATH_S - asyncio.get_running_loop().time()))
            self._check_lost()
        flight = _Flight(command, asyncio.get_running_loop().create_future())
        self._flight = flight
        self._parser.expect(command.expectation)
        try:
            async with asyncio.timeout(limit_s):
                line = command.text.encode("ascii") + self._terminator
                if _TAPS:
                    _tell("sent", line)
                await self._stream.write(line)
                self._written_at = asyncio.get_running_loop().time()
                final = await flight.done
        except TimeoutError:
            self._unanswered += 1
            self._mark_dirty(self._timing.quiet_after_timeout_s, f"no answer to {command.name}")
            raise CommandTimeout(f"no answer to {command.name} within {limit_s:g} s") from None
        except BaseException:
            # Given up half-way (cancelled, damaged, lost): what still comes must not meet the next command.
            self._unanswered += 1
            self._mark_dirty(self._timing.quiet_after_timeout_s, f"{command.name} was given up")
            raise
        finally:
            self._flight = None
            self._parser.expect(None)
            if flight.done.done() and not flight.done.cancelled():
                flight.done.exception()  # taken note of, whoever raised first
        if final.kind is not at_parser.ResultKind.OK:
            code = commands.cme_code(final)
            meaning = commands.CME_MEANINGS.get(code, "") if code is not None else ""
            raise CommandRefused(command.name, final.text, cme=code, meaning=meaning)
        return tuple(flight.lines)

    # -- received ----------------------------------------------------------------------------------------------------
    def _on_data(self, data: bytes) -> None:
        self._last_byte_at = asyncio.get_running_loop().time()
        if _TAPS:
            _tell("received", data)
        for event in self._parser.feed(data):
            if self._trails(event):
                self.trailing_lines += 1
                continue
            flying = self._flight is not None and not self._flight.done.done()
            self._take(event)
            ends = flying and isinstance(event, at_parser.Result)
            self._ended_by, self._ended_s = (event, self._last_byte_at) if ends else (None, 0.0)

    def _trails(self, event: at_parser.AtEvent) -> bool:
        """Whether this only follows the result that ended a command: some modems say it twice, or print a prompt behind
        it, in one breath and before anything else was asked."""
        asked = self._flight is not None and not self._flight.done.done()
        if self._ended_by is None or asked or self._last_byte_at - self._ended_s > _BREATH_S:
            return False
        return event == self._ended_by or isinstance(event, at_parser.Prompt)

    def _take(self, event: at_parser.AtEvent) -> None:
        flight = self._flight
        match event:
            case at_parser.Data(text):
                if flight is not None:
                    flight.lines.append(text)
                if text.startswith("+CPIN"):
                    self._publish(text)  # the same line answers AT+CPIN? and announces a change
            case at_parser.Urc(text):
                self._body_follows = text.startswith(("+CMT:", "+CMT :"))
                self._publish(text)
            case at_parser.Result():
                if flight is not None and not flight.done.done():
                    flight.done.set_result(event)
                else:
                    self._stray("a final result without a command")
                    self._count_unasked()
            case at_parser.Late():
                self._fail(LineDamaged("an answer to an earlier command arrived"))
                self._stray("an answer without a command")
            case at_parser.Overlong():
                self._fail(LineDamaged("a line arrived that is longer than any answer of a card"))
                self._stray("an endless line")
            case at_parser.Foreign(text):
                self._foreign(text)
            case at_parser.Prompt():
                self._prompted = True
                self._fail(LineDamaged("the modem asks for text ('> ')"))
                self._stray("a prompt")
            case at_parser.Unclassified(text) if self._body_follows:
                self._body_follows = False  # the second line of an unsolicited result that has two
                self._publish(text)
            case at_parser.Unclassified():
                self.stray_lines += 1
            case at_parser.Echo():
                self._echoed = self._echoed or flight is not None

    def _publish(self, text: str) -> None:
        for callback in tuple(self._subscribers):
            callback(text)

    def _stray(self, what: str) -> None:
        self._stray_since_ping += 1
        self.stray_lines += 1
        self._mark_dirty(self._timing.quiet_after_stray_s, what)

    def _count_unasked(self) -> None:
        """A result came and no command is in flight. Some are owed to commands that were given up; more of them than
        that answer somebody else's questions."""
        if self._unanswered:
            self._unanswered -= 1
            return
        now_s = asyncio.get_running_loop().time()
        self._unasked_at = [at_s for at_s in self._unasked_at if now_s - at_s < UNASKED_WITHIN_S] + [now_s]
        if len(self._unasked_at) >= UNASKED_RESULTS:
            self._unasked_at.clear()
            self._foreign("results of commands that the agent did not send")

    def _foreign(self, text: str) -> None:
        evidence = text.split(":")[0].split("=")[0].strip()[:50]
        self.contentions += 1
        now_s = asyncio.get_running_loop().time()
        if self._contention_said_s is None or now_s - self._contention_said_s >= UNASKED_WITHIN_S:
            self._contention_said_s = now_s
            events.CONTENTION.emit(evidence=evidence)
        error = PortContention(f"another program uses the port: {evidence}")
        if not self._fail(error):
            self._contention = evidence
        self._mark_dirty(self._timing.quiet_after_timeout_s, "another program's answer")

    def _fail(self, error: ModemError) -> bool:
        """End the command in flight with this error; False when there is none."""
        if self._flight is None or self._flight.done.done():
            return False
        self._flight.done.set_exception(error)
        return True

    def _on_lost(self, error: ModemError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        self._fail(error)
        for watcher in tuple(self._loss_watchers):
            watcher()

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the line is gone, or was closed."""
        self._loss_watchers.append(callback)

    def _check_lost(self) -> None:
        if self.lost is not None:
            raise PortLost(self.lost.message) from self.lost

    def _mark_dirty(self, quiet_s: float, reason: str) -> None:
        if quiet_s > self._quiet_due_s:
            self._quiet_due_s, self._dirty_reason = quiet_s, reason

    # -- back into step ----------------------------------------------------------------------------------------------
    async def _resync_because(self) -> None:
        events.LINK_RESYNC.emit(reason=self._dirty_reason)
        await self._resync()

    async def _resync(self) -> None:
        timing = self._timing
        if self._prompted:
            self._prompted = False
            await self._write(ESCAPE)
        await self._drain(self._quiet_due_s)
        await self._write(b"\r")  # ends a command that was sent in part
        await self._drain(timing.settle_s)
        if not await self._ping_until_in_step():
            if self.gives_up_early:
                raise LinkDead(f"no answer to AT on {self._stream.description}")
            # Perhaps the port is in data mode: the escape sequence needs silence on both sides (V.250). That before it
            # counts from the last command, which was waited for in vain.
            silent_s = asyncio.get_running_loop().time() - self._written_at
            await self._drain(timing.settle_s + max(0.0, timing.escape_guard_s - silent_s))
            await self._write(b"+++")
            await asyncio.sleep(timing.escape_guard_s)
            await self._write(b"\rATQ0V1\r")  # and perhaps results were switched off
            await self._drain(timing.settle_s)
            if not await self._ping_until_in_step() and not await self._try_line_feed():
                raise LinkDead(f"no answer to AT on {self._stream.description}")
        self._quiet_due_s, self._dirty_reason = 0.0, ""
        self._unanswered = 0
        self._echoed = False
        with contextlib.suppress(CommandRefused):
            await self._exchange(commands.plain("ATE0V1", deadline_s=2.0))
        self._echoed = False
        self._contention = None

    async def _ping_until_in_step(self) -> bool:
        """Ask AT until one question gets exactly one answer and silence after it.

        Once a question went unanswered, its answer may still come: the silence has to be longer then.
        """
        timing = self._timing
        silence_s = timing.quiet_after_stray_s
        for _ in range(timing.pings):
            self._stray_since_ping = 0
            try:
                await self._exchange(commands.ping(deadline_s=timing.ping_s))
            except CommandRefused:
                pass  # the rest of a broken command got its ERROR; that is an answer too
            except (CommandTimeout, LineDamaged):
                silence_s = timing.quiet_after_timeout_s
                continue
            await self._drain(silence_s)
            if not self._stray_since_ping:
                return True
        return False

    async def _try_line_feed(self) -> bool:
        """A few modems take no command without a line feed; others take it for the beginning of the next one."""
        self._terminator = b"\r\n"
        if await self._ping_until_in_step():
            return True
        self._terminator = b"\r"
        return False

    async def _drain(self, quiet_s: float) -> None:
        """Wait until nothing arrived for ``quiet_s`` seconds."""
        loop = asyncio.get_running_loop()
        self._last_byte_at = max(self._last_byte_at, loop.time())
        limit = loop.time() + self._timing.drain_limit_s
        while (left_s := min(self._last_byte_at + quiet_s, limit) - loop.time()) > _TICK_S:
            await asyncio.sleep(left_s)
            self._check_lost()

    async def _write(self, data: bytes) -> None:
        if _TAPS:
            _tell("sent", data)
        self._unanswered += data.count(b"\r")
        try:
            async with asyncio.timeout(self._timing.ping_s):
                await self._stream.write(data)
        except TimeoutError:
            raise LinkDead(f"{self._stream.description} takes no bytes") from None
