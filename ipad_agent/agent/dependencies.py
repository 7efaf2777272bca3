"""What the agent is made of: everything it touches comes in as ``Dependencies`` (the real ones come from ``wiring``
and ``daemon/process.py``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.codec.identifiers import Eid
from ipad_agent.policy.guardian.guardian_settings import GuardianSettings
from ipad_agent.policy.polling.schedule_settings import ScheduleSettings
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.policy.traffic_limits import TrafficLimits
from ipad_agent.procedures.context import DownloadRules
from ipad_agent.procedures.default_ports import NO_SITE, UNKNOWN_NETWORK
from ipad_agent.procedures.ports import (
    Card,
    DeclaringCard,
    Device,
    EimLink,
    Journal,
    Memory,
    Network,
    Site,
    SmdpConnector,
)
from ipad_agent.procedures.records.held_work import Holding
from ipad_agent.procedures.startup.device_start import CardFacts
from ipad_agent.records import dataclass, field
from ipad_agent.status import Board

from .poll_timetable import Documents
from .radio_use import RadioUse


class ManagedCard(DeclaringCard, Protocol):
    """The card, and what the daemon does with it between procedures."""

    @property
    def epoch(self) -> int:
        """Another number after every sign of a reset of the card, or of another card."""

    @property
    def eid_now(self) -> Eid | None:
        """Which card was seen since then, without asking; None when nobody has looked since."""

    async def recover(self, *, first_rung: int | None = None, expected: str | None = None) -> None:
        """Get the card back; ``first_rung`` resets it in any case, beginning with this rung of the ladder."""

    async def release(self) -> None:
        """Close the logical channel so that others may use it."""

    async def close(self) -> None:
        """Give the port back."""


class Links(Protocol):
    """Makes the link to an eIM from the card's entry for it; keeps what makes the next handshake cheap."""

    def link(self, config: EimConfigurationData, eid: Eid) -> EimLink:
        """Raises ``IpadError`` when the entry and the configuration do not say how to reach it."""

    def keep_only(self, configs: list[EimConfigurationData]) -> None:
        """Forget eIMs, and session tickets, that are not in this list."""


class Bundles(Protocol):
    """Provisioning bundles that wait for a card."""

    async def provision(self, card: Card, facts: CardFacts) -> bool:
        """Give the card its first eIMs from the bundle that waits, if there is one; whether they come from one. Raises
        ``CardError``, ``ModemError`` or ``StoreError``; of a bundle that is not used it says why."""


class Registration(Protocol):
    """How an eIM gets to know the key by which this device signs for an emulated card."""

    @property
    def spent_bytes(self) -> int:
        """On the network since the start, both directions, headers included."""

    async def before_poll(self, eim: EimConfigurationData, eid: Eid, *, commanded: bool) -> None:
        """Register there, where that is still to be done. ``commanded``: a person wants this poll. Raises
        ``NetworkError``, ``EimError`` or ``ConfigError``: then there is no poll."""

    def knows_key(self, eim_id: str, eid: Eid) -> bool:
        """Whether that eIM said of this card that it knows the key."""


class Notifier(Protocol):
    """Tells the service manager how it goes."""

    def status(self, text: str) -> object: ...


class State(Protocol):
    """What the agent keeps on disk (``store.StateDirectory``)."""

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, without a full stop; None when it has all that the agent knows."""

    @property
    def lost(self) -> bool:
        """Whether something of what was owed before the start is not known."""

    @property
    def lacks_card_state(self) -> bool:
        """Whether the disk does not have what an emulated card did."""

    def look(self) -> bool:
        """Try again what the disk refused, and make anew what was removed. Never raises. Whether something that is owed
        came to light."""


async def _show_nothing(board: Board) -> None:
    return None


async def _release_nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Dependencies:
    """All the daemon works with. ``initial_eims`` is the AddInitialEim request for a card that nobody manages;
    without a ``connector`` profiles are only downloaded through the eIM."""

    card: ManagedCard
    device: Device
    links: Links
    journal: Journal
    memory: Memory
    schedules: Documents
    clock: Clock
    settings: ScheduleSettings
    capabilities: IpaCapabilities
    notifier: Notifier
    idle: Callable[[], None]
    initial_eims: bytes | None = None
    initial_eims_source: str = ""
    bundles: Bundles | None = None
    registration: Registration | None = None
    connector: SmdpConnector | None = None
    download: DownloadRules = field(default_factory=DownloadRules)
    switching: SwitchSettings = field(default_factory=SwitchSettings)
    guarding: GuardianSettings = field(default_factory=GuardianSettings)
    network: Network = UNKNOWN_NETWORK
    site: Site = NO_SITE
    holding: Holding = field(default_factory=Holding)
    limits: TrafficLimits = field(default_factory=TrafficLimits)
    radio: RadioUse | None = None
    take_from_ipae: bool = False
    state: State | None = None
    board: Board | None = None
    show_modem: Callable[[Board], Awaitable[None]] = _show_nothing
    release_radio: Callable[[], Awaitable[None]] = _release_nothing
