"""What the modem needs of a card, and the arithmetic of logical channels (ETSI TS 102 221 clause 10.1.1)."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Card", "CardMuteError", "channel_of", "class_for_channel", "iccid_nibbles", "swap_nibbles"]


class CardMuteError(Exception):
    """The card does not answer: it is out, or without power. A reset may bring it back."""


class Card(Protocol):
    """A UICC on the bench: raw APDUs in, data and SW1 SW2 out. Synchronous, without a clock.

    An attribute ``last_delay_s``, if there is one, says how long the card took for the last answer.
    """

    def transmit(self, apdu: bytes) -> bytes:
        """Run one command APDU (channel bits in CLA); response data and SW1 SW2. ``CardMuteError`` if nothing comes."""

    def reset(self) -> None:
        """Cold reset: every logical channel but the basic one is gone."""


def class_for_channel(cla: int, channel: int) -> int:
    """The class byte ``cla`` with the bits of ``channel`` (0-19) put in; what the caller had there is dropped."""
    if cla & 0xE0 == 0xA0:
        return cla  # the GSM class of TS 51.011 knows no channels
    family = cla & 0x80
    chaining = cla & 0x10 if not cla & 0x40 else 0
    if channel < 4:
        return family | chaining | channel
    return family | 0x40 | (channel - 4)


def channel_of(cla: int) -> int:
    """The logical channel a class byte addresses."""
    if cla & 0xE0 == 0xA0:
        return 0
    return 4 + (cla & 0x0F) if cla & 0x40 else cla & 0x03


def iccid_nibbles(data: bytes) -> str | None:
    """The 18 to 20 digits and letters of EF ICCID; None for anything else."""
    nibbles = "".join(f"{byte & 0x0F:X}{byte >> 4:X}" for byte in data).rstrip("F")
    return nibbles if 18 <= len(nibbles) <= 20 else None


def swap_nibbles(data: bytes) -> str:
    """TBCD digits as EF ICCID and EF IMSI hold them, up to the first filler."""
    digits = "".join(f"{byte & 0x0F:X}{byte >> 4:X}" for byte in data)
    return digits.partition("F")[0]
