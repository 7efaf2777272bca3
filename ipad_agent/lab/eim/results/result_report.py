"""What happened, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ipad_agent.lab.eim.virtual_eim import VirtualEim

_SHORT_HEX = 48


def results_json(eim: VirtualEim, eid: str | None = None) -> str:
    """Devices with their queues, and the history, of one EID or of all."""
    devices = [device for device in eim.devices.values() if eid in (None, device.eid)]
    document = {
        "eimId": eim.identity.eim_id,
        "devices": [
            {
                "eid": device.eid,
                "counter": device.counter,
                "associationToken": device.token,
                "lastSeqNumber": device.last_seq,
                "keyKnown": device.euicc_spki is not None,
                "emulated": device.emulated,
                "orders": [
                    {"order": order.label, "state": order.state, "counter": order.counter}
                    for order in [*device.finished, *device.queue]
                ],
            }
            for device in devices
        ],
        "history": list(_history(eim, eid)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def results_text(eim: VirtualEim, eid: str | None = None) -> str:
    """The same as lines to read: one per order, then one per thing that happened, oldest first."""
    lines = []
    for device in eim.devices.values():
        if eid not in (None, device.eid):
            continue
        token = "none" if device.token is None else str(device.token)
        kind = ", emulated (signed by the device, not by the card)" if device.emulated else ""
        last = device.last_seq or "none"
        lines.append(f"{device.eid}: counter {device.counter}, token {token}, last result {last}{kind}")
        lines += [f"  {order.state:<10}  {order.label}" for order in [*device.finished, *device.queue]]
    for entry in _history(eim, eid):
        lines.append(_line(entry))
        lines += [f"    {line}" for line in _fact_lines(entry.get("facts", {}))]
    return "\n".join(lines)


def _history(eim: VirtualEim, eid: str | None) -> Iterable[dict[str, Any]]:
    return (entry for entry in eim.history if eid is None or entry["eid"] in (None, eid))


def _line(entry: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(entry["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    shown = {
        name: value for name, value in entry.items() if name not in ("at", "eid", "kind", "facts", "raw", "package")
    }
    words = ", ".join(f"{name} {_short(value)}" for name, value in shown.items())
    return f"{when}  {entry['kind']}" + (f": {words}" if words else "")


def _fact_lines(facts: dict[str, Any]) -> Iterable[str]:
    for name, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{name}:"
            for one in value:
                yield "  " + ", ".join(f"{key} {_short(inner)}" for key, inner in one.items())
        elif isinstance(value, dict):
            yield f"{name}: " + ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
        else:
            yield f"{name}: {_short(value)}"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_short(inner)}" for key, inner in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "; ".join(_short(one) for one in value) or "none"
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    # Only bytes get this long; the JSON form has them whole.
    return text if len(text) <= _SHORT_HEX * 2 else f"{text[:_SHORT_HEX]}… ({len(text) // 2} bytes)"
