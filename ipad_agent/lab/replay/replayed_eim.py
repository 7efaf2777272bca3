"""An eIM that says what another one said: recorded ESipa answers, byte for byte, to the requests that were recorded."""

from __future__ import annotations

from typing import Final

from ipad_agent.lab.eim.esipa_application import Reply

from .recorded_session import EsipaExchange

_NO_ORDER_BYTES: Final = 8
"""An answer of so few bytes orders nothing; it may be said again."""


class ReplayedEim:
    """An ``Application`` of the lab's servers. ``differing`` are functions whose request was another one than in the
    recording, and got the answer of that; ``not_recorded`` are those that got none."""

    def __init__(self, exchanges: list[EsipaExchange]) -> None:
        self._left = [exchange for exchange in exchanges if exchange.answer is not None]
        self._all = list(self._left)
        self.requests: list[bytes] = []
        self.differing: list[str] = []
        self.not_recorded: list[str] = []

    @property
    def left(self) -> int:
        """Exchanges that were not asked for yet."""
        return len(self._left)

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """The recorded answer, in the order of the recording for equal requests."""
        self.requests.append(body)
        for number, exchange in enumerate(self._left):
            if exchange.request == body:
                return _reply(self._left.pop(number))
        for exchange in reversed(self._all):
            if exchange.request == body and len(exchange.answer or b"") <= _NO_ORDER_BYTES:
                return _reply(exchange)
        for number, exchange in enumerate(self._left):
            if exchange.request[:2] == body[:2]:
                self.differing.append(f"{exchange.function}: {body.hex().upper()}")
                return _reply(self._left.pop(number))
        self.not_recorded.append(body.hex().upper())
        return Reply(code="5.03", max_age_s=60)


def _reply(exchange: EsipaExchange) -> Reply:
    bad = exchange.status[:1] in ("4", "5") and "." in exchange.status
    return Reply(exchange.answer or b"", code=exchange.status if bad else None)
