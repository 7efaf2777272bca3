"""What is fuzzed: a few readers of one kind of input, and what they may raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ipad_agent.errors import IpadError

Reader = Callable[[bytes], object]


class Kind(Enum):
    """The form of the input: which mutations keep enough of it to get past the first check."""

    BYTES = "bytes"
    BER = "ber"
    JSON = "json"
    TOML = "toml"
    LINES = "lines"
    SEALED = "sealed"  # JSON with a checksum before it, as the store writes it


@dataclass(frozen=True, slots=True)
class Target:
    """``readers`` get every input, each on its own. ``errors`` is what they may raise, and nothing else.

    ``corpus`` is the folder in ``tests/corpus``, which several targets may share. ``examples`` is how many mutated
    inputs a bounded run takes. ``logged`` says that an error's sentence goes into the log as it is: it must be one
    printable line, or a peer's words could forge other lines. ``slow`` says that memory is measured with small inputs
    only: measuring makes many small steps ten times as long.
    """

    name: str
    kind: Kind
    readers: Mapping[str, Reader] = field(repr=False)
    errors: tuple[type[Exception], ...] = (IpadError,)
    corpus: str = ""
    examples: int = 300
    logged: bool = True
    slow: bool = False

    @property
    def folder(self) -> str:
        return self.corpus or self.name
