"""The eIM without its network: request body in, answer body out (SGP.32 v1.2 §5.14, §6.3.2)."""

from __future__ import annotations

import functools
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ipad_agent.lab import message_record
from ipad_agent.lab.crypto.der import Node
from ipad_agent.lab.eim.orders.package_bytes import PackageHead, download_trigger, eid_bytes, euicc_package
from ipad_agent.lab.eim.relay.download_relay import FUNCTION_NAMES, Caller, Relay
from ipad_agent.lab.eim.relay.es9_calls import Steps, finish, finish_later
from ipad_agent.lab.eim.results import result_description, result_judgement, result_names
from ipad_agent.lab.eim.results.result_description import plmn_text

from . import device_import, esipa_messages, esipa_v1_0
from .device_binding import DeviceBindings
from .device_records import HANDED_OUT, PUSHED, QUEUED, Device, FileStore, Order, Store
from .eim_faults import BEFORE, FUNCTION_OF_TAG, GARBAGE, WIRE, Fault, FaultQueue
from .eim_identity import EimIdentity
from .errors import OrderError, RequestRefusedError
from .esipa_application import Reply
from .esipa_messages import GetPackage, HandleNotification, OtherFunction, ProvideResult

log = logging.getLogger("ipad_agent.lab")

MAX_HISTORY = 1000
MAX_PEERS = 256
MAX_SHOWN_BYTES = 8192


@dataclass(slots=True)
class EimSettings:
    """Standing habits of the eIM; all may be changed while it runs.

    ``dialect``: ``auto`` answers in that of the request, ``1.0`` to ``1.3`` fix it (the last three write alike; over
    HTTPS an eIM of v1.3 also says so in a header, see ``FrontSettings``). ``double_tags`` writes the outer
    tag of answers twice. ``discard_answer``: what an unacceptable result gets, ``error`` (127), ``empty``
    or ``acknowledge`` (its number all the same, as SGP.32 v1.3 §5.14.6 is read by one eIM).
    ``resend``: a package asked for again is the ``same`` bytes, or ``fresh`` with the next counter.
    ``transaction_id_bytes`` 0 means no eimTransactionId at all. ``undelivered``: a notification whose receiver does not
    take it is ``kept`` here and taken from the device all the same, or ``refused`` (5.02) so that it comes again.
    ``only_v1_0``: an eIM of that release and no other, see ``v1_0``; ``dialect`` should be ``1.0`` then.
    ``acknowledgement``: a result that is taken is told by its numbers (``acknowledge``) or by an ``empty`` answer, as
    some eIMs do, after which the device has to keep it.
    """

    dialect: str = "auto"
    double_tags: bool = False
    accept_unknown_devices: bool = False
    strict_sequence: bool = True
    require_key: bool = False
    learn: bool = True
    discard_answer: str = "error"
    resend: str = "same"
    transaction_id_bytes: int = 8
    undelivered: str = "kept"
    only_v1_0: bool = False
    acknowledgement: str = "acknowledge"


class VirtualEim:
    """Devices, their queues, and the answers to ESipa requests.

    ``handle`` gives the plain answer; ``exchange`` also says how it shall travel (late, not at all, ...).
    ``relay`` answers the functions of indirect downloads and hands notifications on; without one the former get
    undefinedError. ``functions`` takes any further ones by tag and goes before it.
    """

    def __init__(
        self,
        identity: EimIdentity,
        *,
        settings: EimSettings | None = None,
        state_path: Path | None = None,
        store: Store | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        relay: Relay | None = None,
    ) -> None:
        self.identity = identity
        self.relay = relay
        self.settings = settings or EimSettings()
        self.faults = FaultQueue()
        self.functions: dict[int, Callable[[Node], bytes]] = {}
        self._store = FileStore(state_path) if store is None and state_path is not None else store
        self._random_bytes = random_bytes
        self._peers: dict[str, str] = {}
        self._connections = esipa_v1_0.ConnectionWork()
        devices, history = self._store.load() if self._store is not None else ({}, [])
        self.devices: dict[str, Device] = devices
        self.history: deque[dict[str, Any]] = deque(history, maxlen=MAX_HISTORY)
        self.noted = len(self.history)
        """How many entries the history ever had since it was opened; the last one has this number."""
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        """Told every entry of the history as it is made."""
        self.bindings = DeviceBindings(
            self.devices,
            self.history,
            lambda raw, replace_key, now_s: self.import_device(raw, replace_key=replace_key, now_s=now_s),
            self._note_and_save,
        )
        """Devices that register themselves, by the bundles that this eIM issues."""
        queued = (order for device in devices.values() for order in (*device.finished, *device.queue))
        self._last_order = max((order.number for order in queued), default=0)

    def add_device(
        self, eid: str, *, counter: int = 0, token: int | None = None, certificate_der: bytes | None = None
    ) -> Device:
        """Make an eUICC known. ``counter`` is the counterValue it was given; the first package has the next one."""
        eid_bytes(eid)
        device = self.devices.get(eid) or Device(eid)
        device.counter, device.token = counter, token
        if certificate_der is not None:
            device.trust_certificate(certificate_der)
        self.devices[eid] = device
        self._save()
        return device

    def remove_device(self, eid: str) -> None:
        """Forget an EID with its orders; ``OrderError`` when it is unknown."""
        del self.devices[self.device(eid).eid]
        self._save()

    def cancel_order(self, eid: str, number: int) -> Order:
        """Take an order back that has no result yet; ``OrderError`` when there is none with this number.

        A device that has it already may still carry it out; its result then belongs to no order.
        """
        device = self.device(eid)
        found = next((order for order in device.queue if order.number == number), None)
        if found is None:
            raise OrderError(f"no order {number} waits for {eid}")
        device.queue = [order for order in device.queue if order is not found]
        self._save()
        return found

    def import_device(self, raw: bytes, *, replace_key: bool = False, now_s: float = 0.0) -> Device:
        """Register a consumer card by the import file of the device that plays its IoT part.

        ``OrderError`` when the file is wrong or the EID is registered already; see ``device_import.registered``.
        """
        file = device_import.read_import(raw)
        device = device_import.registered(self.devices.get(file.eid), file, replace_key=replace_key)
        self.devices[file.eid] = device
        self._note(
            now_s, file.eid, "imported", counter=file.counter, fingerprint=file.fingerprint, imei=file.imei or None
        )
        self._save()
        return device

    def device(self, eid: str) -> Device:
        """The record of an EID; ``OrderError`` when it is unknown."""
        found = self.devices.get(eid)
        if found is None:
            raise OrderError(f"no device with EID {eid}")
        return found

    def enqueue(self, eid: str, order: Order) -> Order:
        """Put an order behind those that wait; its package is built when it is asked for."""
        device = self.device(eid)
        size = self.settings.transaction_id_bytes
        if order.transaction_id is None and size and not order.faults.no_transaction_id:
            order.transaction_id = self._random_bytes(size)
        self._last_order += 1
        order.number = self._last_order
        device.queue.append(order)
        self._save()
        return order

    def push(self, eid: str, order: Order, *, now_s: float = 0.0) -> bytes:
        """The package of an order that shall be pushed (SGP.32 §3.1.1.2) instead of waiting for a poll, not wrapped."""
        self.enqueue(eid, order)
        device = self.device(eid)
        package = order.package = self._build(device, order, self._dialect(device.dialect))
        order.state = PUSHED
        self._note(now_s, eid, "pushed", order=order.label, counter=order.counter, package=package.hex().upper())
        self._save()
        return package

    def push_answered(self, eid: str, order: Order, answer: str, *, received: bool, now_s: float = 0.0) -> None:
        """What the device said to it; one that it did not take waits for the next poll."""
        if order.state == PUSHED:
            order.state = HANDED_OUT if received else QUEUED
        self._note(now_s, eid, "push answered", order=order.label, answer=answer, received=received)
        self._save()

    def handle(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> bytes:
        """The answer to a request body, unless the relay takes its time; ``RequestRefusedError`` as ``exchange``."""
        return self.exchange(body, now_s=now_s, peer=peer).body

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
            self._note(now_s, None, "refused", why=str(error), raw=body[:64].hex().upper())
            self._save()
            raise
        if self.settings.only_v1_0 and (why := esipa_v1_0.unreadable(body)) is not None:
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
        self._note(now_s, self._peers.get(peer), "crash", why=why, aborted=label, raw=body[:64].hex().upper())
        self._save()
        return Reply(code="5.00")

    def _answer(self, message: esipa_messages.Message, now_s: float, peer: str) -> Steps[Reply]:
        function = _function_name(message)
        fault = self.faults.take(function)
        if fault is not None:
            self._note(now_s, self._peers.get(peer), "fault", on=function, action=fault.action)
        if fault is not None and fault.action in BEFORE:
            reply = self._instead_of_processing(fault, function, message)
        else:
            reply = yield from self._process(message, now_s, peer)
            reply = replace(reply, body=self._spell(reply.body))
            if fault is not None and fault.action in WIRE:
                reply = replace(reply, wire=(fault.action, fault.value))
            elif fault is not None:
                reply = self._after_processing(fault, function, reply.body)
        self._save()
        return reply

    def _process(self, message: esipa_messages.Message, now_s: float, peer: str) -> Steps[Reply]:
        match message:
            case GetPackage():
                return Reply(self._get_package(message, now_s, peer))
            case ProvideResult():
                refusal = self._refusal_of(message, now_s, peer)
                if refusal is not None:
                    return refusal
                if self.settings.only_v1_0:
                    device = self._connections.of_result(peer, message.result)
                    if device is None:
                        self._note(now_s, self._peers.get(peer), "crash", why="no order on this connection")
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
        self._note(now_s, self._peers.get(peer), "function", tag=f"{node.tag:X}", served=answer is not None)
        if answer is not None:
            return answer(node)
        if node.tag in esipa_messages.ERROR_TAG:
            return esipa_messages.function_error(node.tag)
        raise RequestRefusedError(f"{node.tag:X} is no function of this eIM")

    def _caller(self, now_s: float, peer: str) -> Caller:
        device = self.devices.get(self._peers.get(peer, ""))
        note = functools.partial(self._note, now_s)
        return Caller(self.devices, device, note, self.enqueue, self.settings.dialect)

    # GetEimPackage

    def _get_package(self, message: GetPackage, now_s: float, peer: str) -> bytes:
        dialect = self._dialect(message.dialect or esipa_messages.V1_2)
        error = None
        if message.eid is None:
            error = esipa_messages.MISSING_EID
        elif len(message.eid) != 16:
            error = esipa_messages.INVALID_EID
        eid = None if message.eid is None else message.eid.hex().upper()
        if error is None and eid is not None and eid not in self.devices:
            if self.settings.accept_unknown_devices:
                self.devices[eid] = Device(eid)
            else:
                error = esipa_messages.EID_NOT_FOUND
        self._note(
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
        device = self.devices[eid]
        self._remember_peer(peer, eid)
        if message.dialect is not None:
            device.dialect = message.dialect
        dialect = self._dialect(message.dialect or device.dialect)
        order = device.next_order
        if self.settings.only_v1_0:
            stuck = self._connections.abort(peer)
            if stuck is not None:
                self._note(now_s, eid, "aborted", order=stuck.label)
            order = self._connections.next_of(device)
            if order is not None:
                self._connections.begin(peer, device, order)
        if order is None:
            return esipa_messages.package_error(esipa_messages.NO_PACKAGE, dialect)
        return self._hand_out(device, order, dialect, now_s)

    def _hand_out(self, device: Device, order: Order, dialect: str, now_s: float) -> bytes:
        again = order.package is not None
        package = order.package
        if package is None or (self.settings.resend == "fresh" and order.kind in ("psmo", "eco")):
            package = order.package = self._build(device, order, dialect)
        order.state = HANDED_OUT
        self._note(
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

    def _build(self, device: Device, order: Order, dialect: str) -> bytes:
        transaction_id = None if order.faults.no_transaction_id else order.transaction_id
        if order.data is not None:
            return order.data.encode(transaction_id, dialect=dialect)
        if order.kind == "trigger":
            if self.settings.only_v1_0:
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
            faults.eim_id or self.identity.eim_id, eid_bytes(faults.eid or device.eid), order.counter, transaction_id
        )
        return euicc_package(
            head,
            order.kind,
            order.operations,
            key=self.identity.signing_key,
            token=device.token,
            signature_form=faults.signature,
        )

    # ProvideEimPackageResult

    def _provide_result(self, message: ProvideResult, now_s: float, peer: str) -> bytes | None:
        """The answer; None for a result of nobody in v1.0, which has no error for that."""
        device, error = self._device_of(message, peer)
        if device is None and self._dialect(esipa_messages.V1_2) == esipa_messages.V1_0:
            device = esipa_v1_0.device_by_transaction(self.devices.values(), message.result)
        if device is None:
            self._note(now_s, None, "result of nobody", error=error, raw=_shown(message.result))
            if self._dialect(esipa_messages.V1_2) == esipa_messages.V1_0:
                return None
            return esipa_messages.result_error(error, esipa_messages.V1_2)
        device.dialect = message.dialect or device.dialect
        dialect = self._dialect(device.dialect)
        judgement = self._judge(device, message, now_s, "result")
        if judgement.discarded is not None:
            if self.settings.discard_answer == "error":
                return esipa_messages.result_error(esipa_messages.UNDEFINED, dialect)
            discarded = judgement.discarded_numbers if self.settings.discard_answer == "acknowledge" else []
            return esipa_messages.acknowledgement(discarded, dialect)
        numbers = list(dict.fromkeys(judgement.acknowledge))
        if self.settings.only_v1_0:
            return esipa_messages.acknowledgement([], esipa_messages.V1_0)
        if self.settings.acknowledgement == "empty":
            return esipa_messages.acknowledgement([], dialect)
        if numbers:
            self._note(now_s, device.eid, "acknowledged", numbers=numbers)
        return esipa_messages.acknowledgement(numbers, dialect)

    def _refusal_of(self, message: ProvideResult, now_s: float, peer: str) -> Reply | None:
        """What a result gets whose order has ``eim_faults.result``; None for all others."""
        device, _ = self._device_of(message, peer)
        order = None if device is None else result_judgement.order_of(device, message.result)
        if device is None or order is None or order.faults.result is None:
            return None
        answer = order.faults.result
        self._note(now_s, device.eid, "result refused", order=order.label, answer=answer, raw=_shown(message.result))
        if answer == "garbage":
            return Reply(GARBAGE)
        if answer == "crash":
            return Reply(lost="crash")
        if "." in answer or int(answer) >= 400:
            return Reply(code=answer)
        return Reply(esipa_messages.result_error(int(answer), self._dialect(device.dialect)))

    def refuse_results(self, order: Order, answer: str = "127", *, again: bool = False) -> None:
        """Take no result of this order from now on; see ``PackageFaults.result``."""
        order.faults = replace(order.faults, result=answer, again=again)
        self._save()

    def take_results(self) -> None:
        """Take the results of every order again."""
        for device in self.devices.values():
            for order in device.queue:
                order.faults = replace(order.faults, result=None, again=False)
        self._save()

    def _device_of(self, message: ProvideResult, peer: str) -> tuple[Device | None, int]:
        if message.eid is None:
            eid = self._peers.get(peer)  # v1.0 has no EID here: the connection tells
            return (
                (self.devices.get(eid), esipa_messages.EID_NOT_FOUND)
                if eid is not None
                else (None, esipa_messages.MISSING_EID)
            )
        if len(message.eid) != 16:
            return None, esipa_messages.INVALID_EID
        eid = message.eid.hex().upper()
        self._remember_peer(peer, eid)
        return self.devices.get(eid), esipa_messages.EID_NOT_FOUND

    def _judge(self, device: Device, message: ProvideResult, now_s: float, kind: str) -> result_judgement.Judgement:
        settings = self.settings
        rules = result_judgement.Rules(
            self.identity.eim_id,
            strict_sequence=settings.strict_sequence,
            require_key=settings.require_key,
            learn=settings.learn,
        )
        judgement = result_judgement.judge(device, message.result, rules)
        order = judgement.order
        if judgement.discarded is None and order is not None:
            device.finish(order, ok=judgement.ok)
        self._note(
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
                self._note(now_s, None, "result by notification", error=error, raw=_shown(message.result.result))
            else:
                self._judge(device, message.result, now_s, "result by notification")
            yield from self._forward(result_judgement.carried_notifications(message.result.result), now_s, peer)
        elif message.notification is not None:
            node = message.notification
            session = None if self.relay is None else self.relay.session_of(node)
            known = None if session is None else session.device.eid
            eid = known or result_judgement.certificate_eid(node) or self._peers.get(peer)
            device = None if eid is None else self.devices.get(eid)
            if device is not None and node.tag == 0xBF37 and _refuses_downloads(device):
                self._note(now_s, eid, "result refused", answer="5.00", raw=_shown(node))
                return Reply(code="5.00")
            self._note(
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
            if not delivered and self.settings.undelivered == "refused":
                return Reply(code="5.02")
        return Reply()

    def _forward(self, nodes: list[Node], now_s: float, peer: str, device: Device | None = None) -> Steps[bool]:
        """Hand notifications on to their receivers; whether all took them."""
        if self.relay is None:
            return True
        device = device or self.devices.get(self._peers.get(peer, ""))
        all_taken = True
        for node in nodes:
            why = yield from self.relay.forward(node, device)
            eid = None if device is None else device.eid
            self._note(
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

    # Faults, spelling, bookkeeping

    def _instead_of_processing(self, fault: Fault, function: str, message: esipa_messages.Message) -> Reply:
        match fault.action:
            case "refuse":
                code = fault.value if isinstance(fault.value, int) else esipa_messages.UNDEFINED
                if function == "get":
                    return Reply(self._spell(esipa_messages.package_error(code, self._dialect(esipa_messages.V1_2))))
                if function == "result":
                    return Reply(self._spell(esipa_messages.result_error(code, self._dialect(esipa_messages.V1_2))))
                if isinstance(message, OtherFunction) and message.node.tag in esipa_messages.ERROR_TAG:
                    return Reply(esipa_messages.function_error(message.node.tag, code))
                return Reply(code="5.00")
            case "redirect":
                return Reply(code="5.00", wire=("redirect", fault.value))
            case "busy":
                return Reply(code="5.03", max_age_s=int(fault.value) if isinstance(fault.value, int | float) else 60)
            case "status":
                return Reply(code=str(fault.value or "5.00"))
            case "crash-before":
                return Reply(lost="crash")
            case _:
                return Reply(lost="silence")

    def _after_processing(self, fault: Fault, function: str, body: bytes) -> Reply:
        match fault.action:
            case "wrong":
                other = esipa_messages.acknowledgement([], esipa_messages.V1_2)
                return Reply(
                    esipa_messages.package_error(esipa_messages.NO_PACKAGE, esipa_messages.V1_2)
                    if function == "result"
                    else other
                )
            case "empty":
                return Reply()
            case "garbage":
                return Reply(GARBAGE)
            case "truncated":
                return Reply(body[:-1])
            case "late":
                return Reply(body, delay_s=float(fault.value) if isinstance(fault.value, int | float) else 1.0)
            case "acknowledge":
                numbers = list(fault.value) if isinstance(fault.value, tuple) else []
                return Reply(self._spell(esipa_messages.acknowledgement(numbers, self._dialect(esipa_messages.V1_2))))
            case "crash-after":
                return Reply(body, lost="crash")
            case _:
                return Reply(body, lost="silence")

    def _spell(self, answer: bytes) -> bytes:
        if self.settings.double_tags and answer[:2] in (b"\xbf\x4f", b"\xbf\x50"):
            return esipa_messages.written_twice(answer)
        return answer

    def _dialect(self, of_request: str) -> str:
        chosen = of_request if self.settings.dialect == "auto" else self.settings.dialect
        return esipa_messages.V1_0 if chosen == esipa_messages.V1_0 else esipa_messages.V1_2

    def _remember_peer(self, peer: str, eid: str) -> None:
        self._peers.pop(peer, None)
        self._peers[peer] = eid
        while len(self._peers) > MAX_PEERS:
            del self._peers[next(iter(self._peers))]

    def _note(self, now_s: float, eid: str | None, kind: str, **facts: Any) -> None:
        said = {name: value for name, value in facts.items() if value is not None}
        entry = {"at": now_s, "eid": eid, "kind": kind, **said}
        self.history.append(entry)
        self.noted += 1
        for listener in self.listeners:
            listener(entry)

    def _note_and_save(self, now_s: float, eid: str | None, kind: str, **facts: Any) -> None:
        self._note(now_s, eid, kind, **facts)
        self._save()

    def _save(self) -> None:
        if self._store is not None:
            self._store.save(self.devices, list(self.history))


def _refuses_downloads(device: Device) -> bool:
    """Whether the download that is under way is one whose result is not taken, on whatever way it comes."""
    handed_out = [order for order in device.queue if order.kind == "trigger" and order.state == HANDED_OUT]
    return any(order.faults.result is not None for order in handed_out)


def _shown(node: Node) -> str:
    text = node.raw[:MAX_SHOWN_BYTES].hex().upper()
    return text if len(node.raw) <= MAX_SHOWN_BYTES else f"{text}… ({len(node.raw)} bytes)"


def _function_name(message: esipa_messages.Message) -> str:
    match message:
        case GetPackage():
            return "get"
        case ProvideResult():
            return "result"
        case HandleNotification():
            return "notification"
        case OtherFunction(node):
            return FUNCTION_OF_TAG.get(node.tag, f"{node.tag:X}")


async def _noted(later: Callable[[], Awaitable[Reply]]) -> Reply:
    reply = await later()
    message_record.note("eim-answer", reply.body)
    return reply
