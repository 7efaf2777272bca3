"""Carriers and trust: DTLS, CoAP, HTTPS, pins and anchors. What is carried is none of this room's business.

A carrier and the libraries under it are loaded when it is first named: a device that only speaks CoAP pays nothing
for HTTP, and the other way round.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ipad_agent.net.coap.coaps_endpoint import DEFAULT_PATH, DEFAULT_PORT, CoapsEndpoint
from ipad_agent.net.dtls.dtls_backend import DtlsBackend, Psk
from ipad_agent.net.https.https_endpoint import HttpsEndpoint
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.net.trust.pinned_trust import NameCheck, Pinned, Trust, clock_is_plausible

from .carrier import Carrier, CountsHeaders, NamesProtocol, ProgressCallback, Traffic, WatchedCarrier, cost_bytes
from .errors import (
    AddressForbidden,
    BackendLacks,
    CertificateWanted,
    ConnectionLost,
    HandshakeFailed,
    PeerBusy,
    PeerStatus,
    ProtocolViolation,
    Refusal,
    ResponseTooLarge,
    TransferTimeout,
    TrustRefused,
    TrustUnusable,
    Unreachable,
)
from .host_address import split_address

if TYPE_CHECKING:
    from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
    from ipad_agent.net.dtls.openssl_backend import OpenSslBackend
    from ipad_agent.net.dtls.preferred_backend import best_backend
    from ipad_agent.net.https.https_carrier import HttpsCarrier
else:
    _LAZY = {
        "CoapsCarrier": ".coap.coaps_carrier",
        "HttpsCarrier": ".https.https_carrier",
        "OpenSslBackend": ".dtls.openssl_backend",
        "best_backend": ".dtls.preferred_backend",
    }

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name], __name__), name)


__all__ = [
    "DEFAULT_PATH",
    "DEFAULT_PORT",
    "AddressForbidden",
    "BackendLacks",
    "Carrier",
    "CertificateWanted",
    "ClientCertificate",
    "CoapsCarrier",
    "CoapsEndpoint",
    "ConnectionLost",
    "CountsHeaders",
    "DtlsBackend",
    "HandshakeFailed",
    "HttpsCarrier",
    "HttpsEndpoint",
    "NameCheck",
    "NamesProtocol",
    "OpenSslBackend",
    "PeerBusy",
    "PeerStatus",
    "Pinned",
    "ProgressCallback",
    "ProtocolViolation",
    "Psk",
    "Refusal",
    "ResponseTooLarge",
    "Traffic",
    "TransferTimeout",
    "Trust",
    "TrustRefused",
    "TrustUnusable",
    "Unreachable",
    "WatchedCarrier",
    "best_backend",
    "clock_is_plausible",
    "cost_bytes",
    "split_address",
]
