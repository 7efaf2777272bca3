"""What every procedure has at hand, and which eIM it works for."""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.codec.device import IpaCapabilities
from ipad_agent.codec.eim_config import EimConfigurationData
from ipad_agent.codec.identifiers import Eid

from .ports import Card, Device, EimLink
from .state_change import StateChanges
from .work import WorkList


@dataclass(frozen=True, slots=True)
class Context:
    """The card and everything this device remembers about it."""

    card: Card
    eid: Eid
    device: Device
    work: WorkList
    changes: StateChanges
    capabilities: IpaCapabilities
    max_packages: int


@dataclass(frozen=True, slots=True)
class Association:
    """One associated eIM during one poll: its entry on the card, the secured link to it, and the others' ids."""

    config: EimConfigurationData
    link: EimLink
    others: tuple[str, ...] = ()

    @property
    def eim_id(self) -> str:
        return self.config.eim_id
