"""The lab's eIM: ESipa over CoAP/DTLS and HTTPS, for IPAs of any make, with the switches that tests need.

``VirtualEim`` answers request bodies, ``CoapsServer`` and ``HttpsServer`` put it on a port, a ``Relay`` lets it pass
indirect downloads on to an SM-DP+::

    identity = EimIdentity.from_pki(Pki.load(folder))
    eim = VirtualEim(identity)
    eim.add_device(eid, certificate_der=pki["euicc"].cert_der)
    eim.enqueue(eid, build_order(["enable", iccid, "--rollback"]))
    async with CoapsServer(eim, dtls=DtlsSettings(identity.tls)) as server:
        ...  # a client posts to server.uri
    print(results_text(eim))
"""

from __future__ import annotations

from .coap_resource import CoapSettings
from .dtls_context import DtlsSettings, TlsIdentity
from .errors import EimLabError, Es9Error, Es9RefusedError, OrderError, RequestRefusedError, ServerError, StateFileError
from .es9 import MemoryEs9, Servers
from .es9_https import HttpsEs9, trusting
from .faults import Fault, PackageFaults
from .https import FrontSettings, HttpsPort, HttpsServer
from .identity import EimIdentity, add_initial_eim
from .packages import DataRequest
from .records import Device, Order
from .reply import Application, Reply
from .report import results_json, results_text
from .rsp import Relay, RelaySettings
from .server import CoapsServer
from .verbs import VERBS, Verb, build_order
from .virtual import EimSettings, VirtualEim

__all__ = [
    "VERBS",
    "Application",
    "CoapSettings",
    "CoapsServer",
    "DataRequest",
    "Device",
    "DtlsSettings",
    "EimIdentity",
    "EimLabError",
    "EimSettings",
    "Es9Error",
    "Es9RefusedError",
    "Fault",
    "FrontSettings",
    "HttpsEs9",
    "HttpsPort",
    "HttpsServer",
    "MemoryEs9",
    "Order",
    "OrderError",
    "PackageFaults",
    "Relay",
    "RelaySettings",
    "Reply",
    "RequestRefusedError",
    "ServerError",
    "Servers",
    "StateFileError",
    "TlsIdentity",
    "Verb",
    "VirtualEim",
    "add_initial_eim",
    "build_order",
    "results_json",
    "results_text",
    "trusting",
]
