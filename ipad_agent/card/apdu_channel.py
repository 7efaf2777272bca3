"""The seam between what is said to the eUICC (this room) and how it is reached (a modem, later a card reader).

The other side implements ``CardAccess`` and ``ApduChannel`` and raises the errors named here; it needs nothing else
of this room.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ipad_agent.records import dataclass

from .errors import AidNotFound, CardNotReady, ChannelLost, ChannelRefused, LossReason, SimBusy

__all__ = [
    "AidNotFound",
    "ApduChannel",
    "CardAccess",
    "CardNotReady",
    "ChannelLost",
    "ChannelRefused",
    "LossReason",
    "ModemIdentity",
    "RecoveryPlan",
    "SimBusy",
]


@dataclass(frozen=True, slots=True)
class ModemIdentity:
    """Which module answers, in its own words, and which module profile was chosen for it."""

    manufacturer: str
    model: str
    revision: str
    imei: str | None
    profile: str

    @property
    def key(self) -> str:
        """Names module and firmware, for what is remembered about them; holds nothing personal."""
        return f"{self.manufacturer}/{self.model}/{self.revision}"


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """How to get the card back: how long to wait after each step, which rungs of the reset ladder exist here, and
    whether the modem executes the card's REFRESH by itself."""

    wait_s: float = 30.0
    rungs: tuple[int, ...] = (0, 2, 3, 5)
    modem_refreshes: bool = True


class ApduChannel(Protocol):
    """One logical channel with a selected application."""

    @property
    def le_on_case4(self) -> bool:
        """Whether STORE DATA must carry an Le byte on this way (almost never)."""

    @property
    def max_data_bytes(self) -> int:
        """The most data bytes a command APDU may have here (at most 255)."""

    @property
    def description(self) -> str:
        """The kind of way, such as ``CGLA``: the same for every channel of this kind."""

    @property
    def select_response(self) -> bytes:
        """What SELECT answered, status word excluded; empty when the way does not show it."""

    async def transceive(self, apdu: bytes, *, deadline_s: float) -> bytes:
        """Send one short APDU whose CLA has channel bits zero, return data and SW1 SW2 (at least 2 bytes).

        Raises ``ChannelLost`` when the channel cannot be used any more.
        """

    async def close(self) -> None:
        """Close the channel; never raises for a channel that is gone already."""

    def note_unusable(self, reason: str) -> None:
        """Tell that this *kind* of way damages what it carries; the next ``open`` prefers another kind."""


@runtime_checkable
class PreparesCommands(Protocol):
    """A channel that can make a command ready while the line is busy with the one before it."""

    def prepare(self, apdu: bytes) -> None:
        """This APDU comes next, most likely; nothing is sent."""


@runtime_checkable
class TellsSubscriber(Protocol):
    """A way to the card that can tell whether the modem works with the subscription of the profile that it names."""

    async def subscriber_is_old(self, iccid: str) -> bool:
        """Whether the modem, which reads ``iccid`` from the card, still has the IMSI of another profile. False when it
        tells no IMSI. Raises errors of the modem side."""

    async def trust_subscriber(self, iccid: str) -> None:
        """After a power cycle of the card: the IMSI that the modem has now is that of ``iccid``."""


class CardAccess(Protocol):
    """The way to the card: opens channels, resets, and tells what the modem itself sees."""

    @property
    def epoch(self) -> int:
        """Grows whenever the card may have been reset, or another one may be there: the port was opened anew, a rung
        of the reset ladder was climbed, the modem said that the SIM was initialised."""

    async def notice_changes(self) -> None:
        """Ask the modem, and not the card, whether this is still the same card in the same state; the epoch grows when
        it is not. Raises errors of the modem side."""

    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        """Open a logical channel and select ``aid``. Unless it is the ``last`` one to be tried, nothing of others is
        touched to make that possible.

        Raises ``AidNotFound``, ``CardNotReady``, ``ChannelRefused`` or an error of the modem side.
        """

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        """Send TERMINAL CAPABILITY on the basic channel; data and status word. Raises ``CardNotReady`` while no card
        is seen (``SimBusy`` after waiting for it), ``ChannelRefused`` where there is no way to the basic channel."""

    async def reset_card(self, *, rung: int) -> None:
        """Do one rung of the reset ladder (0 waits, 5 restarts the modem) and wait until the SIM side is back.

        Raises an error of the modem side when this rung does not exist here. All channels are gone afterwards.
        """

    async def read_iccid(self) -> str | None:
        """The ICCID that the modem sees, as the text of ``codec.identifiers.Iccid``; None when it sees none."""

    async def identity(self) -> ModemIdentity:
        """Which module this is."""

    def recovery_plan(self) -> RecoveryPlan:
        """The deadlines and rungs of this module."""

    async def close(self) -> None:
        """Give the port back."""
