"""Doubles of what stands between the wire and the parsers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ipad_agent.net.dtls.dtls_backend import DtlsEvent

T = TypeVar("T")


class Still:
    """A clock that stands still."""

    def wall(self) -> float:
        return 1_795_183_331.0

    def monotonic(self) -> float:
        return 100.0

    def boot_id(self) -> str:
        return "boot-1"


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run ``story`` in a loop of its own; an error that only the loop saw is raised, too."""
    unseen: list[dict[str, Any]] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    try:
        value = loop.run_until_complete(story)
    finally:
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if rest:
            loop.run_until_complete(asyncio.wait(rest))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    for context in unseen:
        raise context.get("exception") or AssertionError(context["message"])
    return value


class Session:
    """A DTLS session without cryptography: remembers what is sent, gives nothing by itself."""

    retransmissions = 0

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.spoken = asyncio.Event()

    def start(self, now_s: float) -> list[DtlsEvent]:
        return []

    def feed(self, datagram: bytes, now_s: float) -> list[DtlsEvent]:
        return []

    def take(self) -> list[bytes]:
        return []

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.spoken.set()

    def timeout_at(self) -> float | None:
        return None

    def handle_timeout(self, now_s: float) -> list[DtlsEvent]:
        return []

    def close(self) -> None:
        return None


class Plain:
    """A TLS session without cryptography that has received ``data`` and then the end of the connection."""

    certificate_owed = False

    def __init__(self, data: bytes, size_bytes: int = 1000) -> None:
        self._rest = [data[at : at + size_bytes] for at in range(0, len(data), size_bytes)]

    def read(self) -> bytes | None:
        return self._rest.pop(0) if self._rest else b""

    def write(self, data: bytes) -> None:
        return None

    def take(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> None:
        return None


class Sink:
    """The writing side of a connection."""

    def write(self, data: bytes) -> None:
        return None

    def get_extra_info(self, name: str) -> None:
        return None

    async def drain(self) -> None:
        return None


@dataclass
class Playback:
    """A carrier that answers everything with the same bytes."""

    answer: bytes
    scheme: str = "https"
    bytes_sent: int = 0
    bytes_received: int = 0

    async def reach(self) -> None:
        return None

    async def exchange(self, body: bytes, *, function: str, progress: object = None) -> bytes:
        return self.answer

    async def close(self) -> None:
        return None
