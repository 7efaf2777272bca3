"""The one place that imports a D-Bus library: dbus-fast, or dbus-next, which has the same interface.

Only what both have is used, and of that the lowest level: connection, messages, marshalling. What either of them gets
wrong when a bus is slow, dead or hostile is made up for here, so that nothing above has to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import select
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Final

from ipad_agent.records import dataclass

from .dbus_messages import Answer, Call, Failure, Signal
from .dbus_values import Variant
from .errors import BusLost, BusUnreachable, NoBusLibrary, RemoteFailure
from .system_bus import usable

LIBRARIES: Final = ("dbus_fast", "dbus_next")
"""In order of preference: dbus-fast is maintained; distributions have dbus-next longer."""

_OLDEST: Final[dict[str, tuple[int, ...]]] = {"dbus_fast": (2, 12)}
"""Before that it sends the length of a string in characters where a bus counts bytes, and the bus hangs up."""
_LONGEST_AUTH_LINE: Final = 16_384
_UNSENT_LIMIT: Final = 512
"""Messages that the bus has not taken yet; one that lets them pile up is as good as dead."""
_STUCK: Final = "the bus takes nothing any more."
_NO_REPLY_EXPECTED: Final = 1
_INTERACTIVE: Final = 4
"""Flags of a message, D-Bus specification, "Message Format"."""
_REFUSALS: Final = (OSError, EOFError, ValueError, TypeError, LookupError)
"""What the libraries raise when a connection cannot be made; their own errors are not all derived from one."""

OnCall = Callable[[Call], None]
OnSignal = Callable[[str, str, str, tuple[object, ...]], None]
"""Sender, interface, member, body."""


@dataclass(frozen=True, slots=True)
class Library:
    """A D-Bus library that could be imported."""

    name: str
    root: Any
    connection: Any

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        return (*_REFUSALS, self.root.AuthError, self.root.DBusError)


def load(names: Iterable[str] = LIBRARIES) -> Library:
    """The first of these that can be imported. Raises ``NoBusLibrary``."""
    for name in names:
        try:
            root, aio = importlib.import_module(name), importlib.import_module(f"{name}.aio")
        except ImportError:  # also how dbus-next fails on a Python that is too new for it
            continue
        if _too_old(name):
            continue
        return Library(name, root, _careful(root, aio))
    raise NoBusLibrary("no D-Bus library is installed")


def _too_old(name: str) -> bool:
    if name not in _OLDEST:
        return False
    try:
        told: str = importlib.import_module(f"{name}.__version__").__version__
    except ImportError:
        return False
    numbers = tuple(int(number) for number in told.split(".")[:2] if number.isdigit())
    return numbers < _OLDEST[name]


def _careful(root: ModuleType, aio: ModuleType) -> Any:
    """The library's connection, but with an end to the authentication when the bus hangs up in the middle of it.

    dbus-next and dbus-fast below 5 read on for ever then, without giving way to anything else in the process.
    """

    class Connection(aio.MessageBus):  # type: ignore[misc,name-defined]  # the module is chosen at run time
        async def _auth_readline(self) -> str:
            line = b""
            while not line.endswith(b"\r\n"):
                chunk = await self._loop.sock_recv(self._sock, 1)
                if not chunk or len(line) > _LONGEST_AUTH_LINE:
                    raise root.AuthError("the bus ended the authentication")
                line += chunk
            return line[:-2].decode("utf-8", "replace")

    return Connection


class Link:
    """One connection to the bus. Opened once; a lost one is replaced by another.

    ``on_call`` gets every method call, ``on_signal`` every signal that was asked for; both must be quick and must not
    raise: dbus-next would send the traceback to the caller.
    """

    def __init__(
        self, library: Library, *, deadline_s: float, on_call: OnCall, on_signal: OnSignal | None = None
    ) -> None:
        self._library = library
        self._deadline_s = deadline_s
        self._on_call = on_call
        self._on_signal = on_signal
        self._bus: Any = None
        self._watcher: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._reason = ""
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._unsent: deque[Any] = deque()
        self._something = asyncio.Event()
        self._nothing = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None

    @property
    def library(self) -> str:
        return self._library.name

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set()

    async def open(self, addresses: str) -> None:
        """Connect and authenticate. Raises ``BusUnreachable``."""
        address = usable(addresses)
        bus = None
        try:
            async with asyncio.timeout(self._deadline_s):
                # The constructor of dbus-next and of dbus-fast below 5 connects, and blocks while it does; that the
                # bus takes connections at all was found out just now.
                bus = self._library.connection(bus_address=address)
                bus.add_message_handler(self._received)
                await bus.connect()
        except TimeoutError as error:
            _close(bus)
            raise BusUnreachable(f"{address} does not answer.") from error
        except self._library.refusals as error:
            _close(bus)
            raise BusUnreachable(f"{address}: {str(error) or type(error).__name__}.") from error
        except asyncio.CancelledError:
            _close(bus)
            raise
        self._bus = bus
        self._watcher = asyncio.ensure_future(bus.wait_for_disconnect())
        self._watcher.add_done_callback(self._ended)
        self._sender = asyncio.create_task(self._send_all())
        self._sender.add_done_callback(self._ended)

    async def lost(self) -> None:
        """Wait until the connection is gone, then raise ``BusLost``."""
        await self._lost.wait()
        raise BusLost(self._reason)

    def close(self) -> None:
        """End the connection; what was not sent yet is lost."""
        self._lose("closed by us.")

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[object, ...] = (),
        *,
        deadline_s: float | None = None,
    ) -> tuple[object, ...]:
        """Call a peer and return what it answers. Raises ``RemoteFailure``, ``BusLost`` and ``TimeoutError``."""
        # Not the library's own call: dbus-next never ends one whose connection was lost meanwhile.
        serial = self._bus.next_serial()
        reply = self._calls[serial] = asyncio.get_running_loop().create_future()
        self._send(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=self._plain(body),
            serial=serial,
        )
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            async with asyncio.timeout(self._deadline_s if deadline_s is None else deadline_s):
                await asyncio.wait({reply, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            del self._calls[serial]
        if not reply.done():
            raise BusLost(self._reason)
        answer = reply.result()
        if answer.message_type is self._library.root.MessageType.ERROR:
            sentence = answer.body[0] if answer.body and isinstance(answer.body[0], str) else ""
            raise RemoteFailure(answer.error_name, sentence)
        return tuple(_native(item) for item in answer.body)

    def answer(self, call: Call, reply: Answer | Failure) -> None:
        """Send the reply to a call, if it wants one and the connection is still there."""
        if not call.wants_reply:
            return
        types = self._library.root.MessageType
        if isinstance(reply, Failure):
            self._send(
                message_type=types.ERROR,
                destination=call.sender,
                reply_serial=call.serial,
                error_name=reply.name,
                signature="s",
                body=[reply.sentence],
            )
        else:
            self._send(
                message_type=types.METHOD_RETURN,
                destination=call.sender,
                reply_serial=call.serial,
                signature=reply.signature,
                body=self._plain(reply.body),
            )

    def tell(self, name: str, signal: Signal) -> None:
        """Send a signal to one connection, and to no other."""
        self._send(
            message_type=self._library.root.MessageType.SIGNAL,
            destination=name,
            path=signal.path,
            interface=signal.interface,
            member=signal.member,
            signature=signal.signature,
            body=self._plain(signal.body),
        )

    async def flush(self) -> None:
        """Wait until the bus has taken what was sent. Raises ``BusLost`` when it does not in time."""
        await self._nothing.wait()
        if self._lost.is_set():
            raise BusLost(self._reason)

    def _send(self, **fields: Any) -> None:
        if self._lost.is_set():
            return
        if len(self._unsent) >= _UNSENT_LIMIT:
            self._lose(_STUCK)
            return
        self._unsent.append(self._library.root.Message(**fields))
        self._nothing.clear()
        self._something.set()

    async def _send_all(self) -> None:
        """Hand over one message after the other, each only when the bus takes more. dbus-fast gives up a connection
        whose buffer happens to be full when it begins to write."""
        while True:
            if not self._unsent:
                self._nothing.set()
                self._something.clear()
                await self._something.wait()
            message = self._unsent.popleft()
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._room()
                    await self._bus.send(message)
            except TimeoutError:
                self._lose(_STUCK)
                return

    async def _room(self) -> None:
        """Wait until the socket takes at least a part of a message."""
        loop, descriptor = asyncio.get_running_loop(), self._bus._sock.fileno()
        ready = select.poll()
        ready.register(descriptor, select.POLLOUT)
        if ready.poll(0):
            return
        writable = asyncio.Event()
        loop.add_writer(descriptor, writable.set)
        try:
            await writable.wait()
        finally:
            if not self._lost.is_set():  # after that the number may be that of another file
                loop.remove_writer(descriptor)

    def _received(self, message: Any) -> bool:
        """The library's hook: True keeps it from answering method calls itself."""
        types = self._library.root.MessageType
        if message.message_type is types.SIGNAL:
            if self._on_signal is not None:
                self._on_signal(message.sender or "", message.interface, message.member, tuple(message.body))
            return False
        # No call is left to the library: what it sends by itself can get in the way of what is being sent.
        if message.message_type is not types.METHOD_CALL:
            waiting = self._calls.get(message.reply_serial)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return waiting is not None
        flags = int(message.flags)
        call = Call(
            sender=message.sender or "",
            path=message.path,
            interface=message.interface,
            member=message.member,
            signature=message.signature,
            body=tuple(_native(item) for item in message.body),
            serial=message.serial,
            wants_reply=not flags & _NO_REPLY_EXPECTED,
            interactive=bool(flags & _INTERACTIVE),
        )
        self._on_call(call)
        return True

    def _ended(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._lose(f"{error}." if error is not None and str(error) else "the bus hung up.")

    def _lose(self, reason: str) -> None:
        if self._lost.is_set():
            return
        self._reason = reason
        self._lost.set()
        self._nothing.set()
        self._unsent.clear()
        for task in (self._watcher, self._sender):
            if task is not None:
                task.cancel()
        _close(self._bus)

    def _plain(self, value: Any) -> Any:
        """Our values as both libraries take them: their own variants, lists instead of tuples."""
        if isinstance(value, Variant):
            return self._library.root.Variant(value.signature, self._plain(value.value))
        if isinstance(value, dict):
            return {name: self._plain(item) for name, item in value.items()}
        if isinstance(value, tuple | list):
            return [self._plain(item) for item in value]
        return value


def _native(value: Any) -> Any:
    """A received value without the library's variants, which only wrap what they hold."""
    if hasattr(value, "signature") and hasattr(value, "value"):
        return _native(value.value)
    if isinstance(value, dict):
        return {name: _native(item) for name, item in value.items()}
    if isinstance(value, list | tuple):  # structs are lists in the one library and tuples in the other
        return [_native(item) for item in value]
    return value


def _close(bus: Any) -> None:
    """Give back the descriptor now. Left to the libraries, some releases keep it until the garbage is collected, and
    the reader of the event loop with it."""
    if bus is None:
        return
    sock, stream = getattr(bus, "_sock", None), getattr(bus, "_stream", None)
    if sock is not None and sock.fileno() >= 0:
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        bus._user_disconnect = True
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        sock.close()
