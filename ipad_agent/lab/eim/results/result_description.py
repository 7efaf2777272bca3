"""Results as people read them: plain dictionaries that go to JSON and to the terminal.

Never raises on content: what cannot be understood stays as hex under ``unread``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim.orders.package_bytes import iccid_text

from . import result_names

Facts = dict[str, Any]
MAX_INTEGER_BYTES = 16


def package_result(node: Node) -> Facts:
    """EuiccPackageResult (BF51, or bare A0/A1/A2)."""
    return _guarded(_package_result, node)


def notification(node: Node) -> Facts:
    """PendingNotification in any of its four forms."""
    return _guarded(_notification, node)


def euicc_data(node: Node) -> Facts:
    """IpaEuiccDataResponse (BF52)."""
    return _guarded(_euicc_data, node)


def trigger_result(node: Node) -> Facts:
    """ProfileDownloadTriggerResult (BF54)."""
    return _guarded(_trigger_result, node)


def notification_seq(node: Node) -> int | None:
    """The sequence number of a PendingNotification, None when it has none that can be read."""
    try:
        match node.tag:
            case 0xBF37:
                return number(node.path(0xBF27, 0xBF2F, 0x80))
            case 0x30 | 0xA1:
                return number(node.path(0xBF2F, 0x80))
            case 0xA0:
                return number(node.path(0xA0, 0x02))
    except DerError:
        pass
    return None


def notification_list(node: Node) -> list[Node]:
    """The notifications in A0 (v1.2) or BF2B { A0 } (v1.0)."""
    if node.tag == 0xBF2B:
        inner = node.find(0xA0)
        return [] if inner is None else inner.children
    return node.children


def package_result_list(node: Node) -> list[Node]:
    """The EuiccPackageResults in A2, each as BF51 or bare."""
    if node.tag == 0xBF2B:
        inner = node.find(0xA2)
        return [] if inner is None else inner.children
    return node.children


def plmn_text(value: bytes) -> str:
    """``262-01`` for 62 F2 10."""
    if len(value) != 3:
        return value.hex().upper()
    digits = "".join(f"{byte & 15:X}{byte >> 4:X}" for byte in value)
    mcc, mnc = digits[:3], digits[4:] + ("" if digits[3] == "F" else digits[3])
    return f"{mcc}-{mnc}"


def _guarded(reader: Callable[[Node], Facts], node: Node) -> Facts:
    try:
        return reader(node)
    except (DerError, IndexError) as error:
        return {"unread": node.raw.hex().upper(), "why": str(error)}


def number(node: Node) -> int:
    """An INTEGER of a size that has a meaning here."""
    if len(node.value) > MAX_INTEGER_BYTES:
        raise DerError(f"{node.tag:X} is an INTEGER of {len(node.value)} bytes")
    return node.integer()


def _hex(node: Node | None) -> str | None:
    return None if node is None else node.value.hex().upper()


def _integer(node: Node | None) -> int | None:
    return None if node is None else number(node)


def _present(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if value is not None}


def _package_result(node: Node) -> Facts:
    inner = node.children[0] if node.tag == 0xBF51 else node
    variant = {0xA0: "result", 0xA1: "error", 0xA2: "unsigned error"}.get(inner.tag)
    if variant is None:
        raise DerError(f"{inner.tag:X} is no EuiccPackageResult")
    data = inner if inner.tag == 0xA2 else inner.get(0x30)
    eim_id = data.find(0x80)
    facts: Facts = {
        "variant": variant,
        "eimId": None if eim_id is None else eim_id.text(),
        "counter": _integer(data.find(0x81)),
        "transactionId": _hex(data.find(0x82)),
    }
    if inner.tag == 0xA0:
        facts["seqNumber"] = number(data.get(0x83))
        facts["operations"] = [_operation(result) for result in data.get(0x30).children]
        facts["ok"] = all(one.get("code") in (None, 0) for one in facts["operations"])
    elif inner.tag == 0xA1:
        code = number(data.get(0x02))
        facts |= {"code": code, "name": result_names.name_of(result_names.PACKAGE_ERRORS, code), "ok": False}
    else:
        facts |= {"associationToken": _integer(data.find(0x84)), "ok": False}
        reason = _integer(data.find(0x8F))  # since v1.3
        if reason is not None:
            facts |= {"code": reason, "name": result_names.name_of(result_names.UNSIGNED_ERRORS, reason)}
    return _present(facts)


def _operation(node: Node) -> Facts:
    operation, codes = result_names.OPERATIONS.get(node.tag, (f"{node.tag:X}", {}))
    facts: Facts = {"operation": operation}
    code: int | None = None
    if not node.constructed:
        code = number(node)
    elif node.tag == 0xBF2D:
        profiles = node.find(0xA0)
        if profiles is not None or node.find(0xE3) is not None:
            facts["profiles"] = [_profile(one) for one in (profiles or node).children]
        else:
            code = _error_inside(node)
    elif node.tag == 0xA8:
        token = node.find(0x84)
        code = 0 if token is not None else _error_inside(node)
        facts["associationToken"] = _integer(token)
    elif node.tag == 0xAB:
        listed = node.find(0xA0)
        if listed is not None:
            facts["eims"] = [_eim_entry(entry) for entry in listed.children]
        else:
            code = _error_inside(node)
    elif node.tag == 0xA6:
        facts["rules"] = [rule.raw.hex().upper() for rule in node.children]
    elif node.tag == 0xBF65:
        code = _error_inside(node)
    else:
        facts["raw"] = node.raw.hex().upper()
    if code is not None:
        facts |= {"code": code, "name": result_names.name_of(codes, code)}
    return _present(facts)


def _error_inside(node: Node) -> int | None:
    return _integer(node.find(0x81, 0x80, 0x02))


def _eim_entry(entry: Node) -> Facts:
    return _present({"eimId": entry.get(0x80).text(), "idType": _integer(entry.find(0x82, 0x84))})


def _profile(node: Node) -> Facts:
    facts: Facts = {}
    for child in node.children:
        match child.tag:
            case 0x5A:
                facts["iccid"] = iccid_text(child.value)
            case 0x4F:
                facts["aid"] = child.value.hex().upper()
            case 0x9F70:
                facts["state"] = result_names.name_of(result_names.PROFILE_STATES, number(child))
            case 0x95:
                facts["class"] = result_names.name_of(result_names.PROFILE_CLASSES, number(child))
            case 0x90 | 0x91 | 0x92:
                facts[("nickname", "provider", "name")[child.tag - 0x90]] = child.text()
            case 0x9F7B | 0x9F26 | 0x9F67:
                name = {0x9F7B: "ecall", 0x9F26: "fallback", 0x9F67: "fallbackAllowed"}[child.tag]
                facts[name] = child.value not in (b"", b"\x00")
            case 0x99:
                facts["ppr"] = sorted(child.bits())
            case tag:
                facts[f"{tag:X}"] = child.value.hex().upper()
    return facts


def _metadata(node: Node) -> Facts:
    iccid = node.find(0x5A)
    address = node.find(0x0C)
    events = node.find(0x81)
    return _present(
        {
            "seqNumber": _integer(node.find(0x80)),
            "events": None if events is None else result_names.bit_names(result_names.EVENTS, events.bits()),
            "address": None if address is None else address.text(),
            "iccid": None if iccid is None else iccid_text(iccid.value),
        }
    )


def _notification(node: Node) -> Facts:
    match node.tag:
        case 0xBF37:
            data = node.get(0xBF27)
            facts = {"kind": "installation result", **_metadata(data.get(0xBF2F))}
            facts["rspTransactionId"] = _hex(data.find(0x80))
            return _present(facts | _final_result(data.find(0xA2)))
        case 0x30:
            return {"kind": "notification", **_metadata(node.get(0xBF2F))}
        case 0xA0:
            data = node.get(0xA0)
            facts = {"kind": "compact installation result", "seqNumber": number(data.get(0x02))}
            facts["rspTransactionId"] = _hex(data.find(0x80))
            return _present(facts | _final_result(data.find(0xA2)))
        case 0xA1:
            return {"kind": "compact notification", **_metadata(node.get(0xBF2F))}
        case tag:
            raise DerError(f"{tag:X} is no notification")


def _final_result(node: Node | None) -> Facts:
    if node is None:
        return {}
    success = node.find(0xA0)
    if success is not None:
        return {"ok": True, "aid": _hex(success.find(0x4F, 0x80))}
    error = node.get(0xA1)
    command = _integer(error.find(0x80))
    reason = _integer(error.find(0x81))
    return {
        "ok": False,
        "command": None if command is None else result_names.name_of(result_names.BPP_COMMANDS, command),
        "reason": reason,
    }


def _euicc_data(node: Node) -> Facts:
    error = node.find(0xA1)
    old_error = node.find(0x81) if error is None else None
    if error is not None or old_error is not None:
        code = number(old_error) if old_error is not None else number((error or node).get(0x02))
        facts: Facts = {"ok": False, "code": code, "name": result_names.name_of(result_names.DATA_ERRORS, code)}
        facts["transactionId"] = None if error is None else _hex(error.find(0x80))
        return _present(facts)
    facts = {"ok": True}
    for child in node.get(0xA0).children:
        facts |= _data_field(child)
    return facts


def _data_field(child: Node) -> Facts:
    match child.tag:
        case 0xA0 | 0xBF2B:
            facts: Facts = {"notifications": [notification(one) for one in notification_list(child)]}
            if child.tag == 0xBF2B and child.find(0xA2) is not None:
                facts["packageResults"] = [package_result(one) for one in package_result_list(child)]
            return facts
        case 0x80 | 0x81:
            return {"defaultSmdpAddress": child.text()}
        case 0x83:
            return {"rootSmdsAddress": child.text()}
        case 0x84:
            return {"associationToken": number(child)}
        case 0x87:
            return {"transactionId": child.value.hex().upper()}
        case 0xA2:
            return {"packageResults": [package_result(one) for one in package_result_list(child)]}
        case 0xA8 | 0x88:
            return {"ipaCapabilities": _capabilities(child)}
        case 0xA9:
            return {"deviceInfo": _present({"tac": _hex(child.find(0x80)), "imei": _hex(child.find(0x82))})}
        case 0xA5 | 0xA6:
            return {{0xA5: "eumCertificate", 0xA6: "euiccCertificate"}[child.tag]: child.raw.hex().upper()}
        case 0xBF20:
            return {"euiccInfo1": child.raw.hex().upper()}
        case 0xBF22:
            return {"euiccInfo2": _info2(child)}
        case tag:
            return {f"{tag:X}": child.raw.hex().upper()}


def _capabilities(node: Node) -> Facts:
    if not node.constructed:
        return {"raw": node.raw.hex().upper()}
    protocols = node.find(0x81)
    facts: Facts = {"features": result_names.bit_names(result_names.FEATURES, node.get(0x80).bits())}
    if protocols is not None:
        facts["protocols"] = result_names.bit_names(result_names.PROTOCOLS, protocols.bits())
    return facts


def _info2(node: Node) -> Facts:
    iot = node.find(0xB4)
    facts: Facts = {"raw": node.raw.hex().upper(), "ipaMode": _integer(node.find(0x90))}
    if iot is not None:
        versions: Iterable[Node] = iot.get(0xA0).children
        facts["iotVersions"] = [".".join(str(byte) for byte in version.value) for version in versions]
        facts["ecall"] = iot.find(0x81) is not None
        facts["fallback"] = iot.find(0x82) is not None
    return _present(facts)


def _trigger_result(node: Node) -> Facts:
    facts: Facts = {"transactionId": _hex(node.find(0x82))}
    installed = node.find(0xBF37)
    if installed is not None:
        return _present(facts | notification(installed))
    error = node.get(0x30)
    reason = error.find(0x80)
    facts["ok"] = False
    if reason is not None and len(reason.value) == 1:
        code = number(reason)
        facts |= {"code": code, "name": result_names.name_of(result_names.TRIGGER_ERRORS, code)}
    elif reason is not None:
        facts["errorResponse"] = reason.value.hex().upper()  # v1.0 has the server's answer here
    if (response := error.find(0x04)) is not None:
        facts["errorResponse"] = response.value.hex().upper()
    return _present(facts)
