"""What the agent keeps on disk, as one thing to look after: whether the disk has it, and whether it is still there."""

from __future__ import annotations

from typing import Protocol

from .emulated_card_file import EmulatedCardFiles
from .journal import Journal
from .state_documents import Memory


class Lock(Protocol):
    """What keeps a second agent away (``StateLock``)."""

    def look(self) -> bool: ...


class StateDirectory:
    """The journal and the memory of one state directory. ``look`` is to be called now and then: nothing else notices a
    directory that was removed while nothing was written, and nothing else tries again."""

    def __init__(
        self,
        journal: Journal,
        memory: Memory,
        lock: Lock | None = None,
        emulated_cards: EmulatedCardFiles | None = None,
    ) -> None:
        self._journal = journal
        self._memory = memory
        self._lock = lock
        self._emulated_cards = emulated_cards

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, without a full stop; None when it has all that the agent knows."""
        emulated = None if self._emulated_cards is None else self._emulated_cards.trouble
        return self._journal.trouble or self._memory.trouble or emulated

    @property
    def lost(self) -> bool:
        """Whether something of what was owed before the start is not known."""
        return self._journal.lost

    @property
    def lacks_card_state(self) -> bool:
        """Whether the disk does not have what an emulated card did."""
        return self._emulated_cards is not None and self._emulated_cards.unwritten

    def look(self) -> bool:
        """Try again what the disk refused, and make anew what was removed. Never raises. Whether entries of the journal
        came to light that were not known before."""
        removed = self._journal.removed  # noticed when it was written to
        if self._lock is not None:
            removed = self._lock.look() or removed
        found = self._journal.look()
        self._memory.look(lost=removed or self._journal.removed)
        if self._emulated_cards is not None:
            self._emulated_cards.look(lost=removed or self._journal.removed)
        self._journal.removed = False
        return found
