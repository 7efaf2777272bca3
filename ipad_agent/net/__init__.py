"""Carriers and trust: DTLS, CoAP, pins and anchors. What is carried is none of this room's business."""

from .carrier import Carrier, Traffic
from .coaps import DEFAULT_PATH, DEFAULT_PORT, CoapsCarrier, CoapsEndpoint
from .dtls import DtlsBackend, Psk
from .errors import (
    BackendLacks,
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
from .openssl import OpenSslBackend
from .trust import NameCheck, Pinned, Trust, clock_is_plausible

__all__ = [
    "DEFAULT_PATH",
    "DEFAULT_PORT",
    "BackendLacks",
    "Carrier",
    "CoapsCarrier",
    "CoapsEndpoint",
    "DtlsBackend",
    "HandshakeFailed",
    "NameCheck",
    "OpenSslBackend",
    "PeerBusy",
    "PeerStatus",
    "Pinned",
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
    "clock_is_plausible",
]
