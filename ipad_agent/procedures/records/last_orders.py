"""The last order of each eIM and what became of it: for people, and for nothing that is owed."""

from __future__ import annotations

import contextlib
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.instant import Instant
from ipad_agent.procedures.ports import Memory
from ipad_agent.records import dataclass

DOCUMENT: Final = "last-orders"
MAX_EIMS: Final = 16
MAX_TEXT: Final = 200
"""A name that a peer made up must not fill the disk."""


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """``what`` was ordered, and whether all of it was done. ``words`` are those of the card or the server
    (``profileNotInDisabledState``), ``reason`` says what they mean. ``question``: it only asked, and changed nothing.
    """

    eim_id: str
    what: str
    ok: bool
    words: str | None = None
    reason: str | None = None
    question: bool = False


@dataclass(frozen=True, slots=True)
class LastOrder:
    """An outcome and when it was known."""

    outcome: OrderOutcome
    at: Instant


class LastOrders:
    """One for each eIM of the card, on disk as soon as the disk takes it."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    def note(self, eid: str, outcome: OrderOutcome) -> LastOrder | None:
        """An order ended. None when it is not worth more than the one that is kept: a question that was answered does
        not hide that the order before it failed."""
        kept = self.all(eid)
        before = kept.get(outcome.eim_id)
        if outcome.question and outcome.ok and before is not None and not before.outcome.ok:
            return None
        made = LastOrder(outcome, Instant.now(self._clock))
        kept.pop(outcome.eim_id, None)
        kept[outcome.eim_id] = made
        while len(kept) > MAX_EIMS:
            del kept[next(iter(kept))]
        with contextlib.suppress(StoreError):  # the store has said why; after a restart the one before is shown
            self._memory.save(DOCUMENT, {"eid": eid, "orders": [_plain(item) for item in kept.values()]})
        return made

    def all(self, eid: str) -> dict[str, LastOrder]:
        """By eIM, oldest first; those of another card are of no interest."""
        document = self._memory.load(DOCUMENT)
        found = document.get("orders")
        if document.get("eid") != eid or not isinstance(found, tuple | list):
            return {}
        orders = (_read(item) for item in found)
        return {order.outcome.eim_id: order for order in orders if order is not None}


def _plain(order: LastOrder) -> list[object]:
    outcome, at = order.outcome, order.at
    texts = [outcome.eim_id, outcome.what, outcome.words, outcome.reason]
    short = [None if text is None else text[:MAX_TEXT] for text in texts[1:]]
    return [outcome.eim_id, *short, outcome.ok, outcome.question, [at.wall_s, at.monotonic_s, at.boot_id]]


def _read(item: object) -> LastOrder | None:
    match item:
        case [
            str() as eim_id,
            str() as what,
            str() | None as words,
            str() | None as reason,
            bool() as ok,
            bool() as question,
            [float() | int() as wall_s, float() | int() as monotonic_s, str() as boot_id],
        ]:
            outcome = OrderOutcome(eim_id, what, ok, words, reason, question)
            return LastOrder(outcome, Instant(float(wall_s), float(monotonic_s), boot_id))
        case _:
            return None
