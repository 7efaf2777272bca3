"""Judging what a device delivers: signature, sequence number, repetition, and to which order it belongs
(SGP.32 v1.2 §3.3.1 steps 11 to 14, §5.14.6)."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.crypto.der import parse as parse_der
from ipad_agent.lab.eim.device_records import Device, Order
from ipad_agent.lab.eim.errors import OrderError
from ipad_agent.lab.eim.orders.package_signing import SIGNATURE, verify_result
from ipad_agent.lab.eim.relay.compact_forms import certificate_under
from ipad_agent.lab.pki import verify_raw

from . import result_description, result_names


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict the eIM is. ``require_key`` refuses results while the eUICC's key is unknown."""

    eim_id: str
    strict_sequence: bool = True
    require_key: bool = False
    learn: bool = True


@dataclass(slots=True)
class Judgement:
    """What a delivery means. ``discarded`` says why nothing of it counts."""

    facts: dict[str, Any]
    acknowledge: list[int] = field(default_factory=list)
    discarded: str | None = None
    order: Order | None = None
    ok: bool = True

    @property
    def discarded_numbers(self) -> list[int]:
        """The number of a result that was readable but does not count."""
        seq = self.facts.get("seqNumber")
        return [seq] if self.discarded is not None and isinstance(seq, int) else []


def judge(device: Device, result: Node, rules: Rules) -> Judgement:
    """An EimPackageResult alternative of either version; never raises on content."""
    try:
        match result.tag:
            case 0xBF51:
                return _package_result(device, result, rules)
            case 0x30:
                return _result_and_notifications(device, result, rules)
            case 0xBF52:
                return _euicc_data(device, result, rules)
            case 0xBF54:
                return _trigger_result(device, result)
            case 0xA0 if result.find(SIGNATURE) is not None:
                return _package_result(device, result, rules)
            case 0xA0 | 0x02 | 0x80:
                return _not_processed(device, result)
            case 0xA1 | 0xA2:
                return _package_result(device, result, rules)
            case tag:
                return Judgement({"raw": result.raw.hex().upper()}, discarded=f"{tag:X} is no result", ok=False)
    except DerError as error:
        return Judgement({"raw": result.raw.hex().upper()}, discarded=f"not readable: {error}", ok=False)


def order_of(device: Device, result: Node) -> Order | None:
    """The order that an EimPackageResult belongs to; nothing is learned from it and nothing taken."""
    try:
        match result.tag:
            case 0xBF52:
                return _find_order(device, result_description.euicc_data(result), kind="data")
            case 0xBF54:
                return _find_order(device, result_description.trigger_result(result), kind="trigger")
            case 0x30:
                return _find_order(device, result_description.package_result(result.children[0]))
            case 0xA0 | 0x02 | 0x80 if result.find(SIGNATURE) is None:
                return _not_processed(device, result).order
            case _:
                return _find_order(device, result_description.package_result(result))
    except (DerError, IndexError):
        return None


def judge_notification(device: Device | None, node: Node) -> dict[str, Any]:
    """The facts of a PendingNotification, with what its signature is worth."""
    facts = result_description.notification(node)
    return facts | {"signature": _notification_signature(device, node)}


def carried_notifications(result: Node) -> list[Node]:
    """The PendingNotifications in ePRAndNotifications or IpaEuiccDataResponse; none when they cannot be read."""
    try:
        match result.tag:
            case 0x30:
                parts = result.children[1:]
            case 0xBF52:
                data = result.find(0xA0)
                parts = [] if data is None else data.children
            case _:
                return []
        return [
            one for part in parts if part.tag in (0xA0, 0xBF2B) for one in result_description.notification_list(part)
        ]
    except DerError:
        return []


def certificate_eid(node: Node) -> str | None:
    """The EID in the eUICC certificate that an otherSignedNotification carries."""
    certificate = _carried_certificate(node)
    if certificate is None:
        return None
    try:
        values = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    except ValueError:  # the subject is only read now
        return None
    return str(values[0].value) if values else None


def _package_result(device: Device, node: Node, rules: Rules) -> Judgement:
    facts = result_description.package_result(node)
    judgement = Judgement(facts)
    if "unread" in facts:
        judgement.discarded = f"not readable: {facts['why']}"
        return judgement
    inner = node.children[0] if node.tag == 0xBF51 else node
    judgement.order = _find_order(device, facts)
    judgement.ok = bool(facts["ok"])
    if facts.get("eimId") != rules.eim_id:
        judgement.discarded = f"the result is for {facts.get('eimId')}"
        return judgement
    if inner.tag == 0xA2:
        if rules.learn and "associationToken" in facts:
            device.token = facts["associationToken"]
        return judgement
    if inner.tag == 0xA0 and device.accepted.get(int(facts["seqNumber"])) == _digest(inner):
        # Taken before, to the byte. The token may be another one since, when the association was deleted and made anew.
        facts |= {"repeated": True, "signature": "right (taken before)"}
        judgement.acknowledge.append(int(facts["seqNumber"]))
        return judgement
    judgement.discarded = _check_signature(device, inner, judgement, rules) or _check_counter(device, judgement)
    if judgement.discarded is None and inner.tag == 0xA0:
        _check_sequence(device, inner, judgement, rules)
    return judgement


def _check_signature(device: Device, inner: Node, judgement: Judgement, rules: Rules) -> str | None:
    key = device.euicc_key
    if key is None:
        judgement.facts["signature"] = "not checked: the eUICC's key is unknown"
        return "the eUICC's key is unknown" if rules.require_key else None
    request = _request_signature(judgement.order)
    matched = verify_result(key, inner.get(0x30).raw, inner.get(SIGNATURE).value, device.token, request)
    judgement.facts["signature"] = "wrong" if matched is None else f"right ({matched})"
    return "the signature is wrong" if matched is None else None


def _request_signature(order: Order | None) -> bytes | None:
    if order is None or order.package is None:
        return None
    try:
        signature = parse_der(order.package).find(SIGNATURE)
    except DerError:  # a raw order may be anything
        return None
    return None if signature is None else signature.value


def _check_counter(device: Device, judgement: Judgement) -> str | None:
    """A result names the counter of its package (§3.3.1). An order that was handed out anew has had several, so only
    one that belongs to another order, or that was never given, shows that the result answers something else."""
    order, told = judgement.order, judgement.facts["counter"]
    if order is None or order.counter is None or order.kind == "raw" or told == order.counter:
        return None
    others = {one.counter for one in (*device.queue, *device.finished) if one is not order}
    if told not in others and told <= device.counter:
        return None
    return f"counter {told} is not the order's, {order.counter}"


def _check_sequence(device: Device, inner: Node, judgement: Judgement, rules: Rules) -> None:
    seq = int(judgement.facts["seqNumber"])
    if seq in device.accepted:
        judgement.discarded = f"sequence number {seq} belongs to another result"
        return
    if rules.strict_sequence and device.last_seq is not None and seq <= device.last_seq:
        judgement.discarded = f"sequence number {seq} is not greater than {device.last_seq}"
        return
    device.remember(seq, _digest(inner))
    judgement.acknowledge.append(seq)


def _digest(inner: Node) -> str:
    """Of what the card signed: what was accepted once says nothing new a second time."""
    return hashlib.sha256(inner.get(0x30).raw).hexdigest()


def _result_and_notifications(device: Device, node: Node, rules: Rules) -> Judgement:
    result, *rest = node.children or [node]
    judgement = _package_result(device, result, rules)
    notifications = [
        one for part in rest if part.tag in (0xA0, 0xBF2B) for one in result_description.notification_list(part)
    ]
    judgement.facts["notifications"] = [judge_notification(device, one) for one in notifications]
    if judgement.discarded is None:
        judgement.acknowledge += _numbers(_put_together(device, notifications))
    return judgement


def _euicc_data(device: Device, node: Node, rules: Rules) -> Judgement:
    facts = result_description.euicc_data(node)
    judgement = Judgement(facts, ok=bool(facts.get("ok")))
    judgement.order = _find_order(device, facts, kind="data")
    if "unread" in facts:
        judgement.discarded = f"not readable: {facts['why']}"
        return judgement
    data = node.find(0xA0)
    fields = [] if data is None else data.children
    if rules.learn:
        # Before anything is verified: token and key come behind the stored results that need them.
        for one in fields:
            if one.tag == 0x84:
                device.token = result_description.number(one)
            elif one.tag == 0xA6:
                _learn_key(device, one, judgement)
            else:
                _learn_for_downloads(device, one)
    for one in fields:
        if one.tag in (0xA0, 0xBF2B):
            judgement.acknowledge += _numbers(result_description.notification_list(one))
        if one.tag in (0xA2, 0xBF2B):
            _stored_results(device, result_description.package_result_list(one), judgement, rules)
    return judgement


def _stored_results(device: Device, results: list[Node], judgement: Judgement, rules: Rules) -> None:
    verdicts = []
    for result in results:
        inner = _package_result(device, result, rules)
        judgement.acknowledge += inner.acknowledge
        if inner.discarded is None and inner.order is not None:
            device.finish(inner.order, ok=inner.ok)
        verdicts.append(inner.facts | ({} if inner.discarded is None else {"discarded": inner.discarded}))
    judgement.facts["packageResults"] = verdicts


def _learn_key(device: Device, node: Node, judgement: Judgement) -> None:
    known = device.euicc_spki
    given = certificate_under(node)
    try:
        device.trust_certificate(given)
    except OrderError as error:
        judgement.facts["euiccCertificateError"] = str(error)
        return
    if known is not None and device.euicc_spki != known:
        device.euicc_spki = known
        judgement.facts["euiccCertificateError"] = "not the key that is known for this EID"
        return
    device.euicc_certificate = given


def _learn_for_downloads(device: Device, node: Node) -> None:
    """What an IPA may leave out of an indirect download later; what cannot be read is not learned."""
    with contextlib.suppress(DerError):
        match node.tag:
            case 0xBF20:
                device.euicc_info1 = node.raw
            case 0xBF22:
                device.euicc_info2 = node.raw
            case 0xA5:
                device.eum_certificate = certificate_under(node)
            case 0xA9:
                device.device_info = node.value
            case 0xA8:
                device.features = tuple(sorted(node.get(0x80).bits()))


def _trigger_result(device: Device, node: Node) -> Judgement:
    facts = result_description.trigger_result(node)
    judgement = Judgement(facts, ok=bool(facts.get("ok")))
    judgement.order = _find_order(device, facts, kind="trigger")
    if "unread" in facts:
        judgement.discarded = f"not readable: {facts['why']}"
        return judgement
    installed = node.find(0xBF37)
    if installed is not None:
        facts["signature"] = _notification_signature(device, installed)
        judgement.acknowledge += _numbers([installed])
    return judgement


def _not_processed(device: Device, node: Node) -> Judgement:
    """eimPackageResultResponseError, in the form of v1.2 (A0), of v1.0 (02) or wrapped twice (80 { 30 { 02 } })."""
    facts: dict[str, Any] = {"ok": False}
    if node.tag == 0x02:
        code = result_description.number(node)
    elif node.tag == 0x80:
        code = result_description.number(parse_der(node.value, ber=True).get(0x02))
    else:
        code = result_description.number(node.get(0x02))
        transaction = node.find(0x80)
        if transaction is not None:
            facts["transactionId"] = transaction.value.hex().upper()
    facts |= {"code": code, "name": result_names.name_of(result_names.RESPONSE_ERRORS, code)}
    return Judgement(facts, order=_find_order(device, facts), ok=False)


def _find_order(device: Device, facts: dict[str, Any], kind: str | None = None) -> Order | None:
    """By transaction, then by counter; without either it can only be the one that was handed out."""
    transaction, counter = facts.get("transactionId"), facts.get("counter")
    candidates = [*device.queue, *reversed(device.finished)]
    if kind is not None:
        candidates = [order for order in candidates if order.kind == kind]
    for order in candidates:
        if transaction is not None and order.transaction_id == bytes.fromhex(transaction):
            return order
    for order in candidates:
        if counter is not None and order.counter == counter:
            return order
    head = device.queue[0] if device.queue else None
    if head is None or head.package is None:
        return None
    unnamed = transaction is None and counter is None and kind in (None, head.kind)
    return head if unnamed or head.kind == "raw" else None


def _put_together(device: Device, notifications: list[Node]) -> list[Node]:
    """Those that this eIM could hand on: a compact one (A1) lacks the certificates, which it has to know."""
    known = device.euicc_certificate is not None and device.eum_certificate is not None
    return [one for one in notifications if one.tag != 0xA1 or known]


def _numbers(notifications: list[Node]) -> list[int]:
    found = [result_description.notification_seq(one) for one in notifications]
    return [number for number in found if number is not None]


def _notification_signature(device: Device | None, node: Node) -> str:
    key = None if device is None else device.notification_key
    try:
        signature = node.get(SIGNATURE).value
        signed = node.get(0xBF27 if node.tag == 0xBF37 else 0xBF2F).raw
    except DerError:
        return "not checked: compact or not readable"
    if key is None:
        key = _carried_key(node)
    if key is None:
        return "not checked: the eUICC's key is unknown"
    return "right" if verify_raw(key, signature, signed) else "wrong"


def _carried_key(node: Node) -> ec.EllipticCurvePublicKey | None:
    certificate = _carried_certificate(node)
    try:
        key = None if certificate is None else certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def _carried_certificate(node: Node) -> x509.Certificate | None:
    try:
        if node.tag != 0x30:
            return None
        certificates = [child for child in node.children if child.tag == 0x30]
        return x509.load_der_x509_certificate(certificates[0].raw) if certificates else None
    except (DerError, ValueError):
        return None
