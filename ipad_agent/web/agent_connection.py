"""The web page's end of the agent's socket: Varlink, that is JSON objects that end with a NUL (https://varlink.org).

Only methods that change nothing can be called here at all; a defect of the page cannot reach one that acts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from ipad_agent.records import dataclass

INTERFACE: Final = "io.github.ipadagent"
METHODS: Final = frozenset({"GetStatus", "Subscribe", "ListEvents", "ListHistory", "Explain", "Doctor", "Bundle"})
"""All that is ever asked of the agent; a test holds it against the rights that the agent demands."""
CONNECT_S: Final = 5.0
ANSWER_S: Final = 20.0
"""For what the agent knows by itself."""
CARD_S: Final = 300.0
"""For what needs the card, which may be at work for somebody else first."""
LARGEST_REPLY_BYTES: Final = 64 << 20


@dataclass(slots=True)
class AgentError(Exception):
    """The agent gave no usable answer. ``name``: the last part of its error's name, ``NotRunning`` or ``NoAnswer``;
    ``sentence`` and ``hint`` are for people."""

    name: str
    sentence: str
    hint: str | None = None


_START: Final = "`systemctl start ipad-agent` starts it there; `systemctl status ipad-agent` says why it ended."
_STUCK: Final = "`journalctl -u ipad-agent -n 20` on the device says what it does."


class AgentConnection:
    """Calls to one agent; each has a connection of its own, which is cheap and needs no queue."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def call(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = ANSWER_S
    ) -> dict[str, Any]:
        """The ``parameters`` of the one answer. Raises ``AgentError``."""
        async with aclosing(self._replies(method, parameters or {}, more=False, timeout_s=timeout_s)) as replies:
            async for reply in replies:
                return reply
        raise AgentError("NoAnswer", "The agent did not answer.", _STUCK)

    def stream(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float | None = ANSWER_S
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The ``parameters`` of each answer until the last; ``timeout_s`` is for each, None waits for ever. Raises
        ``AgentError``."""
        return self._replies(method, parameters or {}, more=True, timeout_s=timeout_s)

    async def bundle(self) -> bytes:
        """The support bundle, a .tar.gz. Raises ``AgentError``."""
        encoded = (await self.call("Bundle", timeout_s=CARD_S)).get("bundle")
        try:
            return base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
        except (binascii.Error, ValueError):
            raise AgentError("NoAnswer", "The bundle did not arrive in one piece.") from None

    async def _replies(
        self, method: str, parameters: Mapping[str, object], *, more: bool, timeout_s: float | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        if method not in METHODS:
            raise ValueError(f"{method} is not for this page")
        reader, writer = await self._connected()
        try:
            message = {"method": f"{INTERFACE}.{method}", "parameters": dict(parameters), "more": more}
            writer.write(json.dumps(message).encode() + b"\0")
            while True:
                reply = await self._reply(reader, timeout_s)
                yield _parameters(reply)
                if reply.get("continues") is not True:
                    return
        finally:
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_unix_connection(self._path, limit=LARGEST_REPLY_BYTES)
        except (FileNotFoundError, ConnectionRefusedError):
            hint = (
                "`systemctl start ipad-agent` on the device starts it; `systemctl status ipad-agent` says why it ended."
            )
            raise AgentError("NotRunning", "The agent is not running on this device.", hint) from None
        except (OSError, TimeoutError) as error:
            raise AgentError(
                "NoAnswer", f"The agent's socket cannot be used: {error or 'no answer'}.", _STUCK
            ) from None

    async def _reply(self, reader: asyncio.StreamReader, timeout_s: float | None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                message = await reader.readuntil(b"\0")
        except asyncio.LimitOverrunError:
            raise AgentError("NoAnswer", f"The answer is longer than {LARGEST_REPLY_BYTES >> 20} MB.") from None
        except TimeoutError:
            raise AgentError("NoAnswer", "The agent did not answer in time.", _STUCK) from None
        except (asyncio.IncompleteReadError, OSError):
            raise AgentError("NotRunning", "The agent went away before it answered.", _STUCK) from None
        try:
            reply = json.loads(message[:-1])
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise AgentError("NoAnswer", "What answers at the agent's socket does not speak Varlink.")
        return reply


def _parameters(reply: dict[str, Any]) -> dict[str, Any]:
    found = reply.get("parameters")
    parameters = found if isinstance(found, dict) else {}
    error = reply.get("error")
    if error is None:
        return parameters
    name = str(error).rpartition(".")[2]
    sentence, hint = parameters.get("sentence"), parameters.get("hint")
    if not isinstance(sentence, str) or not sentence:
        sentence = {
            "MethodNotFound": "The running agent does not know this question.",
            "InterfaceNotFound": "What answers at the agent's socket is not the agent.",
        }.get(name, f"The agent answered: {name}.")
    raise AgentError(name, sentence, hint if isinstance(hint, str) else None)
