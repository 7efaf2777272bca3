"""ESipa without its network: the body of a request in, the answer out (SGP.32 v1.2 §5.14, §6.3.2)."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ipad_agent.lab import message_record
from ipad_agent.lab.crypto.der import Node
from ipad_agent.lab.eim.orders.order_package import order_package
from ipad_agent.lab.eim.relay.download_relay import FUNCTION_NAMES, Caller, Relay
from ipad_agent.lab.eim.relay.es9_calls import Steps, finish, finish_later
from ipad_agent.lab.eim.results import result_description, result_judgement, result_names
from ipad_agent.lab.eim.results.result_description import plmn_text

from . import esipa_messages, esipa_v1_0, faulty_answers
from .device_records import HANDED_OUT, QUEUED, Device, EimRecords, Order
from .eim_faults import BEFORE, GARBAGE, WIRE, FaultQueue
from .eim_identity import EimIdentity
from .eim_settings import EimSettings
from .errors import RequestRefusedError
from .esipa_application import Reply
from .esipa_messages import GetPackage, HandleNotification, OtherFunction, ProvideResult

log = logging.getLogger("ipad_agent.lab")

MAX_PEERS = 256
MAX_SHOWN_BYTES = 8192


class EsipaFunctions:
    """The answers to ESipa requests, from the orders in ``records``.

    ``relay`` answers the functions of indirect downloads and hands notifications on; without one the former get
    undefinedError. ``functions`` takes any further ones by tag and goes before it.
    """

    def __init__(
        self,
        identity: EimIdentity,
        settings: EimSettings,
        records: EimRecords,
        faults: FaultQueue,
        enqueue: Callable[[str, Order], Order],
        relay: Relay | None,
    ) -> None:
        self.relay = relay
        self.functions: dict[int, Callable[[Node], bytes]] = {}
        self._identity = identity
        self._settings = settings
        self._records = records
        self._faults = faults
        self._enqueue = enqueue
        self._peers: dict[str, str] = {}
        """The EID that was last heard on each connection."""
        self._connections = esipa_v1_0.ConnectionWork()

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """The answer and how it travels; ``RequestRefusedError`` when the body is no ESipa request.

        ``now_s`` only dates the history; ``peer`` names the connection.
        """
        message_record.note("eim-request", body)
        reply = self._exchange(body, now_s, peer)
        if reply.later is None:
            message_record.note("eim-answer", reply.body)
            return reply
        return replace(reply, later=functools.partial(_noted, reply.later))

    def _exchange(self, body: bytes, now_s: float, peer: str) -> Reply:
        try:
            message = esipa_messages.read_request(body)
        except RequestRefusedError as error:
            self._records.note(now_s, None, "refused", why=str(error), raw=body[:64].hex().upper())
            self._records.save()
            raise
        if self._settings.only_v1_0 and (why := esipa_v1_0.unreadable(body)) is not None:
            return self._crash(why, body, now_s, peer)
        steps = self._answer(message, now_s, peer)
        try:
            call = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration is not generic
        assert self.relay is not None  # nobody else calls anyone
        servers = self.relay.servers
        if servers.blocking:
            return Reply(later=lambda: finish_later(steps, call, servers))
        return finish(steps, call, servers)

    def _crash(self, why: str, body: bytes, now_s: float, peer: str) -> Reply:
        aborted = self._connections.abort(peer)
        label = None if aborted is None else aborted.label
        self._records.note(now_s, self._peers.get(peer), "crash", why=why, aborted=label, raw=body[:64].hex().upper())
        self._records.save()
        return Reply(code="5.00")

    def _answer(self, message: esipa_messages.Message, now_s: float, peer: str) -> Steps[Reply]:
        function = faulty_answers.function_name(message)
        fault = self._faults.take(function)
        if fault is not None:
            self._records.note(now_s, self._peers.get(peer), "fault", on=function, action=fault.action)
        if fault is not None and fault.action in BEFORE:
            reply = faulty_answers.instead_of_processing(fault, function, message, self._settings)
        else:
            reply = yield from self._process(message, now_s, peer)
            reply = replace(reply, body=self._settings.spelled(reply.body))
            if fault is not None and fault.action in WIRE:
                reply = replace(reply, wire=(fault.action, fault.value))
            elif fault is not None:
                reply = faulty_answers.after_processing(fault, function, reply.body, self._settings)
        self._records.save()
        return reply

    def _process(self, message: esipa_messages.Message, now_s: float, peer: str) -> Steps[Reply]:
        match message:
            case GetPackage():
                return Reply(self._get_package(message, now_s, peer))
            case ProvideResult():
                refusal = self._refusal_of(message, now_s, peer)
                if refusal is not None:
                    return refusal
                if self._settings.only_v1_0:
                    device = self._connections.of_result(peer, message.result)
                    if device is None:
                        self._records.note(now_s, self._peers.get(peer), "crash", why="no order on this connection")
                        return Reply(code="5.00")
                    self._remember_peer(peer, device.eid)
                answer = self._provide_result(message, now_s, peer)
                if answer is None:
                    return Reply(code="5.00")
                yield from self._forward(result_judgement.carried_notifications(message.result), now_s, peer)
                return Reply(answer)
            case HandleNotification():
                return (yield from self._handle_notification(message, now_s, peer))
            case OtherFunction(node):
                return Reply((yield from self._other_function(node, now_s, peer)))

    def _other_function(self, node: Node, now_s: float, peer: str) -> Steps[bytes]:
        answer = self.functions.get(node.tag)
        if answer is None and self.relay is not None and node.tag in FUNCTION_NAMES:
            return (yield from self.relay.answer(node, self._caller(now_s, peer)))
        self._records.note(now_s, self._peers.get(peer), "function", tag=f"{node.tag:X}", served=answer is not None)
        if answer is not None:
            return answer(node)
        if node.tag in esipa_messages.ERROR_TAG:
            return esipa_messages.function_error(node.tag)
        raise RequestRefusedError(f"{node.tag:X} is no function of this eIM")

    def _caller(self, now_s: float, peer: str) -> Caller:
        device = self._records.devices.get(self._peers.get(peer, ""))
        note = functools.partial(self._records.note, now_s)
        return Caller(self._records.devices, device, note, self._enqueue, self._settings.dialect)

    # GetEimPackage

    def _get_package(self, message: GetPackage, now_s: float, peer: str) -> bytes:
        dialect = self._settings.dialect_for(message.dialect or esipa_messages.V1_2)
        error = None
        if message.eid is None:
            error = esipa_messages.MISSING_EID
        elif len(message.eid) != 16:
            error = esipa_messages.INVALID_EID
        eid = None if message.eid is None else message.eid.hex().upper()
        if error is None and eid is not None and eid not in self._records.devices:
            if self._settings.accept_unknown_devices:
                self._records.devices[eid] = Device(eid)
            else:
                error = esipa_messages.EID_NOT_FOUND
        self._records.note(
            now_s,
            eid,
            "request",
            stateChange=None
            if message.cause is None
            else result_names.name_of(result_names.STATE_CHANGES, message.cause),
            notifyStateChange=message.state_changed or None,
            rPLMN=None if message.rplmn is None else plmn_text(message.rplmn),
            error=error,
            notes=list(message.notes) or None,
        )
        if error is not None or eid is None:
            return esipa_messages.package_error(error or esipa_messages.UNDEFINED, dialect)
        device = self._records.devices[eid]
        self._remember_peer(peer, eid)
        if message.dialect is not None:
            device.dialect = message.dialect
        dialect = self._settings.dialect_for(message.dialect or device.dialect)
        order = device.next_order
        if self._settings.only_v1_0:
            stuck = self._connections.abort(peer)
            if stuck is not None:
                self._records.note(now_s, eid, "aborted", order=stuck.label)
            order = self._connections.next_of(device)
            if order is not None:
                self._connections.begin(peer, device, order)
        if order is None:
            return esipa_messages.package_error(esipa_messages.NO_PACKAGE, dialect)
        return self._hand_out(device, order, dialect, now_s)

    def _hand_out(self, device: Device, order: Order, dialect: str, now_s: float) -> bytes:
        again = order.package is not None
        package = order.package
        if package is None or (self._settings.resend == "fresh" and order.kind in ("psmo", "eco")):
            package = order.package = order_package(
                order, device, self._identity, dialect, only_v1_0=self._settings.only_v1_0
            )
        order.state = HANDED_OUT
        self._records.note(
            now_s,
            device.eid,
            "handed out",
            order=order.label,
            counter=order.counter,
            transactionId=None if order.transaction_id is None else order.transaction_id.hex().upper(),
            again=again or None,
            package=package.hex().upper(),
        )
        if order.kind == "raw-body":
            device.finish(order, ok=True)
            return package
        return esipa_messages.package_answer(package)

    # ProvideEimPackageResult

    def _provide_result(self, message: ProvideResult, now_s: float, peer: str) -> bytes | None:
        """The answer; None for a result of nobody in v1.0, which has no error for that."""
        device, error = self._device_of(message, peer)
        if device is None and self._settings.dialect_for(esipa_messages.V1_2) == esipa_messages.V1_0:
            device = esipa_v1_0.device_by_transaction(self._records.devices.values(), message.result)
        if device is None:
            self._records.note(now_s, None, "result of nobody", error=error, raw=_shown(message.result))
            if self._settings.dialect_for(esipa_messages.V1_2) == esipa_messages.V1_0:
                return None
            return esipa_messages.result_error(error, esipa_messages.V1_2)
        device.dialect = message.dialect or device.dialect
        dialect = self._settings.dialect_for(device.dialect)
        judgement = self._judge(device, message, now_s, "result")
        if judgement.discarded is not None:
            if self._settings.discard_answer == "error":
                return esipa_messages.result_error(esipa_messages.UNDEFINED, dialect)
            discarded = judgement.discarded_numbers if self._settings.discard_answer == "acknowledge" else []
            return esipa_messages.acknowledgement(discarded, dialect)
        numbers = list(dict.fromkeys(judgement.acknowledge))
        if self._settings.only_v1_0:
            return esipa_messages.acknowledgement([], esipa_messages.V1_0)
        if self._settings.acknowledgement == "empty":
            return esipa_messages.acknowledgement([], dialect)
        if numbers:
            self._records.note(now_s, device.eid, "acknowledged", numbers=numbers)
        return esipa_messages.acknowledgement(numbers, dialect)

    def _refusal_of(self, message: ProvideResult, now_s: float, peer: str) -> Reply | None:
        """What a result gets whose order has ``eim_faults.result``; None for all others."""
        device, _ = self._device_of(message, peer)
        order = None if device is None else result_judgement.order_of(device, message.result)
        if device is None or order is None or order.faults.result is None:
            return None
        answer = order.faults.result
        self._records.note(
            now_s, device.eid, "result refused", order=order.label, answer=answer, raw=_shown(message.result)
        )
        if answer == "garbage":
            return Reply(GARBAGE)
        if answer == "crash":
            return Reply(lost="crash")
        if "." in answer or int(answer) >= 400:
            return Reply(code=answer)
        return Reply(esipa_messages.result_error(int(answer), self._settings.dialect_for(device.dialect)))

    def _device_of(self, message: ProvideResult, peer: str) -> tuple[Device | None, int]:
        if message.eid is None:
            eid = self._peers.get(peer)  # v1.0 has no EID here: the connection tells
            return (
                (self._records.devices.get(eid), esipa_messages.EID_NOT_FOUND)
                if eid is not None
                else (None, esipa_messages.MISSING_EID)
            )
        if len(message.eid) != 16:
            return None, esipa_messages.INVALID_EID
        eid = message.eid.hex().upper()
        self._remember_peer(peer, eid)
        return self._records.devices.get(eid), esipa_messages.EID_NOT_FOUND

    def _judge(self, device: Device, message: ProvideResult, now_s: float, kind: str) -> result_judgement.Judgement:
        settings = self._settings
        rules = result_judgement.Rules(
            self._identity.eim_id,
            strict_sequence=settings.strict_sequence,
            require_key=settings.require_key,
            learn=settings.learn,
        )
        judgement = result_judgement.judge(device, message.result, rules)
        order = judgement.order
        if judgement.discarded is None and order is not None:
            device.finish(order, ok=judgement.ok)
        self._records.note(
            now_s,
            device.eid,
            kind,
            order=None if order is None else order.label,
            ok=judgement.ok,
            discarded=judgement.discarded,
            notes=list(message.notes) or None,
            facts=judgement.facts,
            raw=_shown(message.result),
        )
        if judgement.discarded is not None:
            log.warning("a result of %s was discarded: %s", device.eid, judgement.discarded)
        return judgement

    # HandleNotification

    def _handle_notification(self, message: HandleNotification, now_s: float, peer: str) -> Steps[Reply]:
        if message.result is not None:
            device, error = self._device_of(message.result, peer)
            if device is None:
                self._records.note(
                    now_s, None, "result by notification", error=error, raw=_shown(message.result.result)
                )
            else:
                self._judge(device, message.result, now_s, "result by notification")
            yield from self._forward(result_judgement.carried_notifications(message.result.result), now_s, peer)
        elif message.notification is not None:
            node = message.notification
            session = None if self.relay is None else self.relay.session_of(node)
            known = None if session is None else session.device.eid
            eid = known or result_judgement.certificate_eid(node) or self._peers.get(peer)
            device = None if eid is None else self._records.devices.get(eid)
            if device is not None and node.tag == 0xBF37 and _refuses_downloads(device):
                self._records.note(now_s, eid, "result refused", answer="5.00", raw=_shown(node))
                return Reply(code="5.00")
            self._records.note(
                now_s,
                eid,
                "notification",
                notes=list(message.notes) or None,
                facts=result_judgement.judge_notification(device, node),
                raw=_shown(node),
            )
            if device is not None and node.tag in (0xBF37, 0xA0):
                self._end_of_download(device, node, None if session is None else session.order)
            delivered = yield from self._forward([node], now_s, peer, device)
            if not delivered and self._settings.undelivered == "refused":
                return Reply(code="5.02")
        return Reply()

    def _forward(self, nodes: list[Node], now_s: float, peer: str, device: Device | None = None) -> Steps[bool]:
        """Hand notifications on to their receivers; whether all took them."""
        if self.relay is None:
            return True
        device = device or self._records.devices.get(self._peers.get(peer, ""))
        all_taken = True
        for node in nodes:
            why = yield from self.relay.forward(node, device)
            eid = None if device is None else device.eid
            self._records.note(
                now_s, eid, "forwarded", seqNumber=result_description.notification_seq(node), ok=why is None, why=why
            )
            all_taken = all_taken and why is None
        return all_taken

    @staticmethod
    def _end_of_download(device: Device, node: Node, order: Order | None) -> None:
        # In the indirect flow the installation result is all that comes; there is no ProvideEimPackageResult.
        if order is None:
            order = device.queue[0] if device.queue else None
        if order is not None and order.kind == "trigger" and order.state != QUEUED:
            device.finish(order, ok=bool(result_description.notification(node).get("ok")))

    def _remember_peer(self, peer: str, eid: str) -> None:
        self._peers.pop(peer, None)
        self._peers[peer] = eid
        while len(self._peers) > MAX_PEERS:
            del self._peers[next(iter(self._peers))]


def _refuses_downloads(device: Device) -> bool:
    """Whether the download that is under way is one whose result is not taken, on whatever way it comes."""
    handed_out = [order for order in device.queue if order.kind == "trigger" and order.state == HANDED_OUT]
    return any(order.faults.result is not None for order in handed_out)


def _shown(node: Node) -> str:
    text = node.raw[:MAX_SHOWN_BYTES].hex().upper()
    return text if len(node.raw) <= MAX_SHOWN_BYTES else f"{text}… ({len(node.raw)} bytes)"


async def _noted(later: Callable[[], Awaitable[Reply]]) -> Reply:
    reply = await later()
    message_record.note("eim-answer", reply.body)
    return reply
