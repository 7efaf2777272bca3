"""The package of an order, which takes the next counter of its device."""

from __future__ import annotations

from ipad_agent.lab.eim.device_records import Device, Order
from ipad_agent.lab.eim.eim_identity import EimIdentity

from .package_bytes import PackageHead, download_trigger, eid_bytes, euicc_package


def order_package(order: Order, device: Device, identity: EimIdentity, dialect: str, *, only_v1_0: bool) -> bytes:
    """What goes into EimPackage, or is the whole answer of an order of kind ``raw-body``; wrong in the ways that
    ``order.faults`` says. ``only_v1_0``: a download trigger of that release has no transaction."""
    transaction_id = None if order.faults.no_transaction_id else order.transaction_id
    if order.data is not None:
        return order.data.encode(transaction_id, dialect=dialect)
    if order.kind == "trigger":
        if only_v1_0:
            transaction_id = None
        return download_trigger("none" if order.held else order.code, transaction_id)
    if order.kind.startswith("raw"):
        return order.operations[0]
    faults = order.faults
    right = device.counter + 1
    if faults.counter is None and not faults.counter_offset:
        device.counter = right
    order.counter = right + faults.counter_offset if faults.counter is None else faults.counter
    head = PackageHead(
        faults.eim_id or identity.eim_id, eid_bytes(faults.eid or device.eid), order.counter, transaction_id
    )
    return euicc_package(
        head,
        order.kind,
        order.operations,
        key=identity.signing_key,
        token=device.token,
        signature_form=faults.signature,
    )
