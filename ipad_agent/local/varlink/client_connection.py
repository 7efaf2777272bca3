"""One connection: calls are answered one after the other, as Varlink wants it, and nothing waits without a limit.

What an agent does for a client is not cut off when the client goes: half a rollback would be worse than one that
nobody waits for. The connection counts until both sides of it have ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from ipad_agent.errors import IpadError, Side
from ipad_agent.events import trace
from ipad_agent.local import local_verbs
from ipad_agent.local.local_verbs import Refused
from ipad_agent.printable import printable

from . import client_limits, events, message_framing, varlink_interface
from .client_limits import Admission
from .message_framing import BadCall, Call, Framer, NotVarlink
from .method_calls import Answer, Gone, Methods, WrongParameter, check
from .peer_credentials import Authority, Credentials, Right
from .varlink_interface import Method

_METHODS: Final = {method.name: method for method in varlink_interface.METHODS}
_FAILURES: Final = {failure.name: failure for failure in varlink_interface.FAILURES}
_HALF: Final = "half a message"
_UNREAD: Final = "answers that are not read"
_IDLE: Final = "no call for long"
"""Why a connection may be closed; each has a timer."""
_SHOWN: Final = 128
"""Of a name that a client made up, in the answer to it."""


class ConnectionOwner(Protocol):
    """What a connection needs of the server that made it."""

    methods: Methods
    authority: Authority
    admission: Admission
    connections: set[Connection]

    async def right_of(self, peer: Credentials) -> Right:
        """What this user may do; asked of the user database."""

    def info(self) -> Mapping[str, object]:
        """The answer to GetInfo."""

    def turn_s(self, peer: Credentials, right: Right) -> float:
        """Count a call; how long it has to wait for its turn."""

    def may_work(self, uid: int) -> bool:
        """Whether this user may have the agent do one thing more now."""

    def may_complain(self, uid: int) -> bool:
        """Whether a refusal of this user is worth a line in the log."""


class Connection(asyncio.Protocol):
    """Made by the server for each client that was admitted."""

    def __init__(self, server: ConnectionOwner, peer: Credentials) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.peer = peer
        self._transport: asyncio.Transport | None = None
        self._admitted = True
        self._stranger = False
        self._worker: asyncio.Task[None] | None = None
        self._framer = Framer()
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = False
        self._eof = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._on_gone: list[Callable[[], None]] = []
        self._right = Right.NONE

    # -- what the event loop tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=client_limits.WRITE_BUFFER_BYTES)
        self._server.connections.add(self)
        self._worker = self._loop.create_task(self._work(), name="varlink client")
        self._worker.add_done_callback(self._worked)

    def data_received(self, data: bytes) -> None:
        if self._worker is None or self._closed:
            return
        try:
            messages = self._framer.feed(data)
        except NotVarlink as problem:
            self._drop(str(problem))
            return
        self._waiting.extend(messages)
        if messages:
            self._stop_timer(_HALF)
        if len(self._waiting) >= client_limits.MAX_OUTSTANDING and self._transport is not None:
            self._transport.pause_reading()
            self._stop_timer(_HALF)  # from now on it is not the client who is slow
        else:
            self._watch_half()
        self._arrived.set()

    def _watch_half(self) -> None:
        """From when a message begins to when it ends: a byte now and then does not keep it alive."""
        if self._framer.partial and _HALF not in self._timers:
            self._start_timer(_HALF, client_limits.HALF_MESSAGE_S)

    def eof_received(self) -> bool:
        self._eof = True
        self._stop_timer(_HALF)
        self._arrived.set()
        self._tell_gone()
        return True  # what was asked before is still answered

    def pause_writing(self) -> None:
        self._writable.clear()
        self._start_timer(_UNREAD, client_limits.STALL_S)

    def resume_writing(self) -> None:
        self._stop_timer(_UNREAD)
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        for reason in list(self._timers):
            self._stop_timer(reason)
        self._arrived.set()
        self._writable.set()
        self._tell_gone()
        self._leave()

    # -- for whoever sends -------------------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """Whether nobody is there any more who would go on listening."""
        return self._closed or self._eof

    def when_gone(self, wake: Callable[[], None]) -> None:
        """See ``method_calls.Client``."""
        self._on_gone.append(wake)

    async def send(self, answer: Answer) -> None:
        """See ``method_calls.Client``."""
        await self._write(message_framing.reply(answer, continues=True))

    async def _write(self, data: bytes) -> None:
        if self._closed or self._transport is None or self._transport.is_closing():
            raise Gone
        self._transport.write(data)
        await self._writable.wait()
        if self._closed:
            raise Gone

    def close(self) -> None:
        """At the end of the agent: no more calls, and no wait for those under way."""
        if self._worker is not None:
            self._worker.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- the work ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            if not await self._welcome():
                return
            while (message := await self._next()) is not None:
                await self._take_turn()
                await self._serve(message)
                await asyncio.sleep(0)  # however much one client asks, everybody else has a turn in between
        except Gone:
            return

    async def _take_turn(self) -> None:
        """Whoever calls much is answered later, and what waits meanwhile is not even read."""
        wait_s = self._server.turn_s(self.peer, self._right)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            if self._closed:
                raise Gone

    async def _welcome(self) -> bool:
        """Whether this user may stay."""
        if await self._look_up() is not Right.NONE:
            return True
        if not self._server.admission.enter_stranger():
            events.TURNED_AWAY.emit(uid=self.peer.uid, reason="there are many who may do nothing here")
            return False
        self._stranger = True
        return True

    async def _look_up(self) -> Right:
        self._right = await self._server.right_of(self.peer)
        return self._right

    async def _next(self) -> bytes | None:
        """The next message; None when there will be none."""
        while not self._waiting:
            if self.gone:
                return None
            if self._transport is not None:
                self._transport.resume_reading()
            self._watch_half()
            self._start_timer(_IDLE, client_limits.STRANGER_IDLE_S if self._stranger else client_limits.IDLE_S)
            self._arrived.clear()
            await self._arrived.wait()
            self._stop_timer(_IDLE)
        return None if self._closed else self._waiting.popleft()

    async def _serve(self, message: bytes) -> None:
        try:
            call = message_framing.parse_call(message)
        except NotVarlink as problem:
            await self._write(_service_error("InvalidParameter", parameter="message"))
            events.DROPPED.emit(uid=self.peer.uid, pid=self.peer.pid, reason=str(problem))
            raise Gone from problem
        except BadCall as problem:
            await self._write(_service_error("InvalidParameter", parameter=problem.member))
            return
        answer = await self._answer(call)
        if not call.oneway:
            await self._write(answer)

    async def _answer(self, call: Call) -> bytes:
        """The last, mostly only, reply of a call."""
        if call.interface == varlink_interface.SERVICE:
            return self._about(call)
        if call.interface != varlink_interface.NAME:
            return _service_error("InterfaceNotFound", interface=call.interface[:_SHOWN])
        method = _METHODS.get(call.name)
        if method is None:
            return _service_error("MethodNotFound", method=call.method[:_SHOWN])
        try:
            check(method, call.parameters)
        except WrongParameter as wrong:
            return _service_error("InvalidParameter", parameter=wrong.name)
        if method.name == "Doctor" and (call.oneway or not call.more):
            return _service_error("ExpectedMore")
        try:
            await self._authorise(method)
            return message_framing.reply(await self._do(method, call))
        except Refused as no:
            if method.right > Right.READ and no.error != local_verbs.NOT_AUTHORIZED:
                events.NOT_DONE.emit(method=method.name, reason=no.sentence)
            return _refusal(no)
        except IpadError as trouble:
            if method.right > Right.READ:
                events.NOT_DONE.emit(method=method.name, reason=trouble.message)
            name = local_verbs.CARD_ERROR if trouble.side is Side.CARD else local_verbs.NOT_READY
            return _refusal(Refused(name, trouble.message, hint=trouble.hint or None))

    async def _do(self, method: Method, call: Call) -> Answer:
        methods = self._server.methods
        if method.name == "Doctor":
            return await methods.doctor(self)
        if method.name == "Subscribe":
            if not call.more or call.oneway:
                return {**await methods.call("GetStatus", {}), "event": None, "lost": None}
            await methods.subscribe(self, call.parameters)
        return await methods.call(method.name, call.parameters)

    def _about(self, call: Call) -> bytes:
        if call.name == "GetInfo":
            return message_framing.reply(self._server.info())
        if call.name != "GetInterfaceDescription":
            return _service_error("MethodNotFound", method=call.method[:_SHOWN])
        wanted = call.parameters.get("interface")
        if not isinstance(wanted, str):
            return _service_error("InvalidParameter", parameter="interface")
        if wanted not in (varlink_interface.NAME, varlink_interface.SERVICE):
            return _service_error("InterfaceNotFound", interface=wanted[:_SHOWN])
        described = varlink_interface.text() if wanted == varlink_interface.NAME else varlink_interface.SERVICE_TEXT
        return message_framing.reply({"description": described})

    async def _authorise(self, method: Method) -> None:
        if await self._look_up() < method.right:
            needs = self._server.authority.needed_for(method.right)
            if self._server.may_complain(self.peer.uid):
                events.NOT_ALLOWED.emit(uid=self.peer.uid, pid=self.peer.pid, method=method.name, needs=needs)
            raise Refused(local_verbs.NOT_AUTHORIZED, f"You may not do that here; it takes {needs}.", needs=needs)
        if not method.works:
            return
        if not self._server.may_work(self.peer.uid):
            raise Refused(
                local_verbs.BUSY, "You ask for more than the card and the network can bear.", hint="Wait a little."
            )
        if method.right > Right.READ:
            events.ASKED.emit(uid=self.peer.uid, pid=self.peer.pid, method=method.name)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _worked(self, worker: asyncio.Task[None]) -> None:
        defect = None if worker.cancelled() else worker.exception()
        if defect is not None:
            events.DEFECT.emit(reason=repr(defect))
            trace(defect)
        if self._transport is not None and not self._closed:
            self._transport.close()  # when what was written has been read
            self._start_timer(_UNREAD, client_limits.STALL_S)
        self._leave()

    def _leave(self) -> None:
        if self._admitted and self._closed and (self._worker is None or self._worker.done()):
            self._admitted = False
            self._server.connections.discard(self)
            self._server.admission.leave(self.peer.uid)
            if self._stranger:
                self._server.admission.leave_stranger()

    def _tell_gone(self) -> None:
        for wake in self._on_gone:
            wake()

    def _drop(self, reason: str) -> None:
        events.DROPPED.emit(uid=self.peer.uid, pid=self.peer.pid, reason=reason)
        if self._transport is not None:
            self._transport.abort()

    def _start_timer(self, reason: str, limit_s: float) -> None:
        self._stop_timer(reason)
        if not self._closed:
            self._timers[reason] = self._loop.call_later(limit_s, self._drop, reason)

    def _stop_timer(self, reason: str) -> None:
        timer = self._timers.pop(reason, None)
        if timer is not None:
            timer.cancel()


def _service_error(name: str, **parameters: str) -> bytes:
    return message_framing.error(f"{varlink_interface.SERVICE}.{name}", parameters)


def _refusal(no: Refused) -> bytes:
    """In the form that the interface declares; what it does not declare is in the sentence anyway."""
    failure = _FAILURES.get(no.error, _FAILURES[local_verbs.NOT_READY])
    facts: Mapping[str, Any] = no.facts
    parameters: dict[str, object] = {"sentence": printable(no.sentence)}
    for name in failure.facts:
        parameters[name] = None if facts.get(name) is None else printable(str(facts[name]))
    return message_framing.error(f"{varlink_interface.NAME}.{failure.name}", parameters)
