"""Many seeds, over several processes; and a failing history made as short as it can be."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator

from ipad_agent.records import dataclass, field
from ipad_agent.torture.history.fault_history import History
from ipad_agent.torture.history.feature_faults import write_with
from ipad_agent.torture.history.features import NONE

from .history_run import Ended, live_through

_CHUNK = 16
_OBJECTS = 50_000
"""So many new objects before the garbage collector looks; Python's own figure is 700."""


@dataclass(slots=True)
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    violations: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    cards: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    executed: int = 0
    runs: int = 0

    def add(self, summary: dict[str, object]) -> None:
        """Count one seed's summary."""
        self.seeds += 1
        if not summary["ok"]:
            self.failed.append(_int(summary["seed"]))
            found = summary["violations"]
            self.violations.update(list(found) if isinstance(found, dict) else ())
        self.cards[str(summary["card"])] += 1
        self.ways[f"{summary['way']}+{summary['carrier']}"] += 1
        self.polls += _int(summary["polls"])
        self.executed += _int(summary["executed"])
        self.runs += _int(summary["runs"])


def summaries(
    seeds: Iterable[int], *, jobs: int = 1, coverage: bool = True, features: frozenset[str] = NONE
) -> Iterator[dict[str, object]]:
    """How each seed ended, in the order of the seeds; ``jobs`` processes share the work."""
    work = [(seed, coverage, features) for seed in seeds]
    if jobs <= 1:
        yield from map(_summary, work)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, os.cpu_count() or 1), initializer=_prepare) as pool:
        yield from pool.imap(_summary, work, chunksize=_CHUNK)


def shortest(history: History, names: frozenset[str]) -> Ended:
    """The same violation with as few deeds as possible: each is left out in turn, from the last to the first."""
    best = live_through(history)
    index = len(best.history.faults) - 1
    while index >= 0:
        tried = live_through(best.history.without(index))
        if names & tried.names:
            best = tried
        index = min(index, len(best.history.faults)) - 1
    return best


def _prepare() -> None:
    """What is loaded once is not looked at again by the garbage collector, and it looks less often: a history leaves
    little behind, and everything that it left is collected at its end."""
    gc.freeze()
    gc.set_threshold(_OBJECTS)


def _summary(work: tuple[int, bool, frozenset[str]]) -> dict[str, object]:
    seed, coverage, features = work
    return live_through(write_with(seed, features, coverage=coverage)).summary()


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
