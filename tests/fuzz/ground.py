"""What new inputs for a target are grown from."""

from __future__ import annotations

import random
from collections.abc import Sequence

from . import corpus
from .engine import takes
from .mutate import mutated
from .target import Target

_FAVOURED = 0.8
"""How often the new input comes from one that a reader took: most others are refused at their first byte."""
_MORE = 200


class Ground:
    """The files of the corpus, sorted by which reader takes them, and what ``keep`` added."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.seeds: list[bytes] = corpus.inputs(target)
        self._files = len(self.seeds)
        self._taken = [taken for name in target.readers if (taken := self._taken_by(name))]

    def new(self, rng: random.Random) -> bytes:
        """A damaged input, as ``rng`` decides."""
        favoured: Sequence[bytes] = rng.choice(self._taken) if self._taken and rng.random() < _FAVOURED else self.seeds
        return mutated(rng, self._target.kind, rng.choice(favoured), self.seeds)

    def keep(self, rng: random.Random, data: bytes) -> None:
        """Grow from ``data``, too; of many the latest stay."""
        if len(self.seeds) < self._files + _MORE:
            self.seeds.append(data)
        else:
            self.seeds[rng.randrange(self._files, len(self.seeds))] = data

    def _taken_by(self, name: str) -> list[bytes]:
        return [data for data in self.seeds if takes(self._target, name, data)]
