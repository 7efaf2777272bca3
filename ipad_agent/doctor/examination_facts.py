"""What the checks of one examination tell each other."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import ModemError
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint
from ipad_agent.net.dns_lookup import Address
from ipad_agent.records import dataclass, field

from .doctor_items import Layer

Endpoint = CoapsEndpoint | HttpsEndpoint


@dataclass(slots=True)
class Target:
    """One eIM and a way to it; ``alive`` until a layer found that it does not go on here."""

    eim_id: str
    endpoint: Endpoint
    addresses: list[Address] = field(default_factory=list)
    alive: bool = True

    @property
    def carrier(self) -> str:
        return "HTTPS" if isinstance(self.endpoint, HttpsEndpoint) else "CoAP over DTLS"

    @property
    def place(self) -> str:
        """``eim.example:5684``."""
        host = self.endpoint.host
        return f"[{host}]:{self.endpoint.port}" if ":" in host else f"{host}:{self.endpoint.port}"


@dataclass(slots=True)
class Seen:
    """Filled on the way up."""

    busy: bool = False
    device: Path | None = None
    line_trouble: ModemError | None = None
    eid: Eid | None = None
    no_card: bool = False
    info2: EuiccInfo2 | None = None
    targets: list[Target] = field(default_factory=list)

    @property
    def alive(self) -> list[Target]:
        return [target for target in self.targets if target.alive]


class Blocked(Exception):
    """A check has nothing to say because of what another layer found."""

    def __init__(self, by: Layer) -> None:
        super().__init__(by.value)
        self.by = by
