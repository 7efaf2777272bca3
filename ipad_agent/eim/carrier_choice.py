"""The ways to one eIM, best first: CoAP over DTLS and HTTPS, in ASN.1 or JSON (SGP.32 v1.2 §6.1, §6.2)."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

from ipad_agent.codec.es10.eim_configuration import EimProtocol
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint, Trust
from ipad_agent.net.https.https_endpoint import (
    ADMIN_PROTOCOL,
    ASN1_PATH,
    ASN1_TYPE,
    ESIPA_JSON_PATH,
    ESIPA_JSON_TYPE,
    USER_AGENT,
)
from ipad_agent.net.https.https_endpoint import DEFAULT_PORT as HTTPS_PORT
from ipad_agent.records import dataclass

from . import events
from .eim_endpoint import EimEntry, EndpointOverrides, ProtocolBits, address_of, coaps_endpoint, trust_of
from .errors import CarrierExcluded

CarrierChoice = Literal["auto", "coaps", "https"]
BindingName = Literal["asn1", "json"]
Endpoint = CoapsEndpoint | HttpsEndpoint

_BIT: Final = {"coaps": EimProtocol.RETRIEVE_COAPS, "https": EimProtocol.RETRIEVE_HTTPS}
_WORDS: Final = {"coaps": "CoAP over DTLS", "https": "HTTPS"}


@dataclass(frozen=True, slots=True)
class WayOverrides:
    """What the configuration says about the carrier and about HTTPS; CoAP has ``EndpointOverrides``.

    ``carrier`` other than ``auto`` goes before eimSupportedProtocol. ``https_port`` None is the port of the address
    if it has one.
    """

    carrier: CarrierChoice = "auto"
    binding: BindingName = "asn1"
    https_port: int | None = None
    connect_timeout_s: float = 30.0
    exchange_timeout_s: float = 120.0
    user_agent: str = USER_AGENT
    admin_protocol: str = ADMIN_PROTOCOL


def endpoints_for(
    eim: EimEntry,
    overrides: EndpointOverrides | None = None,
    ways: WayOverrides | None = None,
    *,
    default_trust: Trust | None = None,
) -> tuple[Endpoint, ...]:
    """Where to reach an eIM, one endpoint per carrier, the preferred one first.

    CoAP goes before HTTPS where both are possible, for it costs a fraction of the bytes.
    Raises as ``eim_endpoint.endpoint_for``.
    """
    overrides, ways = overrides or EndpointOverrides(), ways or WayOverrides()
    found: list[Endpoint] = []
    for carrier in _carriers(eim, overrides, ways):
        if carrier == "coaps":
            path = overrides.path or (ESIPA_JSON_PATH if ways.binding == "json" else None)
            found.append(coaps_endpoint(eim, dataclasses.replace(overrides, path=path), default_trust))
        else:
            found.append(_https(eim, overrides, ways, default_trust))
    return tuple(found)


def https_endpoint(
    eim: EimEntry,
    overrides: EndpointOverrides | None = None,
    ways: WayOverrides | None = None,
    *,
    default_trust: Trust | None = None,
) -> HttpsEndpoint:
    """Where this eIM is by HTTPS, whatever carrier it is polled over. Raises as ``eim_endpoint.endpoint_for``."""
    return _https(eim, overrides or EndpointOverrides(), ways or WayOverrides(), default_trust)


def _https(
    eim: EimEntry, overrides: EndpointOverrides, ways: WayOverrides, default_trust: Trust | None
) -> HttpsEndpoint:
    host, port = address_of(eim, overrides)
    json = ways.binding == "json"
    endpoint = HttpsEndpoint(
        host=host,
        trust=trust_of(eim, overrides, default_trust),
        port=ways.https_port or port or HTTPS_PORT,
        path=overrides.path or (ESIPA_JSON_PATH if json else ASN1_PATH),
        content_type=ESIPA_JSON_TYPE if json else ASN1_TYPE,
        user_agent=ways.user_agent,
        admin_protocol=ways.admin_protocol,
        verify_name=overrides.verify_name,
        connect_timeout_s=ways.connect_timeout_s,
        exchange_timeout_s=ways.exchange_timeout_s,
        client_certificate=overrides.client_certificate,
    )
    if overrides.max_response_bytes is not None:
        endpoint = dataclasses.replace(endpoint, max_response_bytes=overrides.max_response_bytes)
    return endpoint


def _carriers(eim: EimEntry, overrides: EndpointOverrides, ways: WayOverrides) -> tuple[str, ...]:
    """The carriers to use, best first. Raises ``CarrierExcluded``."""
    named = eim.supported_protocol or frozenset()
    if ways.carrier != "auto":
        if _BIT[ways.carrier] not in named:
            events.PROTOCOL_NOT_NAMED.emit(eim=eim.eim_id, carrier=_WORDS[ways.carrier])
        return (ways.carrier,)
    ours = ("coaps",) if overrides.psk is not None else ("coaps", "https")  # a pre-shared key is for DTLS alone
    possible = tuple(carrier for carrier in ours if _BIT[carrier] in named)
    policy = overrides.protocol_bits
    if policy is ProtocolBits.IGNORED or (policy is ProtocolBits.PRACTICAL and not named):
        if not possible:
            events.PROTOCOL_NOT_NAMED.emit(eim=eim.eim_id, carrier=" or ".join(_WORDS[carrier] for carrier in ours))
        return ours
    if not possible:
        listed = ", ".join(sorted(bit.name for bit in named)) or "nothing"
        raise CarrierExcluded(
            f"eIM {eim.eim_id!r}",
            f"its entry in the eUICC names {listed} as protocols, and this agent retrieves by "
            + " or ".join(_WORDS[carrier] for carrier in ours),
            allowed='set protocol_bits = "ignored" for this eIM, or carrier, to try all the same',
        )
    return possible
