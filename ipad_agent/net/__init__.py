"""Carriers and trust: DTLS, CoAP, HTTPS, pins and anchors. What is carried is none of this room's business.

A carrier and the libraries under it are loaded when it is first named: a device that only speaks CoAP pays nothing
for HTTP, and the other way round.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .address import split_address
from .carrier import Carrier, ProgressCallback, Traffic, WatchedCarrier
from .coaps_endpoint import DEFAULT_PATH, DEFAULT_PORT, CoapsEndpoint
from .dtls import DtlsBackend, Psk
from .errors import (
    BackendLacks,
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
from .https_endpoint import HttpsEndpoint
from .trust import NameCheck, Pinned, Trust, clock_is_plausible

if TYPE_CHECKING:
    from .coaps import CoapsCarrier
    from .https import HttpsCarrier
    from .openssl import OpenSslBackend
else:
    _LAZY = {"CoapsCarrier": ".coaps", "HttpsCarrier": ".https", "OpenSslBackend": ".openssl"}

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name], __name__), name)


__all__ = [
    "DEFAULT_PATH",
    "DEFAULT_PORT",
    "BackendLacks",
    "Carrier",
    "CoapsCarrier",
    "CoapsEndpoint",
    "ConnectionLost",
    "DtlsBackend",
    "HandshakeFailed",
    "HttpsCarrier",
    "HttpsEndpoint",
    "NameCheck",
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
    "clock_is_plausible",
    "split_address",
]
