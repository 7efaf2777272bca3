"""What can go wrong inside the virtual card."""

from __future__ import annotations


class CardError(Exception):
    """Base of everything the virtual card raises."""


class PowerLostError(CardError):
    """The card has no power: an armed power cut struck. ``VirtualEuicc.reset()`` gives power again."""


class StateFileError(CardError):
    """The state file is not one that this card wrote."""


class StatusError(CardError):
    """A command ends with this status word and no data; nothing of it takes effect."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:04X}")
        self.status = status
