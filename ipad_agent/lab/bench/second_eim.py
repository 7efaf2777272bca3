"""Another eIM on the bench: its own name, keys, port and carrier, and the device's way to it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim.coap.coaps_server import CoapsServer
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings, TlsIdentity
from ipad_agent.lab.eim.eim_identity import EimIdentity
from ipad_agent.lab.eim.eim_settings import EimSettings
from ipad_agent.lab.eim.https.esipa_https import HttpsServer
from ipad_agent.lab.eim.virtual_eim import VirtualEim
from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.http import TlsSettings
from ipad_agent.lab.pki import Credential
from ipad_agent.lab.pki.certificates import Issuer, eim_signer, eim_tls

from .agent_toml import Scalar
from .network.impaired_network import ImpairedLink, UdpProxy
from .network.tcp_gate import TcpGate
from .watched_eim import WatchedEim

__all__ = ["CARRIERS", "EimSite", "EimSpot"]

CARRIERS = {"coaps": ("retrieve-coaps",), "https": ("retrieve-https",), "both": ("retrieve-https", "retrieve-coaps")}
"""What a carrier's name is on the card."""

HOSTS = ("localhost", "127.0.0.1")
_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class EimSpot:
    """A place for one more eIM. ``on_card`` false: it is there, but only an order can tell the card of it.

    ``config`` is laid over its ``[[eim]]`` table in the agent's configuration.
    """

    eim_id: str
    carrier: str = "coaps"
    on_card: bool = True
    ask_for_token: bool = True
    settings: EimSettings | None = None
    config: dict[str, Scalar | Sequence[Scalar] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.carrier not in ("coaps", "https"):
            raise BenchError(f"carrier is coaps or https, not {self.carrier!r}")


class EimSite:
    """``eim`` (``WatchedEim``) is served at ``port``, which is the device's network; ``start`` before anything else."""

    def __init__(self, spot: EimSpot, folder: Path) -> None:
        self.spot = spot
        self.identity = _identity(spot.eim_id, folder)
        state_path = folder / f"{_plain(spot.eim_id)}.json"
        self.eim = WatchedEim(VirtualEim(self.identity, settings=spot.settings, state_path=state_path))
        self.server: CoapsServer | None = None
        self.proxy: UdpProxy | None = None
        self.gate: TcpGate | None = None

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Serve until ``stack`` ends."""
        if self.spot.carrier == "https":
            tls = self.identity.tls
            credential = Credential(self.spot.eim_id, tls.chain[0], tls.key)
            https = await stack.enter_async_context(HttpsServer(self.eim, TlsSettings(credential)))
            self.gate = await stack.enter_async_context(TcpGate(("127.0.0.1", https.port)))
            return
        self.server = await stack.enter_async_context(
            CoapsServer(self.eim, dtls=DtlsSettings(identity=self.identity.tls))
        )
        link = ImpairedLink(tap_size=2000)
        self.proxy = await stack.enter_async_context(UdpProxy((self.server.host, self.server.port), link))

    @property
    def port(self) -> int:
        """Where the device reaches it, UDP or TCP by its carrier."""
        if self.gate is not None:
            return self.gate.port
        return 0 if self.proxy is None else self.proxy.address[1]

    def set_link_up(self, up: bool) -> None:
        """Whether anything passes between the device and it."""
        if self.proxy is not None:
            self.proxy.set_link_up(up)
        if self.gate is not None:
            self.gate.set_link_up(up)

    def configuration(self, **changes: Any) -> bytes:
        """Its EimConfigurationData, with ``changes`` as in ``EimIdentity.configuration``."""
        settings: dict[str, Any] = {
            "fqdn": f"localhost:{self.port}",
            "ask_for_token": self.spot.ask_for_token,
            "protocols": CARRIERS[self.spot.carrier],
        }
        return self.identity.configuration(**{**settings, **changes})

    def agent_table(self) -> dict[str, Scalar | Sequence[Scalar] | None]:
        """Its ``[[eim]]`` table."""
        return {"id": self.spot.eim_id, "host": "localhost", "port": self.port, **self.spot.config}


def _identity(eim_id: str, folder: Path) -> EimIdentity:
    """Keys and certificates that nobody else on the bench has; those of last time when the folder was used before."""
    key_path = folder / f"{_plain(eim_id)}.pem"
    if key_path.exists():
        sign, tls, *certificates = key_path.read_bytes().split(b"\n\n")
        chain = [x509.load_pem_x509_certificate(one) for one in certificates]
        return EimIdentity(eim_id, _load_key(sign), TlsIdentity(_load_key(tls), (chain[1],)), chain[0])
    signer, speaker = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - timedelta(days=1)
    requests = (eim_signer(eim_id), signer), (eim_tls(eim_id, HOSTS), speaker)
    certificates_made = [
        Issuer(request.subject, key).issue(request, key.public_key(), begin, begin + _LIFETIME)
        for request, key in requests
    ]
    parts = [_pem(signer), _pem(speaker), *[_certificate_pem(one) for one in certificates_made]]
    key_path.touch(mode=0o600)
    key_path.write_bytes(b"\n\n".join(parts))
    return EimIdentity(eim_id, signer, TlsIdentity(speaker, (certificates_made[1],)), certificates_made[0])


def _plain(eim_id: str) -> str:
    return "eim-" + "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in eim_id)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BenchError("an eIM's key is not an elliptic curve key")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).strip()


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM).strip()
