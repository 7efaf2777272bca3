"""What the REST API shows of devices, orders and the history, as ``openapi.json`` describes it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ipad_agent.lab.eim import Device, Order

Document = dict[str, Any]


def device_document(device: Device) -> Document:
    """Schema ``Device``. The fingerprint is that of the key which results must be signed with."""
    key = device.euicc_spki
    return {
        "eid": device.eid,
        "counter": device.counter,
        "associationToken": device.token,
        "lastSeqNumber": device.last_seq,
        "emulated": device.emulated,
        "keyFingerprint": None if key is None else hashlib.sha256(key).hexdigest().upper(),
        "imei": device.imei or None,
        "waiting": len(device.queue),
        "finished": len(device.finished),
    }


def order_document(order: Order) -> Document:
    """Schema ``Order``."""
    transaction = order.transaction_id
    return {
        "number": order.number,
        "order": order.label,
        "kind": order.kind,
        "state": order.state,
        "counter": order.counter,
        "transactionId": None if transaction is None else transaction.hex().upper(),
        "package": None if order.package is None else base64.b64encode(order.package).decode(),
    }


def entry_document(number: int, entry: dict[str, Any]) -> Document:
    """Schema ``Entry``: what every entry has, and the rest of it as ``details``."""
    common = ("at", "eid", "kind", "order", "ok")
    return {
        "number": number,
        "at": entry["at"],
        "eid": entry.get("eid"),
        "kind": entry["kind"],
        "order": entry.get("order"),
        "ok": entry.get("ok"),
        "details": {name: value for name, value in entry.items() if name not in common},
    }


def error_document(code: str, message: str) -> Document:
    """Schema ``Error``."""
    return {"error": {"code": code, "message": message}}
