"""Changing the carrier when one way to an eIM is closed, and never in the middle of a procedure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ipad_agent.net import Carrier, HandshakeFailed, Unreachable, cost_bytes
from ipad_agent.records import dataclass

from . import events

BACK_AFTER: Final = 8
"""After so many good procedures on another way the preferred one gets its next chance."""


@dataclass(frozen=True, slots=True)
class Way:
    """A carrier that is made when it is first needed; ``name`` is for messages (``coaps``, ``https``)."""

    name: str
    make: Callable[[], Carrier]


class FailoverCarrier:
    """Implements ``Carrier`` over several ways to the same eIM, the preferred one first.

    A procedure ends with ``close``; until then all of it goes one way, for an eIM may tie its work to the connection.
    The next procedure takes the next way when this one had ``Unreachable`` or ``HandshakeFailed``. A server that is
    not trusted, and one that answers with an error, is no reason: another way would lead to the same doubt.
    """

    def __init__(self, ways: Sequence[Way], *, eim_id: str) -> None:
        if not ways:
            raise ValueError("no way to the eIM")
        self._ways = tuple(ways)
        self._eim_id = eim_id
        self._made: dict[int, Carrier] = {}
        self._at = 0
        self._good_procedures = 0
        self._answered = False
        self._problem: Unreachable | HandshakeFailed | None = None

    @property
    def scheme(self) -> str:
        """That of the way in use."""
        return self._ways[self._at].name

    @property
    def peer_protocol(self) -> str | None:
        """What the server named over the way in use."""
        named: str | None = getattr(self._made.get(self._at), "peer_protocol", None)
        return named

    @property
    def bytes_sent(self) -> int:
        return sum(carrier.bytes_sent for carrier in self._made.values())

    @property
    def bytes_received(self) -> int:
        return sum(carrier.bytes_received for carrier in self._made.values())

    @property
    def ip_bytes(self) -> int:
        return sum(cost_bytes(carrier) for carrier in self._made.values())

    async def exchange(self, body: bytes, *, function: str) -> bytes:
        """See ``Carrier``."""
        carrier = self._carrier()
        try:
            answer = await carrier.exchange(body, function=function)
        except (Unreachable, HandshakeFailed) as error:
            self._problem = error
            raise
        self._problem, self._answered = None, True
        return answer

    async def reach(self) -> None:
        """See ``Carrier``."""
        try:
            await self._carrier().reach()
        except (Unreachable, HandshakeFailed) as error:
            self._problem = error
            raise
        self._problem = None

    def _carrier(self) -> Carrier:
        carrier = self._made.get(self._at)
        if carrier is None:
            carrier = self._made[self._at] = self._ways[self._at].make()
        return carrier

    async def close(self) -> None:
        """See ``Carrier``. Ends the procedure, and with it the choice of the way."""
        carrier = self._made.get(self._at)
        problem, self._problem = self._problem, None
        answered, self._answered = self._answered, False
        if problem is not None:
            self._change((self._at + 1) % len(self._ways), problem.message)
        elif answered and self._at != 0:
            self._good_procedures += 1
            if self._good_procedures >= BACK_AFTER:
                self._change(0, "it is the preferred way")
        if carrier is not None:
            await carrier.close()

    def _change(self, at: int, problem: str) -> None:
        if at != self._at:
            self._at, self._good_procedures = at, 0
            events.CARRIER_CHANGED.emit(eim=self._eim_id, carrier=self._ways[at].name, problem=problem)
