"""Varlink's framing: JSON objects, each ended by a NUL byte. Bytes in, calls out; no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NoReturn

from ipad_agent.records import dataclass

from .client_limits import MAX_PIPELINED, MAX_REQUEST_BYTES

END: Final = b"\0"


class NotVarlink(Exception):
    """What arrived is no Varlink; the text says why. There is no telling where the next message would begin."""


class BadCall(Exception):
    """A message that is JSON and no call; ``member`` is what is wrong with it."""

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} is missing or of a wrong type")
        self.member = member


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``more``: the caller takes several replies; ``oneway``: it wants none."""

    method: str
    parameters: Mapping[str, object]
    more: bool = False
    oneway: bool = False

    @property
    def interface(self) -> str:
        return self.method.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.method.rpartition(".")[2]


class Framer:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, without their NUL. Raises ``NotVarlink`` when one is too large, or when
        there are very many."""
        if data.count(END) > MAX_PIPELINED:
            raise NotVarlink(f"more than {MAX_PIPELINED} messages at once")
        searched = len(self._rest)
        self._rest += data
        messages = []
        while (at := self._rest.find(END, searched)) >= 0:
            messages.append(bytes(self._rest[:at]))
            del self._rest[: at + 1]
            searched = 0
        if len(self._rest) > MAX_REQUEST_BYTES or any(len(message) > MAX_REQUEST_BYTES for message in messages):
            raise NotVarlink(f"a message of more than {MAX_REQUEST_BYTES} bytes")
        return messages


def parse_call(message: bytes) -> Call:
    """One message as a call. Raises ``NotVarlink`` for what is no JSON object and ``BadCall`` for an object that is no
    call."""
    try:
        found = json.loads(message.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotVarlink("a message that is no JSON") from error
    if not isinstance(found, dict):
        raise NotVarlink("a message that is no JSON object")
    method, parameters = found.get("method"), found.get("parameters")
    if not isinstance(method, str) or "." not in method:
        raise BadCall("method")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise BadCall("parameters")
    for flag in ("more", "oneway", "upgrade"):
        if not isinstance(found.get(flag, False), bool | None):
            raise BadCall(flag)
    if found.get("upgrade"):
        raise BadCall("upgrade")  # no method here turns the connection into something else
    return Call(method, parameters, more=bool(found.get("more")), oneway=bool(found.get("oneway")))


def reply(parameters: Mapping[str, object], *, continues: bool = False) -> bytes:
    """One reply as bytes; ASCII, so that no text of a card or an eIM can upset it."""
    message: dict[str, object] = {"parameters": parameters}
    if continues:
        message["continues"] = True
    return _encode(message)


def error(name: str, parameters: Mapping[str, object]) -> bytes:
    """An error, which ends the call; ``name`` is the full name."""
    return _encode({"error": name, "parameters": parameters})


def _encode(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + END


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
