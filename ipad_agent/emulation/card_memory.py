"""The state of one emulated card while the agent runs, and when it reaches the disk."""

from __future__ import annotations

from .consumer_card import StateFile
from .device_key import DeviceKey
from .emulated_state import EmulatedState


class CardMemory:
    """``state`` is what counts. The key signs for this card. ``looked_back``: whether this run of the program has asked
    the card what the disk may not know of the last one."""

    def __init__(self, file: StateFile, state: EmulatedState, key: DeviceKey) -> None:
        self._file = file
        self._state = state
        self.key = key
        self.looked_back = False

    @property
    def state(self) -> EmulatedState:
        return self._state

    def write(self, state: EmulatedState) -> None:
        """For what is about to be done: on the disk when this returns. Raises ``StoreError``; the old state counts on
        then."""
        self._file.write(state.to_document())
        self._state = state

    def hold(self, state: EmulatedState) -> None:
        """For what is so already: it counts at once, and reaches the disk as soon as that takes it."""
        self._state = state
        self._file.hold(state.to_document())

    def note(self, state: EmulatedState) -> None:
        """In memory, until the next ``write`` or ``hold``: what a power cut may take is found out again."""
        self._state = state
