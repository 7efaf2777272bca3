"""What every procedure has at hand, and which eIM it works for."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipad_agent.clock import Clock
from ipad_agent.codec.device import IpaCapabilities
from ipad_agent.codec.eim_config import EimConfigurationData
from ipad_agent.codec.identifiers import Eid

from .backoff import Receivers
from .ports import Card, Device, EimLink, SmdpConnector
from .state_change import StateChanges
from .work import WorkList


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """What the operator of the device decided about downloads.

    ``eim_is_consent``: the eIM's order counts as the end user's consent where the card's rules ask for one.
    ``confirmation_code`` is used when the SM-DP+ wants one and the eIM gave none.
    """

    eim_is_consent: bool = False
    confirmation_code: str | None = field(default=None, repr=False)
    allow_expired: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The card and everything this device remembers about it. Without a ``connector`` there is no direct download."""

    card: Card
    eid: Eid
    device: Device
    work: WorkList
    changes: StateChanges
    capabilities: IpaCapabilities
    max_packages: int
    clock: Clock
    receivers: Receivers
    connector: SmdpConnector | None = None
    download: DownloadRules = DownloadRules()


@dataclass(frozen=True, slots=True)
class Association:
    """One associated eIM during one poll: its entry on the card, the secured link to it, and the others' ids."""

    config: EimConfigurationData
    link: EimLink
    others: tuple[str, ...] = ()

    @property
    def eim_id(self) -> str:
        return self.config.eim_id
