"""The port as a lease: opened, initialised, identified; lost at any byte and opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.errors import ModemError
from ipad_agent.modem.at import at_commands
from ipad_agent.modem.at.at_commands import Command
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.port.byte_stream import PortOpener

from . import events
from .errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead
from .module_profile import GENERIC, ModuleProfile, ProfileSet

_RETURN_DELAYS_S: Final = (0.5, 1.0, 2.0)


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
    ) -> None:
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

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with every unsolicited result of this and all later sessions."""
        self._listeners.append(callback)
        if self._session is not None:
            self._session.subscribe(callback)

    @property
    def session(self) -> AtSession | None:
        """The session when there is a live one."""
        return self._session if self._session is not None and self._session.lost is None else None

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
            if self.session is not None:
                return self.session
            await self._discard()
            stream = await self._opener.open()
            session = AtSession(stream, timing=self._timing)
            try:
                await self._initialise(session)
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

    async def come_back(self, deadline_s: float) -> None:
        """Wait until the port is there and the modem answers; raises the last ``ModemError`` after the deadline."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + deadline_s
        attempt = 0
        while True:
            try:
                await self.run(at_commands.ping(deadline_s=5.0))
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

    async def _discard(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # -- initialisation ----------------------------------------------------------------------------------------------
    async def _initialise(self, session: AtSession) -> None:
        """Idempotent: nothing is assumed about echo, verbosity or what an earlier user left."""
        await session.resync()
        for text in ("ATE0", "ATV1", "ATQ0", "AT+CMEE=1", 'AT+CSCS="IRA"'):
            await self._try(session, at_commands.plain(text))
        manufacturer = await self._ask(session, "AT+CGMI")
        model = await self._ask(session, "AT+CGMM")
        revision = await self._ask(session, "AT+CGMR")
        profile = self._forced or self._profiles.choose(manufacturer, model, revision)
        self.profile = profile
        session.add_urcs((*profile.events.sim_ready, *profile.events.other))
        for text in profile.init.commands:
            await self._try(session, at_commands.plain(text))
        imei = at_commands.read_digits(await self._try(session, at_commands.imei()), 14, 16)
        identity = ModemIdentity(manufacturer, model, revision, imei, profile.name)
        if identity != self._identity:
            self._identity = identity
            events.MODULE_FOUND.emit(manufacturer=manufacturer, model=model, revision=revision, profile=profile.name)
        events.PORT_OPENED.emit(port=session.description)
        level = at_commands.read_number(await self._try(session, at_commands.FUNCTION_LEVEL))
        if level in (0, 4) and self._restore_function:
            events.FUNCTION_RESTORED.emit(level=level)
            await self._try(session, at_commands.plain("AT+CFUN=1", deadline_s=15.0))

    async def _ask(self, session: AtSession, text: str) -> str:
        command = at_commands.text_query(text)
        return at_commands.read_text(command, await self._try(session, command))[:80]

    async def _try(self, session: AtSession, command: Command) -> tuple[str, ...]:
        """Run a command whose failure is not fatal; the loss of the port is."""
        try:
            return await session.run(command)
        except (CommandRefused, CommandTimeout, LineDamaged) as error:
            events.INIT_REFUSED.emit(command=command.name, reason=error.message)
            return ()
