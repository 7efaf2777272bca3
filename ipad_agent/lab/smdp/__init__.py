"""The lab's SM-DP+ and SM-DS: ES9+ and ES11 of SGP.22, with orders, events, real protection, and switches.

``VirtualSmdp`` and ``VirtualSmds`` are synchronous cores (``handle(function, json) -> Reply``); ``SmdpServer`` and
``SmdsServer`` put them on an HTTPS port.
"""

from __future__ import annotations

from .chain import ChainRules, EuiccCredentials, verify_euicc
from .errors import MalformedError, RefusalError, SmdpError
from .faults import Fault, Faults
from .front import EXACT, LENIENT, USUAL, Front, FrontSettings, PortSettings, RspHttpServer, SmdpServer, SmdsServer
from .identity import CiSigners, ServerIdentity
from .metadata import Metadata, ProfilePackage, sample_elements, with_notifications
from .notifications import NotificationRecord
from .orders import Binding, Order, OrderBook, OrderState, hash_cc
from .rsp_server import Exchange, Reply, RspServer, ServerSettings
from .session import Session, Step
from .smds import Event, SmdsSettings, VirtualSmds
from .status import Status
from .virtual import SmdpSettings, VirtualSmdp

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
