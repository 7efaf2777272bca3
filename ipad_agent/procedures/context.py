"""What every procedure has at hand, and which eIM it works for."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.codec.identifiers import Eid
from ipad_agent.policy.switching.proof_stage import Finding
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.replay_counters import Counters
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switch, Switches
from ipad_agent.records import dataclass, field

from .default_ports import NO_SITE, UNKNOWN_NETWORK
from .person_decision import PersonDecision
from .ports import Card, Device, EimLink, Network, Site, SmdpConnector


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """What the operator of the device decided about downloads.

    ``eim_is_consent``: the eIM's order counts as the end user's consent where the card's rules ask for one.
    ``confirmation_code`` is used when the SM-DP+ wants one and the eIM gave none. A download that the link cuts off is
    begun again until ``max_attempts`` reached the server, or one is cut off ``give_up_s`` after the first of them.
    """

    eim_is_consent: bool = False
    confirmation_code: str | None = field(default=None, repr=False)
    allow_expired: bool = False
    give_up_s: float = 7 * 86_400.0
    max_attempts: int = 20


def _show_nobody(switch: Switch | None, findings: tuple[Finding, ...]) -> None:
    return None


def _nothing() -> None:
    return None


def _no_matter_who(profiles: tuple[ProfileInfo, ...], author: str, eim_id: str | None) -> None:
    return None


def _no_matter_which(order: bytes) -> None:
    return None


def _no_matter_how(outcome: OrderOutcome) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """The card and everything this device remembers about it. Without a ``connector`` there is no direct download.

    ``on_switch`` is told how a switch stands, and None when it is over. ``look_after_disk`` is called while something
    lasts: what the disk refused is tried again. ``on_profiles`` is told which profiles there are whenever an operation
    may have changed them, who did it (``authors.py``) and for which eIM; ``on_eims_deleted`` that somebody on this
    device had eIMs taken off the card; ``on_order`` what became of an order;
    ``on_taken`` that an order (its bytes) which a poll came upon is in the journal, now or since an earlier poll.
    """

    card: Card
    eid: Eid
    device: Device
    work: WorkList
    changes: StateChanges
    capabilities: IpaCapabilities
    max_packages: int
    clock: Clock
    receivers: Receivers
    redeliveries: Redeliveries
    switches: Switches
    local_switch_record: LocalSwitchRecord
    counters: Counters | None = None
    connector: SmdpConnector | None = None
    download: DownloadRules = DownloadRules()
    switching: SwitchSettings = field(default_factory=SwitchSettings)
    network: Network = UNKNOWN_NETWORK
    site: Site = NO_SITE
    only_results: bool = False
    """Traffic is scarce: no download is begun or begun again."""
    person_decision: PersonDecision = field(default_factory=PersonDecision)
    on_switch: Callable[[Switch | None, tuple[Finding, ...]], None] = _show_nobody
    look_after_disk: Callable[[], None] = _nothing
    on_profiles: Callable[[tuple[ProfileInfo, ...], str, str | None], None] = _no_matter_who
    on_eims_deleted: Callable[[], None] = _nothing
    on_order: Callable[[OrderOutcome], None] = _no_matter_how
    on_taken: Callable[[bytes], None] = _no_matter_which


@dataclass(frozen=True, slots=True)
class Association:
    """One associated eIM during one poll: its entry on the card, the secured link to it, and the others' ids."""

    config: EimConfigurationData
    link: EimLink
    others: tuple[str, ...] = ()

    @property
    def eim_id(self) -> str:
        return self.config.eim_id
