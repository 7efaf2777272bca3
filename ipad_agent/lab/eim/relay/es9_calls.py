"""The other side of the relay: ES9+' and ES11' as function calls, whoever answers them (SGP.22 §6.5, SGP.32 §5.12).

A relay does not call; it yields an ``Es9Call`` and is given the answer, so that the same code runs in one go against
an SM-DP+ in memory and in pieces against one that takes its time (``finish`` and ``finish_later``).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim.errors import Es9Error, Es9RefusedError

Json = dict[str, Any]
Result = TypeVar("Result")

SUCCESS = ("Executed-Success", "Executed-WithWarning")
NO_CONTENT_WANTED = ("handleNotification", "cancelSession")


@dataclass(frozen=True, slots=True)
class Es9Call:
    """One function at one server: ``address`` is what the server is called in an activation code."""

    address: str
    function: str
    body: Json


Steps = Generator[Es9Call, Json, Result]
"""Work that asks servers on its way: yields calls, is sent the fields of good answers or thrown an ``Es9Error``."""


class Es9(Protocol):
    """One SM-DP+ or SM-DS: function name and JSON in, JSON out (``{}`` for an empty answer).

    Raises ``Es9Error`` when there is no answer with a meaning. A failed status in the JSON is not its business.
    """

    def __call__(self, function: str, body: Json) -> Json: ...


class Core(Protocol):
    """What an SM-DP+ without network looks like; ``handle`` gives something with ``status`` and ``body``."""

    def handle(self, function: str, body: object) -> Any: ...


class MemoryEs9:
    """An SM-DP+ or SM-DS in this process. What its switches do on the wire only shows over HTTPS."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def __call__(self, function: str, body: Json) -> Json:
        reply = self._core.handle(function, body)
        if not 200 <= reply.status < 300:
            raise Es9Error(f"HTTP status {reply.status}")
        return dict(reply.body or {})


class Servers:
    """Who answers at which address. ``otherwise`` makes an ``Es9`` for an address that is not ``known``, or None.

    ``blocking``: asking takes time and must not happen in the event loop. Addresses are compared without regard to
    case; the port 443 may be named or not.
    """

    def __init__(
        self,
        known: Mapping[str, Es9] | None = None,
        *,
        otherwise: Callable[[str], Es9 | None] | None = None,
        blocking: bool = False,
    ) -> None:
        self._known = {_key(address): es9 for address, es9 in (known or {}).items()}
        self._otherwise = otherwise
        self.blocking = blocking

    def add(self, address: str, es9: Es9) -> None:
        """From now on ``es9`` answers there."""
        self._known[_key(address)] = es9

    def knows(self, address: str) -> bool:
        """Whether anybody would be asked."""
        return self._find(address) is not None

    def ask(self, call: Es9Call) -> Json:
        """The fields of a successful answer; ``Es9RefusedError`` for a failed status, else ``Es9Error``."""
        es9 = self._find(call.address)
        if es9 is None:
            raise Es9Error(f"nobody is known at {call.address!r}")
        return checked(call.function, es9(call.function, call.body))

    def _find(self, address: str) -> Es9 | None:
        found = self._known.get(_key(address))
        return self._otherwise(address) if found is None and self._otherwise is not None else found


def finish(steps: Steps[Result], call: Es9Call, servers: Servers) -> Result:
    """Run to the end in one go, from the first ``call`` that was yielded."""
    try:
        while True:
            try:
                answer = servers.ask(call)
            except Es9Error as error:
                call = steps.throw(error)
            else:
                call = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration is not generic


async def finish_later(steps: Steps[Result], call: Es9Call, servers: Servers) -> Result:
    """The same, but servers are asked in threads; the rest happens in the running event loop."""
    try:
        while True:
            try:
                answer = await asyncio.to_thread(servers.ask, call)
            except Es9Error as error:
                call = steps.throw(error)
            else:
                call = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration is not generic


def checked(function: str, answer: Json) -> Json:
    """``answer`` if its header says success, or if it has no header but what was asked for (SGP.22 §6.5.1.4).

    Empty answers are good where nothing was asked for. Raises ``Es9RefusedError`` or ``Es9Error``.
    """
    header = answer.get("header")
    if header is None:
        if answer or function in NO_CONTENT_WANTED:
            return answer
        raise Es9Error("the answer is empty")
    execution = header.get("functionExecutionStatus") if isinstance(header, dict) else None
    if not isinstance(execution, dict):
        raise Es9Error("the answer's header has no functionExecutionStatus")
    if execution.get("status") in SUCCESS:
        return answer
    data = execution.get("statusCodeData")
    if not isinstance(data, dict):
        raise Es9Error(f"the function failed without a reason: {execution.get('status')!r}")
    raise Es9RefusedError(f"{data.get('subjectCode')}/{data.get('reasonCode')}", str(data.get("message") or ""))


def encoded(data: bytes) -> str:
    """Base64 as one line."""
    return base64.b64encode(data).decode("ascii")


def tlv_field(answer: Mapping[str, Any], tag: int, *names: str) -> Node:
    """The TLV in the first of these base64 fields that is there; ``Es9Error`` when it is not one with this tag."""
    found = optional_tlv_field(answer, tag, *names)
    if found is None:
        raise Es9Error(f"{names[0]} is missing")
    return found


def optional_tlv_field(answer: Mapping[str, Any], tag: int, *names: str) -> Node | None:
    """The same, None when none of the fields is there."""
    for name in names:
        if answer.get(name) is not None:
            try:
                node = der.parse(base64.b64decode(answer[name], validate=True), ber=True)
            except (binascii.Error, ValueError, TypeError, DerError) as error:
                raise Es9Error(f"{name} is not base64 of a TLV: {error}") from error
            if node.tag != tag:
                raise Es9Error(f"{name} is {node.tag:X}, not {tag:X}")
            return node
    return None


def transaction_field(answer: Mapping[str, Any]) -> bytes | None:
    """transactionId, None when it is left out."""
    value = answer.get("transactionId")
    if value is None:
        return None
    try:
        return bytes.fromhex(value)
    except (ValueError, TypeError) as error:
        raise Es9Error(f"transactionId is not hex: {value!r}") from error


def same_server(one: str, other: str) -> bool:
    """Whether two addresses may mean one server: the same host, and the same port where both name one."""
    first, second = (_key(address).rpartition(":") for address in (one, other))
    (host, port), (other_host, other_port) = (
        (parts[0], parts[2]) if parts[1] and parts[2].isdecimal() and ":" not in parts[0] else ("".join(parts), "")
        for parts in (first, second)
    )
    return host == other_host and (port == other_port or "" in (port, other_port))


def _key(address: str) -> str:
    return address.strip().casefold().removesuffix(":443")


__all__ = [
    "Core",
    "Es9",
    "Es9Call",
    "Es9Error",
    "Es9RefusedError",
    "Json",
    "MemoryEs9",
    "Servers",
    "Steps",
    "checked",
    "encoded",
    "finish",
    "finish_later",
    "optional_tlv_field",
    "same_server",
    "tlv_field",
    "transaction_field",
]
