"""The client's end of the agent's socket: Varlink, that is JSON objects that end with a NUL (https://varlink.org).

A blocking socket and deadlines: the command has nothing else to do while it waits. Whatever comes from the other end
is judged before it is used; only ``CommandError`` escapes.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .errors import CommandError, NoAnswerError, NotAllowedError, NotRunningError, RefusedError
from .exit_codes import Exit

INTERFACE: Final = "io.github.ipadagent"
SERVICE_INTERFACE: Final = "org.varlink.service"
DEFAULT_SOCKET: Final = "/run/ipad-agent/io.github.ipadagent"
NAMED_AGENTS: Final = "/run/ipad-agents"
"""The runtime folders of the agents of ``ipad-agent@.service``, one for each modem."""
CONNECT_TIMEOUT_S: Final = 5
ANSWER_TIMEOUT_S: Final = 20.0
"""For what the agent knows by itself."""
CARD_TIMEOUT_S: Final = 300.0
"""For what needs the card, which may be at work for somebody else first."""
SILENT_S: Final = 2.0
"""A person who has seen nothing for this long is told that the answer takes time."""
LARGEST_REPLY_BYTES: Final = 64 << 20

START_ONLY: Final = (
    "Start it with `systemctl start ipad-agent`; `systemctl status ipad-agent` and `journalctl -u ipad-agent -n 20` "
    "say why it ended."
)
START_HINT: Final = f"{START_ONLY} `ipactl doctor` looks at the device without it."


def start_only(path: str) -> str:
    """What to do about an agent that does not listen at ``path``: its unit is told by its runtime folder."""
    folder, name = os.path.split(os.path.dirname(path))
    return START_ONLY.replace(" ipad-agent", f" ipad-agent@{name}") if folder == NAMED_AGENTS else START_ONLY


def _start_hint(path: str) -> str:
    if path != DEFAULT_SOCKET and os.path.dirname(os.path.dirname(path)) != NAMED_AGENTS:
        return (
            "Start the agent that has this socket: one on the bench by `ipad-agent run --config FILE`, the system's by "
            "`systemctl start ipad-agent`."
        )
    return START_HINT.replace(START_ONLY, start_only(path))


def _limit_connecting(connecting: socket.socket) -> None:
    """Two numbers, of the width of this system's time: 64 bits on 32-bit machines too, since Debian 13 (armhf)."""
    try:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", CONNECT_TIMEOUT_S, 0))
    except OSError:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@qq", CONNECT_TIMEOUT_S, 0))


class Connection:
    """One connection; a call or a stream at a time. Use it as a context manager."""

    def __init__(self, path: str, *, waiting: Callable[[], None] | None = None) -> None:
        """Connect to the agent; ``NotRunningError`` when nobody listens there, ``NotAllowedError`` when not for us.
        ``waiting`` is called when a call has had no answer for a while; it goes on."""
        self.path = path
        self._waiting = waiting
        self._hint = _start_hint(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Not settimeout: Python connects without waiting then, and a queue that is full for a moment is an error. The
        # kernel waits for a place in it, for as long as this.
        _limit_connecting(self._socket)
        self._buffer = bytearray()
        try:
            self._socket.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            self.close()
            raise NotRunningError(f"The agent is not running: nobody listens at {path}.", hint=self._hint) from None
        except PermissionError:
            self.close()
            raise NotAllowedError(
                f"This user may not talk to the agent at {path}.",
                hint="Use sudo, or join the group that owns the socket.",
            ) from None
        except BlockingIOError:
            self.close()
            raise NoAnswerError("Too many programs want to talk to the agent at once.", hint=self._hint) from None
        except OSError as error:
            self.close()
            raise NoAnswerError(f"The agent's socket {path} cannot be used: {error}.", hint=self._hint) from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> dict[str, Any]:
        """Ask, and return the ``parameters`` of the one answer. A method without a dot is one of the agent's."""
        self._send({"method": _full(method), "parameters": dict(parameters or {})})
        until = time.monotonic() + timeout_s
        if self._waiting is not None and timeout_s > SILENT_S:
            try:
                return _parameters(self._receive(time.monotonic() + SILENT_S))
            except _Silence:
                self._waiting()
        return _parameters(self._receive(until))

    def begin(self, method: str, parameters: Mapping[str, object] | None = None) -> None:
        """Ask, and leave the answer to ``ended``."""
        self._send({"method": _full(method), "parameters": dict(parameters or {})})

    def ended(self, timeout_s: float) -> dict[str, Any] | None:
        """The ``parameters`` of the answer to what was begun; None when none came in this time."""
        try:
            return _parameters(self._receive(time.monotonic() + timeout_s))
        except _Silence:
            return None

    def stream(
        self,
        method: str,
        parameters: Mapping[str, object] | None = None,
        *,
        timeout_s: float | None = ANSWER_TIMEOUT_S,
        tick_s: float | None = None,
    ) -> Iterator[dict[str, Any] | None]:
        """Ask with ``more`` and yield the ``parameters`` of each answer until the last one. ``timeout_s`` is for each
        of them; None waits for ever. With ``tick_s`` a None comes whenever that long nothing else came."""
        self._send({"method": _full(method), "parameters": dict(parameters or {}), "more": True})
        while True:
            deadline = None if timeout_s is None else time.monotonic() + timeout_s
            reply = None
            while reply is None:
                until = deadline if tick_s is None else time.monotonic() + tick_s
                try:
                    reply = self._receive(until)
                except _Silence:
                    if deadline is not None and time.monotonic() >= deadline:
                        raise
                    yield None
            yield _parameters(reply)
            if reply.get("continues") is not True:
                return

    def _send(self, request: dict[str, object]) -> None:
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(json.dumps(request).encode() + b"\0")
        except TimeoutError:
            raise NoAnswerError("The agent does not take the question.", hint=self._hint) from None
        except OSError as error:
            raise NotRunningError(f"The agent went away: {error}.", hint=self._hint) from None

    def _receive(self, deadline: float | None) -> dict[str, Any]:
        searched = 0
        while (end := self._buffer.find(b"\0", searched)) < 0:
            searched = len(self._buffer)
            if searched > LARGEST_REPLY_BYTES:
                raise NoAnswerError(f"The answer is longer than {LARGEST_REPLY_BYTES >> 20} MB.")
            self._buffer += self._more(deadline)
        message = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return _parsed(message)

    def _more(self, deadline: float | None) -> bytes:
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise _silence()
        try:
            self._socket.settimeout(left_s)
            received = self._socket.recv(1 << 16)
        except TimeoutError:
            raise _silence() from None
        except OSError as error:
            raise NotRunningError(f"The agent went away: {error}.", hint=self._hint) from None
        if not received:
            raise NotRunningError("The agent went away before it answered.", hint=self._hint)
        return received


class _Silence(NoAnswerError):
    """Nothing came in time."""


def _silence() -> _Silence:
    return _Silence(
        "The agent did not answer in time.",
        hint="It runs but is busy or stuck; `journalctl -u ipad-agent -n 20` shows what it does.",
    )


def _full(method: str) -> str:
    return method if "." in method else f"{INTERFACE}.{method}"


def _parsed(message: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(message)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise NoAnswerError("What answers at the agent's socket does not speak Varlink.", hint="See --socket.")
    return reply


def _parameters(reply: dict[str, Any]) -> dict[str, Any]:
    parameters = reply.get("parameters", {})
    if not isinstance(parameters, dict):
        parameters = {}
    if reply.get("error") is not None:
        raise _refusal(str(reply["error"]), parameters)
    return parameters


_REFUSALS: Final[Mapping[str, tuple[Exit, str, str]]] = {
    "NotReady": (Exit.FAILED, "The agent is not ready for that now.", "`ipactl status` says what it is waiting for."),
    "Busy": (Exit.WAITING, "The agent is busy with something else.", "Try again later; `ipactl watch` shows it."),
    "RefusedByPolicy": (Exit.REFUSED, "A rule of this device forbids it.", ""),
    "CardError": (Exit.FAILED, "The card refused it.", "`ipactl log` has the card's own words."),
    "NotAuthorized": (
        Exit.REFUSED,
        "This user may not do that.",
        "Use sudo, or join the group that the configuration names for it (`ipactl config show`).",
    ),
    "NotFound": (Exit.FAILED, "There is no such thing.", ""),
    "InvalidParameter": (Exit.USAGE, "The agent does not understand what was asked.", ""),
    "DownloadFailed": (Exit.FAILED, "No profile was installed.", "`ipactl log` tells more."),
    "MethodNotFound": (Exit.FAILED, "The running agent does not know this command.", "Restart it after an update."),
    "MethodNotImplemented": (Exit.FAILED, "The running agent cannot do this.", "Restart it after an update."),
    "PermissionDenied": (Exit.REFUSED, "This user may not do that.", "Use sudo."),
    "InterfaceNotFound": (Exit.FAILED, "What answers at this socket is not the agent.", "See --socket."),
}


def _refusal(error: str, parameters: dict[str, Any]) -> CommandError:
    """The agent's no as one of ours; its own sentence comes first."""
    name = error.rpartition(".")[2]
    exit, sentence, hint = _REFUSALS.get(name, (Exit.FAILED, f"The agent answered: {name}.", ""))
    own, own_hint = parameters.get("sentence"), parameters.get("hint")
    if error == f"{SERVICE_INTERFACE}.InvalidParameter" and isinstance(parameters.get("parameter"), str):
        sentence = f"The parameter {parameters['parameter']} is missing, not known, or of another type."
    return RefusedError(
        own if isinstance(own, str) and own else sentence,
        hint=own_hint if isinstance(own_hint, str) and own_hint else hint,
        name=name,
        exit=exit,
        facts=parameters,
    )
