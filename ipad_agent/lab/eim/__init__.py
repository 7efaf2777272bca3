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

from ipad_agent.lab.eim.coap.coaps_server import CoapsServer
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings, TlsIdentity
from ipad_agent.lab.eim.https.esipa_https import FrontSettings, HttpsPort, HttpsServer
from ipad_agent.lab.eim.orders.order_verbs import VERBS, Verb, build_order
from ipad_agent.lab.eim.orders.package_bytes import DataRequest
from ipad_agent.lab.eim.relay.download_relay import Relay, RelaySettings
from ipad_agent.lab.eim.relay.es9_calls import MemoryEs9, Servers
from ipad_agent.lab.eim.relay.es9_over_https import HttpsEs9, trusting
from ipad_agent.lab.eim.results.result_report import results_json, results_text

from .coap_resource import CoapSettings
from .device_records import Device, Order
from .eim_faults import Fault, PackageFaults
from .eim_identity import EimIdentity, add_initial_eim
from .eim_settings import EimSettings
from .errors import (
    EimLabError,
    Es9Error,
    Es9RefusedError,
    OrderError,
    RequestRefusedError,
    ServerError,
    StateFileError,
)
from .esipa_application import Application, Reply
from .virtual_eim import VirtualEim

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
