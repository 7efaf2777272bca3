"""Who on the bus may look, and who is told of changes.

A broadcast is heard by everybody who may connect to the bus, and no policy file knows the groups of our configuration.
So signals go to each reader by name: to those who may look and either asked for signals or read as a program does that
keeps what it read up to date.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from ipad_agent.local.access_rights import Right
from ipad_agent.local.rate_limits import CallRates
from ipad_agent.records import dataclass

from .dbus_authority import Authority, Caller, Peers
from .errors import RemoteFailure

KNOWN: Final = 256
"""Callers that are remembered; names are never used again on a bus, so an old one costs only its place."""
LISTENERS: Final = 64
LISTENERS_PER_USER: Final = 16
UNKNOWN_AT_ONCE: Final = 128
UNKNOWN_AT_ONCE_PER_CALLER: Final = 32
"""Calls of those of whom the bus is being asked who they are."""
RIGHT_HOLDS_S: Final = 60.0
"""After this the groups of a caller are looked up again."""
LOOKUP_S: Final = 5.0
"""The machine's user database has so long; who is not found in that time is a stranger."""
_BUS: Final = "org.freedesktop.DBus"
_BUS_PATH: Final = "/org/freedesktop/DBus"


@dataclass(frozen=True, slots=True)
class Reader:
    """A caller and what it may do until ``until_s``."""

    caller: Caller
    right: Right
    trusted: bool
    until_s: float


class Readers:
    """Of one connection to the bus. ``lookups`` is a thread of our own: a user database that hangs must not take those
    that the agent resolves names with. None is asyncio's."""

    def __init__(
        self, peers: Peers, authority: Authority, lookups: Executor | None, now_s: Callable[[], float] | None = None
    ) -> None:
        self._peers = peers
        self._authority = authority
        self._lookups = lookups
        self._now_s = asyncio.get_running_loop().time if now_s is None else now_s
        self._known: dict[str, Reader] = {}
        self._listening: dict[str, None] = {}
        self._asking: dict[str, asyncio.Task[Reader]] = {}
        self._waiting: Counter[str] = Counter()
        self._rates = CallRates()

    # -- who calls -------------------------------------------------------------------------------------------------

    def known(self, name: str) -> Reader | None:
        """Who this is, if that was found out a short time ago."""
        found = self._known.get(name)
        return found if found is not None and self._now_s() < found.until_s else None

    async def of(self, name: str) -> Reader:
        """Who this is. Raises ``BusLost`` and ``TimeoutError``."""
        found = self.known(name)
        if found is not None:
            return found
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.ensure_future(self._look_up(name))
            asking.add_done_callback(lambda task: self._asked(name, task))
        await asyncio.wait({asking})  # whoever stops waiting does not end it for the others
        return asking.result()

    def _asked(self, name: str, task: asyncio.Task[Reader]) -> None:
        self._asking.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody need wait any more

    def granted(self, name: str) -> bool:
        """Whether a call of this caller is to be answered now, which is counted. An unknown one is counted when it is
        known; until then only so many calls wait, each until ``found``."""
        reader = self.known(name)
        if reader is not None:
            return self.counted(reader)
        if self._waiting.total() >= UNKNOWN_AT_ONCE or self._waiting[name] >= UNKNOWN_AT_ONCE_PER_CALLER:
            return False
        self._waiting[name] += 1
        return True

    def found(self, name: str) -> None:
        """One of the calls that waited for the bus to say who this is does so no more."""
        self._waiting -= Counter({name: 1})

    def counted(self, reader: Reader) -> bool:
        """Count a call of a known caller; whether it is to be answered."""
        if reader.trusted:
            return True
        uid = -1 if reader.caller.uid is None else reader.caller.uid
        return self._rates.take(uid, self._now_s(), stranger=reader.right is Right.NONE)

    async def _look_up(self, name: str) -> Reader:
        caller = await self._authority.caller(name)
        rule = self._authority.rule
        trusted = caller.uid is not None and caller.uid in rule.trusted
        right = Right.CONTROL if trusted else Right.NONE
        if caller.uid is not None and not trusted:
            right = await self._right_of(caller.uid)
        while len(self._known) >= KNOWN:
            del self._known[next((known for known in self._known if known not in self._listening), name)]
        found = self._known[name] = Reader(caller, right, trusted, self._now_s() + RIGHT_HOLDS_S)
        return found

    async def _right_of(self, uid: int) -> Right:
        looking = asyncio.get_running_loop().run_in_executor(self._lookups, self._authority.rule.right_of, uid)
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await looking
        except (TimeoutError, OSError):
            return Right.NONE

    # -- who is told -----------------------------------------------------------------------------------------------

    async def listeners(self) -> tuple[str, ...]:
        """The names to tell now; who may not look any more, or is gone, is left out. Raises ``BusLost``."""
        for name in tuple(self._listening):
            if self.known(name) is None:
                try:
                    reader = await self.of(name)
                except TimeoutError:
                    continue
                if reader.right is Right.NONE:
                    await self.forget(name)
        return tuple(self._listening)

    async def listen(self, reader: Reader) -> bool:
        """Tell this one from now on; False when there are too many. Raises ``BusLost``."""
        name = reader.caller.name
        if name in self._listening:
            return True
        of_user = sum(
            self._known[other].caller.uid == reader.caller.uid for other in self._listening if other in self._known
        )
        if len(self._listening) >= LISTENERS or of_user >= LISTENERS_PER_USER:
            return False
        self._listening[name] = None
        try:
            await self._peers.call(_BUS, _BUS_PATH, _BUS, "AddMatch", "s", (_end_of(name),))
            # It may have gone before we asked to be told of that.
            await self._peers.call(_BUS, _BUS_PATH, _BUS, "GetNameOwner", "s", (name,))
        except (RemoteFailure, TimeoutError):
            await self.forget(name)
            return False
        return True

    async def forget(self, name: str) -> None:
        """Tell this one no more. Raises ``BusLost``."""
        if name in self._listening:
            del self._listening[name]
            try:
                await self._peers.call(_BUS, _BUS_PATH, _BUS, "RemoveMatch", "s", (_end_of(name),))
            except (RemoteFailure, TimeoutError):
                return

    def gone(self, sender: str, interface: str, member: str, body: tuple[object, ...]) -> str | None:
        """The name of a listener whose end this signal tells; only the bus itself is believed."""
        if (sender, interface, member) != (_BUS, _BUS, "NameOwnerChanged") or len(body) != 3:
            return None
        name, _, owner = body
        return name if isinstance(name, str) and owner == "" and name in self._listening else None


def _end_of(name: str) -> str:
    return f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{name}'"
