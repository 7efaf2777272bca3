"""The lab's SM-DP+ and SM-DS: ES9+ and ES11 of SGP.22, with orders, events, real protection, and switches.

``VirtualSmdp`` and ``VirtualSmds`` are synchronous cores (``handle(function, json) -> Reply``); ``SmdpServer`` and
``SmdsServer`` put them on an HTTPS port.
"""

from __future__ import annotations

from ipad_agent.lab.smdp.profile.profile_metadata import Metadata, ProfilePackage, sample_elements, with_notifications

from .download_orders import Binding, Order, OrderBook, OrderState, hash_cc
from .errors import MalformedError, RefusalError, SmdpError
from .euicc_chain import ChainRules, EuiccCredentials, verify_euicc
from .received_notifications import NotificationRecord
from .rsp_server import Exchange, Reply, RspServer, ServerSettings
from .smdp_faults import Fault, Faults
from .smdp_https import (
    EXACT,
    LENIENT,
    USUAL,
    Front,
    FrontSettings,
    PortSettings,
    RspHttpServer,
    SmdpServer,
    SmdsServer,
)
from .smdp_identity import CiSigners, ServerIdentity
from .smdp_session import Session, Step
from .smds import Event, SmdsSettings, VirtualSmds
from .status_words import Status
from .virtual_smdp import SmdpSettings, VirtualSmdp

__all__ = [
    "EXACT",
    "LENIENT",
    "USUAL",
    "Binding",
    "ChainRules",
    "CiSigners",
    "EuiccCredentials",
    "Event",
    "Exchange",
    "Fault",
    "Faults",
    "Front",
    "FrontSettings",
    "MalformedError",
    "Metadata",
    "NotificationRecord",
    "Order",
    "OrderBook",
    "OrderState",
    "PortSettings",
    "ProfilePackage",
    "RefusalError",
    "Reply",
    "RspHttpServer",
    "RspServer",
    "ServerIdentity",
    "ServerSettings",
    "Session",
    "SmdpError",
    "SmdpServer",
    "SmdpSettings",
    "SmdsServer",
    "SmdsSettings",
    "Status",
    "Step",
    "VirtualSmdp",
    "VirtualSmds",
    "hash_cc",
    "sample_elements",
    "verify_euicc",
    "with_notifications",
]
