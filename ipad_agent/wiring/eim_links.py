"""Links to eIMs, made from the card's entries and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, EimConfig, HttpsConfig
from ipad_agent.config.secret_file import SecretFile
from ipad_agent.eim import (
    BINDINGS,
    DialectChoice,
    EimClient,
    EndpointOverrides,
    FailoverCarrier,
    PeerDialect,
    ProtocolBits,
    Way,
    WayOverrides,
    endpoints_for,
)
from ipad_agent.eim.carrier_choice import BindingName, CarrierChoice, https_endpoint
from ipad_agent.eim.compact_sending import CompactSending
from ipad_agent.errors import ConfigError, EimError
from ipad_agent.net import (
    Carrier,
    ClientCertificate,
    CoapsEndpoint,
    DtlsBackend,
    HttpsEndpoint,
    NameCheck,
    Psk,
    Trust,
)
from ipad_agent.store import Memory
from ipad_agent.store.state_documents import CONNECTIONS, SESSIONS, TOLD

from .eim_memory import Dialects, Sessions
from .ipa_configuration import minimizes

_DEFAULT_PATH: Final = EimConfig().path
_ADMIN_PROTOCOL_OF_1_3: Final = "gsma/rsp/v1.3.0"
_WRITTEN_AS: Final[Mapping[str, DialectChoice]] = {"1.0": "1.0", "1.1": "1.2", "1.2": "1.2", "1.3": "1.3"}
"""The release whose messages a configured one has; v1.1 is on the wire as v1.2."""


class EimLinks:
    """Links to eIMs. One TLS backend for all, so that sessions are resumed; a changed entry gets a new link.

    ``memory`` keeps what the eIMs showed of their dialects; without it, it is learned anew. ``on_packet`` is called
    with everything that is sent and received."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        memory: Memory | None = None,
        *,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._on_packet = on_packet
        self._clock = clock
        self._memory = memory
        self._backend: DtlsBackend | None = None
        self._links: dict[bytes, EimClient] = {}

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        """The link for this entry of the card. Raises ``ConfigError`` or ``NetworkError`` when it cannot be made."""
        known = self._links.get(config.raw)
        if known is None:
            known = self._links[config.raw] = self._make(config, eid)
        return known

    def keep_only(self, configs: list[EimConfigurationData]) -> None:
        """Forget the links to entries that are no longer on the card."""
        wanted = {config.raw for config in configs}
        self._links = {raw: link for raw, link in self._links.items() if raw in wanted}

    def endpoints(self, config: EimConfigurationData) -> tuple[CoapsEndpoint | HttpsEndpoint, ...]:
        """The ways to this eIM, the preferred first. Raises ``IpadError`` when there is none."""
        chosen = self._chosen(config)
        return endpoints_for(config, self._overrides(chosen), self._ways(chosen), default_trust=self._default_trust())

    def https_endpoint(self, config: EimConfigurationData) -> HttpsEndpoint:
        """Where this eIM is by HTTPS, whatever it is polled over. Raises as ``endpoints``."""
        chosen = self._chosen(config)
        return https_endpoint(config, self._overrides(chosen), self._ways(chosen), default_trust=self._default_trust())

    def _chosen(self, config: EimConfigurationData) -> EimConfig:
        chosen = self._config.eim_named(config.eim_id) or EimConfig(id=config.eim_id)
        if not chosen.enabled:
            raise EimError("switched off in the configuration", hint="Set enabled = true in its [[eim]] table.")
        return chosen

    def _make(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        chosen, endpoints = self._chosen(config), self.endpoints(config)
        ways = [Way(_scheme(endpoint), partial(self._carrier, endpoint)) for endpoint in endpoints]
        carrier = FailoverCarrier(ways, eim_id=config.eim_id)
        known = None if self._memory is None else Dialects(self._memory, config.eim_id)
        told = None if self._memory is None else Dialects(self._memory, f"{eid} {config.eim_id}", TOLD)
        return EimClient(
            carrier,
            eid,
            eim_id=config.eim_id,
            dialect=PeerDialect(config.eim_id, _WRITTEN_AS.get(chosen.dialect, "auto"), known),
            binding=BINDINGS[chosen.binding],
            host=endpoints[0].host,
            compact=CompactSending(
                wanted=minimizes(self._config) and chosen.compact == "auto", memory=told, clock=self._clock
            ),
        )

    def _carrier(self, endpoint: CoapsEndpoint | HttpsEndpoint) -> Carrier:
        """Loads the libraries of this carrier, and only of this."""
        if isinstance(endpoint, HttpsEndpoint):
            from ipad_agent.net import HttpsCarrier

            return HttpsCarrier(endpoint, clock=self._clock, on_packet=self._on_packet)
        from ipad_agent.net import CoapsCarrier, best_backend

        if self._backend is None:
            self._backend = best_backend(
                connection_ids=self._config.coap.connection_id,
                sessions=None if self._memory is None else Sessions(self._memory, SESSIONS),
                connections=None if self._memory is None else Sessions(self._memory, CONNECTIONS),
                shelf=None if self._memory is None else self._memory.single_use(CONNECTIONS),
                clock=self._clock,
            )
        return CoapsCarrier(endpoint, backend=self._backend, clock=self._clock, on_packet=self._on_packet)

    def _ways(self, chosen: EimConfig) -> WayOverrides:
        https = self._config.https
        admin_protocol = chosen.admin_protocol or https.admin_protocol
        if chosen.admin_protocol is None and chosen.dialect == "1.3" and admin_protocol == HttpsConfig().admin_protocol:
            admin_protocol = _ADMIN_PROTOCOL_OF_1_3
        return WayOverrides(
            carrier=cast(CarrierChoice, chosen.carrier),
            binding=cast(BindingName, chosen.binding),
            https_port=chosen.https_port,
            connect_timeout_s=https.connect_timeout_s,
            exchange_timeout_s=https.exchange_timeout_s,
            user_agent=https.user_agent,
            admin_protocol=admin_protocol,
        )

    def _overrides(self, chosen: EimConfig) -> EndpointOverrides:
        coap = self._config.coap
        psk = None
        if chosen.psk_identity is not None:
            if chosen.psk_key_file is None:
                raise ConfigError(f"eim {chosen.id}: psk_key_file", "is missing although psk_identity is set")
            psk = Psk(chosen.psk_identity.encode(), chosen.psk_key_file.read_key())
        return EndpointOverrides(
            host=chosen.host,
            port=chosen.port,
            path=None if chosen.path == _DEFAULT_PATH else chosen.path,
            psk=psk,
            client_certificate=own_certificate(chosen.client_certificate, chosen.client_key_file),
            name_check=NameCheck(chosen.verify_name),
            allow_expired=chosen.allow_expired or self._config.trust.allow_expired,
            content_format=chosen.content_format,
            block_size_exp=coap.block_size.bit_length() - 5,
            ack_timeout_s=coap.ack_timeout_s,
            max_retransmit=coap.max_retransmit,
            handshake_timeout_s=coap.handshake_timeout_s,
            flight_timeout_s=coap.flight_timeout_s,
            exchange_timeout_s=coap.exchange_timeout_s,
            nat_timeout_s=coap.nat_timeout_s,
            nstart=coap.nstart,
            max_response_bytes=self._config.download.max_package_bytes * 4 // 3 + 8192,  # as text in the JSON binding
            lean=coap.lean_handshake,
            close_notify=coap.close_notify,
            keep_open=coap.keep_session,
            protocol_bits=ProtocolBits(chosen.protocol_bits),
        )

    def _default_trust(self) -> Trust | None:
        path = self._config.trust.ca_file
        return None if path is None else Trust.from_file(path)


def own_certificate(certificate: SecretFile | None, key: SecretFile | None) -> ClientCertificate | None:
    """What this device shows to an eIM that asks for a certificate. Raises ``ConfigError`` when it cannot be used."""
    if certificate is None or key is None:
        return None
    return ClientCertificate.from_pem(
        certificate.read_pem(public=True), key.read_pem(), certificate_place=certificate.path, key_place=key.path
    )


def _scheme(endpoint: CoapsEndpoint | HttpsEndpoint) -> str:
    return "https" if isinstance(endpoint, HttpsEndpoint) else "coaps"
