"""The lab's eIM: ESipa over CoAP and DTLS 1.2, for IPAs of any make, with the switches that tests need.

``VirtualEim`` answers request bodies, ``CoapsServer`` puts it on a port::

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
from .errors import EimLabError, OrderError, RequestRefusedError, ServerError, StateFileError
from .faults import Fault, PackageFaults
from .identity import EimIdentity, add_initial_eim
from .packages import DataRequest
from .records import Device, Order
from .reply import Application, Reply
from .report import results_json, results_text
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
    "Fault",
    "Order",
    "OrderError",
    "PackageFaults",
    "Reply",
    "RequestRefusedError",
    "ServerError",
    "StateFileError",
    "TlsIdentity",
    "Verb",
    "VirtualEim",
    "add_initial_eim",
    "build_order",
    "results_json",
    "results_text",
]
