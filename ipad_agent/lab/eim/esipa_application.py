"""What an application hands to the CoAP server, and what the server needs of an application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how it travels.

    ``code`` is a CoAP code such as ``5.03``; None means success. ``max_age_s`` goes with it (the retry time of a
    5.03). ``delay_s`` over 0.1 makes the answer a separate response. ``lost`` makes the server say nothing at all:
    ``silence`` swallows this one answer, ``crash`` also forgets the session or drops the connection, as a restarted
    server would. ``wire`` is a fault of the carrier, action and value; a carrier that has no such thing answers well.

    ``later`` set means that the answer needs somebody else first: the server awaits it, once, and sends what it gives
    instead of this.
    """

    body: bytes = b""
    code: str | None = None
    max_age_s: int | None = None
    delay_s: float = 0.0
    lost: str | None = None
    wire: tuple[str, Any] | None = None
    later: Callable[[], Awaitable[Reply]] | None = None


class Application(Protocol):
    """Answers one whole request body."""

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """The reply; ``now_s`` is in seconds since 1970, ``peer`` names the connection.

        Raises ``RequestRefusedError`` for a body that is no request; the server then says 4.00.
        """
        ...
