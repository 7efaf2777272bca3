"""The port as a lease: opened, initialised, identified; lost at any byte and opened again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.errors import ModemError
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.port.byte_stream import LineRate, PortOpener, line_rate_of

from . import commands, events
from .commands import Command
from .errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead
from .line_speed import LineSpeed, VolatileSpeedMemory
from .module_profile import GENERIC, ModuleProfile, ProfileSet

_RETURN_DELAYS_S: Final = (0.5, 1.0, 2.0)
WAKE_AFTER_S: Final = 5.0
"""A module that sleeps is woken by an AT of its own after so much silence."""
MAX_DAMAGES: Final = 3
DAMAGES_WITHIN_S: Final = 600.0
"""So many damaged answers within this time are the fault of a raised speed."""
MAX_IDENTITY_ASKS: Final = 3
"""So often a module that answers, but does not tell who it is or its IMEI, is asked again in one session."""


class ModemLink:
    """Gives an initialised ``AtSession``, now or after the port came back.

    ``generation`` grows whenever all logical channels are known to be gone (new session, card reset); a channel of
    an older generation must not be used.
    """

    def __init__(
        self,
        opener: PortOpener,
        profiles: ProfileSet,
        *,
        forced_profile: ModuleProfile | None = None,
        restore_function: bool = True,
        timing: LinkTiming | None = None,
        speed: LineSpeed | None = None,
    ) -> None:
        self._speed = speed or LineSpeed(limit=None, consent_nvm_writes=False, memory=VolatileSpeedMemory())
        self._line: LineRate | None = None
        self.profile = forced_profile or GENERIC
        self.generation = 0
        self._opener = opener
        self._profiles = profiles
        self._forced = forced_profile
        self._restore_function = restore_function
        self._timing = timing
        self._opening = asyncio.Lock()
        self._session: AtSession | None = None
        self._identity: ModemIdentity | None = None
        self._listeners: list[Callable[[str], None]] = []
        self._loss_listeners: list[Callable[[], None]] = []
        self._more_commands: tuple[str, ...] = ()
        self._later: list[Command] = []  # refused because the SIM was busy
        self._level_untold = False
        self._asks_left = 0
        self._busy_count = 0
        self._damaged_at: list[float] = []
        self._oddities: set[str] = set()

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with every unsolicited result of this and all later sessions."""
        self._listeners.append(callback)
        if self._session is not None:
            self._session.subscribe(callback)

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever a session is lost that nobody here closed."""
        self._loss_listeners.append(callback)

    def also_initialise(self, texts: tuple[str, ...]) -> None:
        """Send these commands too, to every session from the next one on; a refusal is not fatal."""
        self._more_commands = (*self._more_commands, *texts)

    @property
    def session(self) -> AtSession | None:
        """The session when there is a live one."""
        return self._session if self._session is not None and self._session.lost is None else None

    @property
    def known_identity(self) -> ModemIdentity | None:
        """Which module answered last; None before the first one."""
        return self._identity

    async def identity(self) -> ModemIdentity:
        """Which module answers."""
        await self.ready()
        assert self._identity is not None
        return self._identity

    async def ready(self) -> AtSession:
        """The live session, opening and initialising the port when there is none.

        Raises ``PortUnavailable``, ``LinkDead``, ``PortLost`` or ``PortContention``.
        """
        async with self._opening:
            if self.session is not None and not self._is_too_fast():
                return self.session
            await self._discard()
            stream = await self._opener.open()
            session = AtSession(stream, timing=self._timing)
            self._line = line_rate_of(stream)
            try:
                await self._initialise(session)
                await self._raise_speed(session)
            except LinkDead:
                events.PORT_SILENT.emit(port=stream.description)
                self._opener.note_silence()
                await session.close()
                raise
            except BaseException:
                await session.close()
                raise
            for callback in self._listeners:
                session.subscribe(callback)
            self._session = session
            session.when_lost(partial(self._tell_loss, session))
            self.generation += 1
            return session

    async def run(self, command: Command, *, deadline_s: float | None = None) -> tuple[str, ...]:
        """Run one command; see ``AtSession.run``. A line that is dead is closed, so that the next call opens anew."""
        session = await self.ready()
        try:
            return await session.run(command, deadline_s=deadline_s)
        except LinkDead:
            self._opener.note_silence()
            await session.close()
            raise

    def note_damage(self) -> None:
        """An answer was damaged. On a raised line where that happens often, the speed is left again."""
        now_s = asyncio.get_running_loop().time()
        self._damaged_at = [at_s for at_s in self._damaged_at if now_s - at_s < DAMAGES_WITHIN_S] + [now_s]

    def note_oddity(self, what: str) -> None:
        """The modem writes answers in a way of its own; said once for each."""
        if what not in self._oddities:
            self._oddities.add(what)
            events.ANSWER_ODDLY_WRITTEN.emit(what=what)

    def _is_too_fast(self) -> bool:
        if len(self._damaged_at) < MAX_DAMAGES or self._line is None or self._identity is None:
            return False
        self._damaged_at.clear()
        if not self._speed.is_raised(self._line):
            return False
        self._speed.condemn(self._line, self._identity.key, f"{MAX_DAMAGES} answers were damaged")
        return True

    async def catch_up(self) -> None:
        """Send what was refused because the SIM was busy, and ask who the module is if it never said so. To be called
        when the card is there, or may be; does nothing when nothing is due."""
        session = self.session
        if session is None:
            return
        due, self._later = self._later, []
        if due:
            events.ASKED_LATER.emit(commands=", ".join(dict.fromkeys(command.name for command in due)))
        for command in due:
            await self._try(session, command, repeat=True)
        if self._identity is not None and not _told(self._identity) and self._asks_left > 0:
            self._asks_left -= 1
            await self._identify(session, again=True)
        if self._level_untold:
            await self._restore_level(session)

    async def come_back(self, deadline_s: float) -> None:
        """Wait until the port is there and the modem answers; raises the last ``ModemError`` after the deadline."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + deadline_s
        attempt = 0
        while True:
            try:
                await self.run(commands.ping(deadline_s=5.0))
                return
            except ModemError:
                if loop.time() >= limit:
                    raise
            await asyncio.sleep(_RETURN_DELAYS_S[min(attempt, len(_RETURN_DELAYS_S) - 1)])
            attempt += 1

    async def close(self) -> None:
        """Give the port back."""
        async with self._opening:
            await self._discard()

    def _tell_loss(self, session: AtSession) -> None:
        if session is self._session:
            for callback in self._loss_listeners:
                callback()

    async def _discard(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            if session.lost is None and self._line is not None:
                with contextlib.suppress(ModemError):
                    await self._speed.lower(session, self._line)
            await session.close()

    # -- initialisation ----------------------------------------------------------------------------------------------
    async def _initialise(self, session: AtSession) -> None:
        """Idempotent: nothing is assumed about echo, verbosity or what an earlier user left."""
        await self._bring_into_step(session)
        self._later, self._asks_left = [], MAX_IDENTITY_ASKS
        for text in ("ATE0", "ATV1", "ATQ0", "AT+CMEE=1", 'AT+CSCS="IRA"'):
            await self._try(session, commands.plain(text), repeat=True)
        await self._identify(session)
        for text in self._more_commands:
            await self._try(session, commands.plain(text), repeat=True)
        events.PORT_OPENED.emit(port=session.description)
        await self._restore_level(session)

    async def _bring_into_step(self, session: AtSession) -> None:
        if self._line is None:
            await session.resync()
            return
        await self._speed.find(session, self._line)
        try:
            await session.resync()
        except LinkDead:
            if not await self._speed.search(session, self._line):
                raise
            await session.resync()

    async def _raise_speed(self, session: AtSession) -> None:
        identity = self._identity
        if self._line is None or identity is None:
            return
        told = {"AT+CGMM": identity.model, "AT+CGMR": identity.revision}
        names = {text: answer for text, answer in told.items() if answer}
        await self._speed.raise_speed(session, self._line, self.profile.speed_up, key=identity.key, names=names)

    async def _identify(self, session: AtSession, *, again: bool = False) -> None:
        """Ask who the module is, choose its profile and send what that wants sent; not ``again`` what was sent."""
        manufacturer = await self._ask(session, "AT+CGMI")
        model = await self._ask(session, "AT+CGMM")
        revision = await self._ask(session, "AT+CGMR")
        known = self._identity
        if known is not None and not (manufacturer or model or revision):
            # The port came back while the module says nothing about itself: most likely it is the same one.
            manufacturer, model, revision = known.manufacturer, known.model, known.revision
        profile = self._forced or self._profiles.choose(manufacturer, model, revision)
        if not again or profile is not self.profile:
            session.add_urcs((*profile.events.sim_ready, *profile.events.other))
            for text in profile.init.commands:
                await self._try(session, commands.plain(text), repeat=True)
        self.profile = profile
        session.wake_after_s = WAKE_AFTER_S if profile.port.sleeps else None
        imei = commands.read_digits(await self._try(session, commands.imei()), 14, 16)
        identity = ModemIdentity(manufacturer, model, revision, imei, profile.name)
        if identity != self._identity:
            self._identity = identity
            events.MODULE_FOUND.emit(manufacturer=manufacturer, model=model, revision=revision, profile=profile.name)

    async def _restore_level(self, session: AtSession) -> None:
        """Switch a modem on that was left in AT+CFUN=0 or 4."""
        busy_before = self._busy_count
        level = commands.read_number(await self._try(session, commands.FUNCTION_LEVEL))
        self._level_untold = self._busy_count > busy_before
        if level in (0, 4) and self._restore_function:
            events.FUNCTION_RESTORED.emit(level=level)
            await self._try(session, commands.plain("AT+CFUN=1", deadline_s=15.0), repeat=True)

    async def _ask(self, session: AtSession, text: str) -> str:
        command = commands.text_query(text)
        return commands.read_text(command, await self._try(session, command))[:80]

    async def _try(self, session: AtSession, command: Command, *, repeat: bool = False) -> tuple[str, ...]:
        """Run a command whose failure is not fatal; the loss of the port is. With ``repeat`` one that is refused
        because the SIM is busy is sent again by ``catch_up``."""
        try:
            return await session.run(command)
        except (CommandRefused, CommandTimeout, LineDamaged) as error:
            if isinstance(error, CommandRefused) and error.cme in commands.CME_BUSY:
                self._busy_count += 1
                self._asks_left = MAX_IDENTITY_ASKS  # that was no answer
                if repeat:
                    self._later.append(command)
            events.INIT_REFUSED.emit(command=command.name, reason=error.message)
            return ()


def _told(identity: ModemIdentity) -> bool:
    return bool(identity.manufacturer or identity.model) and identity.imei is not None
