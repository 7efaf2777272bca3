"""When an owed item that its receiver did not take is offered again.

One value per item, so that an item that is never taken keeps nothing else waiting. A refusal, by an error number, a
status code or an answer that cannot be read, is of this item: the others and new work go on at once. A server that is
busy, or that falls silent in the middle, may be so for everybody: then the poll ends, and only when the same item ends
polls like that again and again it is put aside too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from ipad_agent.policy.instant import Instant, elapsed_s
from ipad_agent.records import dataclass

FIRST_S: Final = 3600.0
LONGEST_S: Final = 86_400.0
MAX_REASON_CHARACTERS: Final = 160
_DOUBLINGS: Final = 16
_MOST: Final = 1_000_000


class Answer(Enum):
    """What came instead of an acceptance. The value is for people, before the reason."""

    REFUSED = "refused"
    BUSY = "too busy"
    SILENT = "no answer"


@dataclass(frozen=True, slots=True)
class _Rule:
    """``patience``: so many in a row end the poll and have no pause of their own; the polls' schedule decides."""

    patience: int
    first_s: float
    longest_s: float


_RULES: Final[Mapping[Answer, _Rule]] = MappingProxyType(
    {
        Answer.REFUSED: _Rule(0, FIRST_S, LONGEST_S),
        Answer.BUSY: _Rule(2, FIRST_S, LONGEST_S),
        # A bad link is silence too, and gets better: never longer than the first pause.
        Answer.SILENT: _Rule(2, FIRST_S, FIRST_S),
    }
)


@dataclass(frozen=True, slots=True)
class Redelivery:
    """``attempts`` in vain, the last one at ``last``; not again for ``wait_s`` from then on. ``in_row``: how many of
    the last ones ended with ``answer``."""

    attempts: int
    answer: Answer
    in_row: int
    reason: str
    last: Instant
    wait_s: float

    @property
    def ends_poll(self) -> bool:
        """Whether the last attempt says more about the server than about the item."""
        return self.in_row <= _RULES[self.answer].patience


def failed(
    before: Redelivery | None, now: Instant, answer: Answer, reason: str, *, retry_after_s: float | None = None
) -> Redelivery:
    """One more attempt in vain; ``retry_after_s`` is what the server asked for itself, honoured up to a day."""
    in_row = before.in_row + 1 if before is not None and before.answer is answer else 1
    rule = _RULES[answer]
    beyond = in_row - rule.patience
    wait_s = 0.0
    if beyond > 0:
        wait_s = min(rule.longest_s, rule.first_s * 2.0 ** min(beyond - 1, _DOUBLINGS))
        wait_s = min(LONGEST_S, max(wait_s, retry_after_s or 0.0))
    attempts = (before.attempts if before is not None else 0) + 1
    return Redelivery(min(attempts, _MOST), answer, in_row, reason[:MAX_REASON_CHARACTERS], now, wait_s)


def due_in_s(state: Redelivery | None, now: Instant) -> float:
    """From now until the item may be offered again; 0 when it may be now.

    Where it is not knowable how much time has passed (a reboot, and a clock that was not set or went backwards) it is
    due: one attempt too many does less harm than a pause that a device without a clock begins anew at every boot.
    """
    if state is None:
        return 0.0
    passed_s = elapsed_s(state.last, now)
    return 0.0 if passed_s is None else max(0.0, state.wait_s - passed_s)


def sentence(state: Redelivery) -> str:
    """What a person is told of it: ``refused our result: undefinedError (127), 3 times``."""
    what = {
        Answer.REFUSED: "refused our result",
        Answer.BUSY: "was too busy for our result",
        Answer.SILENT: "fell silent at our result",
    }[state.answer]
    return f"{what}: {state.reason}, {'once' if state.attempts == 1 else f'{state.attempts} times'}"


# -- as plain data for the store ---------------------------------------------------------------------------------------


def to_document(state: Redelivery) -> tuple[object, ...]:
    """Plain data that ``from_document`` reads back to the same value."""
    last = (state.last.wall_s, state.last.monotonic_s, state.last.boot_id)
    return (state.attempts, state.answer.name, state.in_row, state.reason, last, state.wait_s)


def from_document(document: object) -> Redelivery | None:
    """The value, or None when the document is missing or not one: the item is then offered as if for the first time."""
    match document:
        case (
            int() as attempts,
            str() as name,
            int() as in_row,
            str() as reason,
            (int() | float() as wall_s, int() | float() as monotonic_s, str() as boot_id),
            int() | float() as wait_s,
        ):
            answer = next((one for one in Answer if one.name == name), None)
            numbers = (attempts, in_row, wall_s, monotonic_s)
            if answer is None or not 0 <= wait_s <= LONGEST_S or not all(0 <= number <= 1e12 for number in numbers):
                return None
            last = Instant(float(wall_s), float(monotonic_s), boot_id)
            return Redelivery(min(attempts, _MOST), answer, min(in_row, _MOST), reason, last, float(wait_s))
    return None
