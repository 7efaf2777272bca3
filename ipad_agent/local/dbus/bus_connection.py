"""One stay on the bus: from the connection to its end. Takes the name, answers calls, tells changes."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypedDict

from ipad_agent.events import trace
from ipad_agent.local.access_rights import Right
from ipad_agent.local.local_verbs import NOT_AUTHORIZED, Service
from ipad_agent.local.rate_limits import Bucket
from ipad_agent.local.status_model import Happening
from ipad_agent.records import dataclass

from . import dbus_properties, manager_methods
from . import events as said
from .dbus_authority import Authority, Caller, LocalRule
from .dbus_interfaces import (
    BUS_NAME,
    EVENT,
    MANAGER,
    OBJECT_MANAGER,
    PEER,
    PROPERTIES,
    ROOT,
    STATUS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Method,
)
from .dbus_library import Link, OnCall, OnSignal
from .dbus_messages import Answer, Call, Failure, Signal
from .dbus_values import string_map, text
from .errors import BusLost, NameRefused, NameTaken, RemoteFailure
from .signal_readers import Reader, Readers
from .status_objects import EimNumbers, Objects, changes, objects_of, steady
from .system_bus import machine_id

EVENT_BACKLOG: Final = 256
CALLS_AT_ONCE: Final = 256
CALLS_AT_ONCE_PER_CALLER: Final = 8
CALLS_AT_ONCE_PER_USER: Final = 16
"""Calls that act and are not answered yet. Reads are answered at once and not counted. A user may have many
connections; nobody who only waits for a permission keeps the others from asking."""
DENIALS: Final = 10
"""Users in that time who are put on record for it."""
DENIAL_GAP_S: Final = 10.0
"""A user who is turned away is put on record at most this often."""
REFUSALS_BURST: Final = 20
REFUSALS_PER_S: Final = 10.0
"""Answers to calls that are too many; the others have none."""
TURNED_AWAY_GAP_S: Final = 60.0
_TOO_OFTEN: Final = Failure("org.freedesktop.DBus.Error.LimitsExceeded", "Too many calls in a short time.")
_KEEPING: Final = {(PROPERTIES, "GetAll"), (OBJECT_MANAGER, "GetManagedObjects")}
"""What a program calls that keeps up to date what it read."""
_LISTENING: Final = {SUBSCRIBE.name, UNSUBSCRIBE.name}
_TOO_MANY: Final = Failure("org.freedesktop.DBus.Error.LimitsExceeded", "Too many calls at once.")
_DO_NOT_QUEUE: Final = 4
_PRIMARY_OWNER: Final = 1
_ALREADY_OWNER: Final = 4
_DBUS: Final = "org.freedesktop.DBus"
_DBUS_PATH: Final = "/org/freedesktop/DBus"


class Picture:
    """What the bus shows: built again only when the agent says that something may have changed."""

    def __init__(self, service: Service, numbers: EimNumbers) -> None:
        self._service = service
        self._numbers = numbers
        self._stale = True
        self._shown: Objects = {}
        self._told: Objects = {}

    def outdated(self) -> None:
        self._stale = True

    @property
    def now(self) -> Objects:
        if self._stale:
            self._shown = steady(self._told, objects_of(self._service.status(), self._numbers))
            self._stale = False
        return self._shown

    def told(self) -> None:
        """Begin anew: whoever comes now reads everything, and nobody told us of changes while we were away."""
        self._stale = True
        self._told = self.now

    def news(self) -> list[Signal]:
        """Signals from what was told last to what is; they count as told."""
        found = changes(self._told, self.now)
        self._told = self.now
        return [
            *(Signal(ROOT, OBJECT_MANAGER, "InterfacesRemoved", "oas", gone) for gone in found.removed),
            *(
                Signal(ROOT, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", (path, dict(interfaces)))
                for path, interfaces in found.added
            ),
            *(
                Signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", (interface, dict(values), ()))
                for path, interface, values in found.changed
            ),
        ]


@dataclass(frozen=True, slots=True)
class Pace:
    """``gap_s``: signals about changes go out at most this often, together."""

    deadline_s: float = 10.0
    gap_s: float = 0.2


class Session:
    """Made once per connection."""

    def __init__(
        self,
        service: Service,
        picture: Picture,
        rule: LocalRule,
        pace: Pace,
        make_link: Callable[[OnCall, OnSignal], Link],
        lookups: Executor | None = None,
        bus_name: str = BUS_NAME,
    ) -> None:
        self._bus_name = bus_name
        self._service = service
        self._picture = picture
        self._pace = pace
        self._link = make_link(self._called, self._signalled)
        self._authority = Authority(self._link, rule, lookups)
        self._readers = Readers(self._link, self._authority, lookups)
        self._forgetting: set[asyncio.Task[None]] = set()
        self._refusals = Bucket(asyncio.get_running_loop().time(), REFUSALS_BURST, REFUSALS_PER_S)
        self._wake = asyncio.Event()
        self._events: deque[Happening] = deque(maxlen=EVENT_BACKLOG)
        self._dropped = 0
        self._calls: set[asyncio.Task[Answer | Failure]] = set()
        self._callers: Counter[str] = Counter()
        self._users: Counter[int | None] = Counter()
        self._denied: dict[int | None, float] = {}
        self._turned_away_s = -math.inf

    async def begin(self, addresses: str) -> None:
        """Connect and take the name. Raises ``BusUnreachable``, ``BusLost``, ``NameTaken`` and ``NameRefused``."""
        await self._link.open(addresses)
        try:
            reply = await self._link.call(
                _DBUS, _DBUS_PATH, _DBUS, "RequestName", "su", (self._bus_name, _DO_NOT_QUEUE)
            )
        except RemoteFailure as error:
            raise NameRefused(error.message) from error
        except TimeoutError as error:
            raise BusLost("the bus does not answer.") from error
        if reply[0] not in (_PRIMARY_OWNER, _ALREADY_OWNER):
            raise NameTaken(f"{self._bus_name} belongs to another program")

    async def stay(self) -> None:
        """Serve until the connection ends; raises ``BusLost`` then."""
        said.ON_THE_BUS.emit(name=self._bus_name, library=self._link.library)
        self._picture.told()
        stop_watching = self._service.watch(self._changed)
        stop_listening = self._service.listen(self._happened)
        telling = asyncio.ensure_future(self._tell())
        losing = asyncio.ensure_future(self._link.lost())
        try:
            done, _ = await asyncio.wait({telling, losing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stop_watching()
            stop_listening()
            for task in (telling, losing):
                task.cancel()
            await asyncio.gather(telling, losing, return_exceptions=True)

    def close(self) -> None:
        """Leave the bus. Verbs that were asked carry on; nobody gets their answers."""
        self._link.close()

    @property
    def unfinished(self) -> frozenset[asyncio.Task[Answer | Failure]]:
        """Verbs that still run."""
        return frozenset(self._calls)

    # -- telling -------------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._picture.outdated()
        self._wake.set()

    def _happened(self, event: Happening) -> None:
        if len(self._events) == EVENT_BACKLOG:
            self._dropped += 1
        self._events.append(event)
        self._wake.set()

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            signals = self._picture.news()
            while self._events:
                signals.append(_event(self._events.popleft()))
            names = await self._readers.listeners()
            for signal in signals:
                for name in names:
                    self._link.tell(name, signal)
                await self._link.flush()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                said.EVENTS_DROPPED.emit(count=dropped)
            await asyncio.sleep(self._pace.gap_s)

    # -- being called --------------------------------------------------------------------------------------------------

    def _signalled(self, sender: str, interface: str, member: str, body: tuple[object, ...]) -> None:
        gone = self._readers.gone(sender, interface, member, body)
        if gone is not None:
            task = asyncio.ensure_future(self._forget(gone))
            self._forgetting.add(task)
            task.add_done_callback(self._forgetting.discard)

    async def _forget(self, name: str) -> None:
        with contextlib.suppress(BusLost):
            await self._readers.forget(name)

    def _called(self, call: Call) -> None:
        known = self._readers.known(call.sender) is not None
        if not self._readers.granted(call.sender):
            self._turn_away(call)
            return
        # A task also for what is answered at once: whatever goes wrong in it is dealt with in one place.
        task = asyncio.ensure_future(self._serve(call, known=known))
        self._calls.add(task)
        task.add_done_callback(lambda task: self._served(call, task))

    def _turn_away(self, call: Call) -> None:
        """More than somebody may call. To say so costs too, so that is not said every time either."""
        now_s = asyncio.get_running_loop().time()
        if self._refusals.take(now_s):
            self._link.answer(call, _TOO_OFTEN)
        if now_s - self._turned_away_s >= TURNED_AWAY_GAP_S:
            self._turned_away_s = now_s
            reader = self._readers.known(call.sender)
            said.TURNED_AWAY.emit(**_who(reader.caller if reader else None))

    async def _serve(self, call: Call, *, known: bool) -> Answer | Failure:
        try:
            reader = await self._readers.of(call.sender)
        except TimeoutError:
            return manager_methods.failure(NOT_AUTHORIZED, "The bus did not say in time who asks.")
        finally:
            if not known:
                self._readers.found(call.sender)
        if not known and not self._readers.counted(reader):
            return _TOO_OFTEN
        if call.interface == PEER:
            return dbus_properties.peer(call, machine_id())
        stranger = reader.right is Right.NONE
        objects = dbus_properties.NOTHING if stranger else self._picture.now
        found = dbus_properties.route(objects, call)
        if isinstance(found, Failure):
            return found
        interface, method = found
        if stranger and (interface in (PROPERTIES, OBJECT_MANAGER) or method.action == STATUS):
            return self._may_not_look(reader.caller, interface, method)
        if interface != MANAGER.name:
            if (interface, method.name) in _KEEPING:
                await self._readers.listen(reader)
            return dbus_properties.read(objects, interface, call)
        if method.name in _LISTENING:
            return await self._listen(reader, method)
        if self._callers.total() >= CALLS_AT_ONCE or self._callers[call.sender] >= CALLS_AT_ONCE_PER_CALLER:
            return _TOO_MANY
        self._callers[call.sender] += 1
        try:
            return await self._act(reader.caller, call, method)
        finally:
            self._callers -= Counter({call.sender: 1})

    def _may_not_look(self, caller: Caller, interface: str, method: Method) -> Failure:
        needs = self._authority.rule.needed
        self._record_denial(caller, method.name, f"that needs {needs}")
        sentence = f"You may not look here; it takes {needs}."
        if interface == MANAGER.name:
            return manager_methods.failure(NOT_AUTHORIZED, sentence)
        return Failure("org.freedesktop.DBus.Error.AccessDenied", sentence)

    async def _listen(self, reader: Reader, method: Method) -> Answer | Failure:
        if method is UNSUBSCRIBE:
            await self._readers.forget(reader.caller.name)
        elif not await self._readers.listen(reader):
            return Failure("org.freedesktop.DBus.Error.LimitsExceeded", "Too many programs listen already.")
        return Answer()

    async def _act(self, caller: Caller, call: Call, method: Method) -> Answer | Failure:
        assert method.action is not None, "every method of the Manager needs a right"
        if self._users[caller.uid] >= CALLS_AT_ONCE_PER_USER:
            return _TOO_MANY
        self._users[caller.uid] += 1
        try:
            return await self._act_for(caller, call, method.name, method.action)
        finally:
            self._users[caller.uid] -= 1

    async def _act_for(self, caller: Caller, call: Call, verb: str, action: str) -> Answer | Failure:
        if action != STATUS:  # whether somebody may look was decided before
            decision = await self._authority.decide(caller, action, interactive=call.interactive)
            if not decision.allowed:
                self._record_denial(caller, verb, decision.reason)
                return manager_methods.failure(NOT_AUTHORIZED, f"You may not ask for {verb}: {decision.reason}.")
            said.ASKED.emit(verb=verb, **_who(caller))
        return await manager_methods.run(self._service, verb, call.body)

    def _record_denial(self, caller: Caller, verb: str, reason: str) -> None:
        """Not every time: whoever has no rights must not be able to fill the log either."""
        now_s = asyncio.get_running_loop().time()
        self._denied = {uid: at_s for uid, at_s in self._denied.items() if now_s - at_s < DENIAL_GAP_S}
        if len(self._denied) >= DENIALS:
            return
        if now_s - self._denied.get(caller.uid, -DENIAL_GAP_S) >= DENIAL_GAP_S:
            self._denied[caller.uid] = now_s
            said.DENIED.emit(verb=verb, reason=reason, **_who(caller))

    def _served(self, call: Call, task: asyncio.Task[Answer | Failure]) -> None:
        self._calls.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._link.answer(call, task.result())
        elif not isinstance(error, BusLost):
            said.DEFECT.emit(error=f"{call.member} failed with {type(error).__name__}.")
            trace(error)
            self._link.answer(call, manager_methods.failure("Failed", "The agent could not do that; its log says why."))


class _Who(TypedDict):
    uid: int | str
    pid: int | str


def _who(caller: Caller | None) -> _Who:
    uid, pid = (None, None) if caller is None else (caller.uid, caller.pid)
    return {"uid": "unknown" if uid is None else uid, "pid": "unknown" if pid is None else pid}


def _event(event: Happening) -> Signal:
    body = (text(event.id), text(event.level), text(event.text), string_map(event.facts))
    return Signal(ROOT, MANAGER.name, EVENT.name, "".join(arg.signature for arg in EVENT.args), body)
