"""What an application hands to the CoAP server, and what the server needs of an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how it travels.

    ``code`` is a CoAP code such as ``5.03``; None means success. ``max_age_s`` goes with it (the retry time of a
    5.03). ``delay_s`` over 0.1 makes the answer a separate response. ``lost`` makes the server say nothing at all:
    ``silence`` swallows this one answer, ``crash`` also forgets the DTLS session, as a restarted server would.
    """

    body: bytes = b""
    code: str | None = None
    max_age_s: int | None = None
    delay_s: float = 0.0
    lost: str | None = None


class Application(Protocol):
    """Answers one whole request body."""

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """The reply; ``now_s`` is in seconds since 1970, ``peer`` names the connection.

        Raises ``RequestRefusedError`` for a body that is no request; the server then says 4.00.
        """
        ...
