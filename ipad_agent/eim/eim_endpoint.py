"""From an eIM's entry in the eUICC and the configuration to an endpoint (SGP.32 v1.2 §2.6.3, EimConfigurationData)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from enum import Enum
from typing import Any, Final, Protocol

from ipad_agent.codec.es10.eim_configuration import EimIdType, EimProtocol
from ipad_agent.net import ClientCertificate, CoapsEndpoint, NameCheck, Psk, Trust, split_address
from ipad_agent.net.trust.pinned_trust import PublicKey
from ipad_agent.records import dataclass, field

from . import events
from .errors import CarrierExcluded, EndpointUnknown, TrustUnknown


class EimEntry(Protocol):
    """What is needed of EimConfigurationData."""

    @property
    def eim_id(self) -> str: ...

    @property
    def fqdn(self) -> str | None: ...

    @property
    def id_type(self) -> int | None: ...

    @property
    def trusted_tls(self) -> PublicKey | None: ...

    @property
    def supported_protocol(self) -> Collection[EimProtocol] | None: ...


class ProtocolBits(Enum):
    """How much eimSupportedProtocol decides."""

    PRACTICAL = "practical"  # absent bits do not keep us from trying CoAPs; bits without CoAPs do
    STRICT = "strict"  # CoAPs only where the bit is set
    IGNORED = "ignored"  # CoAPs in any case


@dataclass(frozen=True, slots=True)
class EndpointOverrides:
    """What the configuration says about one eIM; None leaves it to the eUICC or the default.

    ``trust`` and ``psk`` go before trustedPublicKeyDataTls. Fields of the same name go into ``CoapsEndpoint``.
    """

    host: str | None = None
    port: int | None = None
    path: str | None = None
    psk: Psk | None = field(default=None, repr=False)
    trust: Trust | None = None
    name_check: NameCheck | None = None
    allow_expired: bool | None = None
    verify_name: str | None = None
    send_uri_host: bool | None = None
    content_format: int | None = None
    block_size_exp: int | None = None
    max_response_bytes: int | None = None
    ack_timeout_s: float | None = None
    max_retransmit: int | None = None
    dns_timeout_s: float | None = None
    handshake_timeout_s: float | None = None
    flight_timeout_s: float | None = None
    exchange_timeout_s: float | None = None
    nat_timeout_s: float | None = None
    nstart: int | None = None
    lean: bool | None = None
    close_notify: bool | None = None
    keep_open: bool | None = None
    mtu_bytes: int | None = None
    groups: str | None = None
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    protocol_bits: ProtocolBits = ProtocolBits.PRACTICAL


_DECIDED_HERE: Final = frozenset({"host", "port", "psk", "trust", "name_check", "allow_expired", "protocol_bits"})


def endpoint_for(
    eim: EimEntry, overrides: EndpointOverrides | None = None, *, default_trust: Trust | None = None
) -> CoapsEndpoint:
    """Where to reach an eIM by CoAP over DTLS, and by what to recognise it.

    ``default_trust`` is the configured store for eIMs without trustedPublicKeyDataTls. Raises ``EndpointUnknown``,
    ``TrustUnknown`` or ``CarrierExcluded`` (each says what to configure), ``ConfigError`` for a value out of range
    and ``TrustUnusable`` when the eUICC's key cannot be read.
    """
    overrides = overrides or EndpointOverrides()
    _check_protocol(eim, overrides.protocol_bits)
    return coaps_endpoint(eim, overrides, default_trust)


def coaps_endpoint(eim: EimEntry, overrides: EndpointOverrides, default_trust: Trust | None) -> CoapsEndpoint:
    """As ``endpoint_for``, whatever protocols the eUICC names."""
    host, port = address_of(eim, overrides)
    values: dict[str, Any] = {
        f.name: getattr(overrides, f.name)
        for f in dataclasses.fields(overrides)
        if f.name not in _DECIDED_HERE and getattr(overrides, f.name) is not None
    }
    if port is not None:
        values["port"] = port
    trust = trust_of(eim, overrides, default_trust)
    return CoapsEndpoint(host=host, trust=trust, psk=overrides.psk, association=eim.eim_id, **values)


def _check_protocol(eim: EimEntry, policy: ProtocolBits) -> None:
    bits = eim.supported_protocol
    if bits and EimProtocol.RETRIEVE_COAPS in bits:
        return
    if policy is ProtocolBits.IGNORED or (policy is ProtocolBits.PRACTICAL and not bits):
        events.PROTOCOL_NOT_NAMED.emit(eim=eim.eim_id, carrier="CoAP over DTLS")
        return
    named = ", ".join(sorted(bit.name for bit in bits)) if bits else "nothing"
    raise CarrierExcluded(
        f"eIM {eim.eim_id!r}",
        f"its entry in the eUICC names {named} as protocols, and this agent retrieves by CoAP over DTLS",
        allowed='set protocol_bits = "ignored" for this eIM to try CoAP over DTLS all the same',
    )


def address_of(eim: EimEntry, overrides: EndpointOverrides) -> tuple[str, int | None]:
    """Host and, where one is named, port. Raises ``EndpointUnknown``."""
    if overrides.host is not None:
        text, place = overrides.host, f"host of eIM {eim.eim_id!r}"
    elif eim.fqdn is not None:
        text, place = _without_url(eim, eim.fqdn), f"eimFqdn of eIM {eim.eim_id!r} in the eUICC"
    elif eim.id_type == EimIdType.FQDN:
        text, place = _without_url(eim, eim.eim_id), f"eimId {eim.eim_id!r} in the eUICC"
    else:
        raise EndpointUnknown(
            f"eIM {eim.eim_id!r}",
            "the eUICC does not say where this eIM is (no eimFqdn, and its eimId is not marked as a host name)",
            allowed="set host (and port, if it is not 5684) for this eIM",
        )
    try:
        host, port = split_address(text)
    except ValueError as error:
        raise EndpointUnknown(place, str(error), allowed="host, host:port, an address or [IPv6]:port") from None
    return host, port if overrides.port is None else overrides.port


def _without_url(eim: EimEntry, text: str) -> str:
    """Some entries hold a URL; host and port of it are clear, the rest is configuration."""
    plain = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", text.strip()).partition("/")[0]
    if plain != text:
        events.ADDRESS_AS_URL.emit(eim=eim.eim_id, text=text[:100], host=plain)
    return plain


def trust_of(eim: EimEntry, overrides: EndpointOverrides, default_trust: Trust | None) -> Trust:
    """By what to recognise the eIM. Raises ``TrustUnknown`` and ``TrustUnusable``."""
    configured = Trust.psk() if overrides.psk is not None else overrides.trust
    if configured is not None:
        if eim.trusted_tls is not None:
            events.TRUST_OVERRIDDEN.emit(eim=eim.eim_id)
        chosen = configured
    elif eim.trusted_tls is not None:
        chosen = Trust.from_public_key_data(eim.trusted_tls)
    elif default_trust is not None:
        chosen = default_trust
    else:
        raise TrustUnknown(
            f"eIM {eim.eim_id!r}",
            "the eUICC holds no trustedPublicKeyDataTls for it and no trust store is configured",
            allowed="set trust.ca_file, or psk_identity and psk_key_file for this eIM",
        )
    return chosen.with_policy(name_check=overrides.name_check, allow_expired=overrides.allow_expired)
