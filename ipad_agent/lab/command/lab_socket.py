"""Orders to a running lab from a second terminal: JSON lines over a Unix socket in the lab's folder.

Request ``{"words": ["eim", "queue", "enable", "8949…"]}``, answer ``{"ok": true, "text": "…", "data": …}`` or
``{"ok": false, "text": "what was wrong"}``. One request per connection. The socket is for the owner alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipad_agent.lab.errors import ControlError

__all__ = ["Answer", "ControlServer", "send_order"]

LOG = logging.getLogger("ipad_agent.lab")

SOCKET_NAME = "control.sock"
MAX_LINE_BYTES = 1 << 20
_READ_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an order gave: text for people, and the same as plain data for programs."""

    text: str
    data: Any = None


class ControlServer:
    """Takes orders at ``folder/control.sock`` and has ``handle`` obey them; a ``ControlError`` is the refusal."""

    def __init__(self, folder: Path, handle: Callable[[Sequence[str]], Awaitable[Answer]]) -> None:
        self.path = folder / SOCKET_NAME
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ControlServer:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        with _short_path(self.path) as path:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(path)
        self.path.chmod(0o600)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_S):
                line = await reader.readline()
            writer.write(json.dumps(await self._answer(line), ensure_ascii=False, default=str).encode() + b"\n")
            async with asyncio.timeout(_READ_S):
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError) as error:
            LOG.debug("control: a connection ended early: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            words = request["words"]
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise TypeError("words are not a list of strings")
        except (ValueError, TypeError, KeyError) as error:
            return {"ok": False, "text": f"no order: {error}"}
        try:
            answer = await self._handle(words)
        except ControlError as error:
            return {"ok": False, "text": str(error)}
        return {"ok": True, "text": answer.text, "data": answer.data}


def send_order(folder: Path, words: Sequence[str], *, deadline_s: float = 30.0) -> Answer:
    """Give an order to the lab that runs in ``folder``. ``ControlError`` when none runs there or it refuses."""
    path = folder / SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short_path(path) as short:
            connection.settimeout(deadline_s)
            connection.connect(short)
            connection.sendall(json.dumps({"words": list(words)}).encode() + b"\n")
            received = b""
            while not received.endswith(b"\n") and (part := connection.recv(65536)):
                received += part
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no lab runs in {folder}; start one with: ipad-agent lab up --dir {folder}") from None
    except OSError as error:
        raise ControlError(f"the lab in {folder} does not answer: {error}") from error
    try:
        answer = json.loads(received)
    except ValueError:
        raise ControlError(f"the lab in {folder} gave no answer") from None
    if not answer["ok"]:
        raise ControlError(answer["text"])
    return Answer(answer["text"], answer.get("data"))


@contextlib.contextmanager
def _short_path(path: Path) -> Any:
    """A name for the socket that fits into the 108 bytes of an address, however deep its folder is."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
