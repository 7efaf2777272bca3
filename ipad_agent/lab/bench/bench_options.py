"""What a bench is made of, and what each of its parts is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipad_agent.lab.eim.coap_resource import CoapSettings
from ipad_agent.lab.eim.eim_settings import EimSettings
from ipad_agent.lab.eim.https.esipa_https import FrontSettings
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.euicc import Profile, Quirks
from ipad_agent.lab.http import HttpSettings
from ipad_agent.lab.modem import Cell, Fault, ModemOptions, personality

from .agent_toml import Table
from .network.impaired_network import Impairments
from .rsp_servers_on_bench import RspOptions
from .second_eim import CARRIERS, EimSpot

__all__ = ["BenchOptions"]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is put on the bench.

    ``provision``: the eIM gets onto the card by the ``agent`` (AddInitialEim from ``initial-eim.der``), it is on the
    ``card`` already, or ``none`` at all. ``tls``: the eIM's certificate is ``self`` signed, ``issued`` by its CA, or
    it has none and a ``psk``. ``tls_pin`` is what the card is told to trust (see ``EimIdentity.configuration``).
    ``carrier`` is how the eIM is reached: ``coaps``, ``https`` or ``both``, on the card as in the agent's
    configuration; CoAP is served in any case. ``https`` is what its HTTPS side insists on, ``https_tls`` another
    certificate for it (``rsa``, ``expired``, ``foreign``, ``not-yet-valid``), ``binding`` what the agent shall speak.
    ``client_certificate`` is whether the eIM asks for a certificate of the device in either handshake: ``no``, or
    ``required``, which must then be issued by the bench's own CA; the agent's configuration names one that is.
    ``inject`` names the carriers (``https``, ``coaps``) over which the device listens for packages that are pushed.
    ``rsp`` puts an SM-DP+ and an SM-DS on the bench and a relay into the eIM.

    ``rest_port`` puts the eIM's REST API on a port of this machine (0: any free one). ``store`` is an SQLite file for
    the eIM's state in the place of ``eim.json``.

    ``vpcd_port``: the card is not in the modem but in the virtual PC/SC reader that listens there.

    ``more_eims`` are further eIMs, with keys, ports and carriers of their own; those that are ``on_card`` get there the
    same way as the first.

    ``eid`` is the card's, as 32 hexadecimal digits, for a PKI that is made anew. ``card_inserted`` false: the slot is
    empty. A fresh card carries ``old_notifications`` of profiles long gone, and knows the eIMs of ``associated``
    (EimConfigurationData, 30...) besides what ``provision`` gives it. The eIM knows a consumer card only once its
    import file was given to it: the card has nothing to sign an eIM's results with.

    ``cells`` says which network serves which ICCID; what is not named is served by the profile's own operator.
    ``link_follows_modem`` false: the device also has Ethernet, so that everything passes whatever the modem does.
    ``config`` is laid over the agent's configuration, table by table. ``agent_command`` starts something else in the
    agent's place.
    """

    personality: str = "generic"
    modem: Mapping[str, object] = field(default_factory=dict)
    modem_faults: tuple[Fault, ...] = ()
    baud: int | None = None
    cells: Mapping[str, Cell | None] = field(default_factory=dict)
    link_follows_modem: bool = True

    quirks: Quirks = field(default_factory=Quirks)
    profiles: Sequence[Profile] | None = None
    eid: str | None = None
    curve: str = "p256"
    card_inserted: bool = True
    old_notifications: int = 0
    associated: Sequence[bytes] = ()

    provision: str = "agent"
    ask_for_token: bool = True
    tls: str = "self"
    tls_pin: str = "leaf-spki"
    eim: EimSettings | None = None
    dtls: Mapping[str, Any] = field(default_factory=dict)
    coap: CoapSettings = field(default_factory=CoapSettings)
    carrier: str = "coaps"
    binding: str = "asn1"
    https: FrontSettings = field(default_factory=FrontSettings)
    https_tls: str = ""
    client_certificate: str = "no"
    http: HttpSettings = field(default_factory=HttpSettings)
    inject: Sequence[str] = ()
    rsp: RspOptions | None = None
    rest_port: int | None = None
    store: Path | None = None
    vpcd_port: int | None = None
    more_eims: Sequence[EimSpot] = ()

    seed: int = 0
    up: Impairments = field(default_factory=Impairments)
    down: Impairments = field(default_factory=Impairments)
    tap_size: int = 2000
    port: int = 0
    https_port: int = 0

    config: Mapping[str, Table] = field(default_factory=dict)
    agent_command: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.provision not in ("agent", "card", "none"):
            raise BenchError(f"provision is agent, card or none, not {self.provision!r}")
        if self.tls not in ("self", "issued", "psk"):
            raise BenchError(f"tls is self, issued or psk, not {self.tls!r}")
        if self.carrier not in CARRIERS:
            raise BenchError(f"carrier is {', '.join(CARRIERS)}, not {self.carrier!r}")
        if self.client_certificate not in ("no", "required"):
            raise BenchError(f"client_certificate is no or required, not {self.client_certificate!r}")
        if self.tls == "psk" and self.carrier != "coaps":
            raise BenchError("HTTPS has no pre-shared keys: tls must be self or issued")

    def modem_options(self) -> ModemOptions:
        """The switches of the modem."""
        return personality(self.personality, **self.modem)
