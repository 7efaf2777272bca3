"""The card holder of the bench: a virtual eUICC that can be pulled, lose power, and is watched."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ipad_agent.lab.euicc import PowerLostError, VirtualEuicc
from ipad_agent.lab.modem.card_interface import CardMuteError

__all__ = ["CardSlot"]

_TRACE_ENTRIES = 4000


class CardSlot:
    """What the modem sees of the card. ``trace`` keeps the last APDUs and answers (``None``: none came).

    ``on_power_lost`` is called when an armed power cut strikes, before anyone learns of it.
    """

    def __init__(self, card: VirtualEuicc) -> None:
        self.card = card
        self.inserted = True
        self.on_power_lost: Callable[[], None] | None = None
        self.trace: deque[tuple[bytes, bytes | None]] = deque(maxlen=_TRACE_ENTRIES)

    @property
    def last_delay_s(self) -> float:
        """How long the card says the last answer took."""
        return self.card.last_delay_s

    def transmit(self, apdu: bytes) -> bytes:
        """An APDU to the card, if there is one with power."""
        if not self.inserted:
            raise CardMuteError("there is no card in the slot")
        try:
            answer = self.card.transmit(apdu)
        except PowerLostError as error:
            self.trace.append((apdu, None))
            if self.on_power_lost is not None:
                self.on_power_lost()
            raise CardMuteError("the card lost its power") from error
        self.trace.append((apdu, answer))
        return answer

    def reset(self) -> None:
        """Power on."""
        if self.inserted:
            self.card.reset()
