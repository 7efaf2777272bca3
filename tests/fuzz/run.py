"""Fuzz for as long as one likes: ``python -m tests.fuzz.run --seconds 600 --target tlv``.

The targets take turns, with new inputs every time. An input that fails is made as small as it gets, saved into the
corpus with a note beside it, and told; the exit status is 1 then. ``--seed`` repeats a run.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from . import corpus
from .engine import Failure, probe
from .ground import Ground
from .shrink import smaller
from .target import Target
from .targets import TARGETS

TURN_S = 0.5
MEMORY_EVERY = 200
"""Measuring memory makes reading several times slower, so only some inputs get it."""


class Field:
    """One target, the inputs it grows new ones from, and the kinds of failure that are known."""

    def __init__(self, target: Target, rng: random.Random) -> None:
        self.target = target
        self.rounds = 0
        self._rng = rng
        self._ground = Ground(target)
        self._known: set[str] = set()

    def once(self) -> Failure | None:
        """One new input; a failure of a kind not seen before."""
        self.rounds += 1
        data = self._ground.new(self._rng)
        failure = probe(self.target, data, memory=self.rounds % MEMORY_EVERY == 0)
        if failure is None:
            if self._rng.random() < 0.01:
                self._ground.keep(self._rng, data)
            return None
        if failure.kind in self._known:
            return None
        self._known.add(failure.kind)
        return smaller(self.target, failure)


def fuzz(
    targets: Sequence[Target],
    seconds: float,
    seed: int,
    *,
    say: Callable[[str], None] = print,
    root: Path = corpus.ROOT,
    clock: Callable[[], float] = time.monotonic,
) -> list[Failure]:
    """Let ``targets`` take turns until ``seconds`` are over; all failures, each of them saved below ``root``."""
    fields = [Field(target, random.Random(f"{seed} {target.name}")) for target in targets]
    failures: list[Failure] = []
    end = clock() + seconds
    while clock() < end:
        for field in fields:
            turn = min(end, clock() + TURN_S)
            while clock() < turn:
                failure = field.once()
                if failure is not None:
                    failures.append(failure)
                    trace = "".join(traceback.format_exception(failure.error)) if failure.error else ""
                    path = corpus.keep(failure, field.target.folder, trace, root)
                    say(f"{failure}\n  saved as {path}")
    for field in fields:
        say(f"{field.target.name}: {field.rounds} inputs")
    return failures


def chosen(pattern: str) -> list[Target]:
    """Targets by the beginning of their names; all when it is empty."""
    return [target for name, target in sorted(TARGETS.items()) if name.startswith(pattern)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Feed damaged input to every parser.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--target", default="", help="only targets whose names begin so; --list shows them")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run")
    parser.add_argument("--list", action="store_true", help="show the targets and their readers")
    options = parser.parse_args(arguments)
    targets = chosen(options.target)
    if options.list or not targets:
        for target in targets or TARGETS.values():
            print(f"{target.name:16} {target.kind.value:7} {', '.join(target.readers)}")
        return 0 if options.list else 2
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"{len(targets)} targets, {options.seconds:g} s, --seed {seed}", flush=True)
    failures = fuzz(targets, options.seconds, seed)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
