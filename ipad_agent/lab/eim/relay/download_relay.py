"""The relay of an indirect profile download: ESipa on one side, ES9+' or ES11' on the other (SGP.32 v1.2 §3.2.3.2).

    relay = Relay(Servers({"smdp.lab.example": MemoryEs9(smdp)}))
    eim = VirtualEim(identity, relay=relay)

What the card signed goes on as the slice that came; only compact forms are put together again. Every request gets an
answer: what has no better name is undefinedError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim import esipa_messages
from ipad_agent.lab.eim.device_records import HANDED_OUT, Device, Order
from ipad_agent.lab.eim.errors import CompactError, Es9Error, Es9RefusedError
from ipad_agent.lab.eim.orders.download_target import Target, target_of
from ipad_agent.lab.eim.orders.package_bytes import download_trigger
from ipad_agent.lab.eim.results.result_description import number

from . import compact_forms, relay_status
from .compact_forms import KnownCard, KnownSession
from .es9_calls import (
    Es9Call,
    Json,
    Servers,
    Steps,
    encoded,
    optional_tlv_field,
    same_server,
    tlv_field,
    transaction_field,
)
from .metadata_check import bound_metadata, policy_rules
from .relay_session import RspSession, RspSessions, registered_id

INITIATE, AUTHENTICATE = esipa_messages.INITIATE_AUTHENTICATION, esipa_messages.AUTHENTICATE_CLIENT
GET_PACKAGE, CANCEL = esipa_messages.GET_BOUND_PROFILE_PACKAGE, esipa_messages.CANCEL_SESSION
FUNCTION_NAMES = {
    INITIATE: "initiateAuthentication",
    AUTHENTICATE: "authenticateClient",
    GET_PACKAGE: "getBoundProfilePackage",
    CANCEL: "cancelSession",
}
MAKES_CONTEXT, CHECKS_METADATA, MINIMIZES = 3, 4, 5
"""ipaFeatures bits: eimCtxParams1Generation, eimProfileMetadataVerification, minimizeEsipaBytes."""
POSTPONED, PPR_NOT_ALLOWED, METADATA_MISMATCH = 1, 3, 4
"""CancelSessionReason."""


@dataclass(slots=True)
class RelaySettings:
    """Habits; ``auto`` looks at what the IPA said of itself (ipaCapabilities), the rest is ``always`` or ``never``.

    ``minimize`` leaves transactionId out of answers, ``make_context`` puts ctxParams1 in, ``check_metadata`` compares
    and leaves metadata out; ``matching_id`` goes along when this eIM keeps the download data. ``default_smdp`` and
    ``root_smds`` are addresses for orders that name none. ``pkid_bytes`` cuts euiccCiPKIdentifierToBeUsed.
    ``forbidden_ppr`` are rule bits that no profile may have. ``unordered`` serves downloads that nobody ordered.
    ``release`` says in which release's way an order that expired (8.8.5/4.10) is told, ``1.0`` to ``1.3``; ``auto``
    looks at the eIM's dialect and at the IPA's. Since v1.3 AuthenticateClient tells it (18) and GetBoundProfilePackage
    has no number for it any more; before, it was the other way round (6).
    """

    minimize: str = "auto"
    make_context: str = "auto"
    check_metadata: str = "auto"
    matching_id: str = "auto"
    default_smdp: str | None = None
    root_smds: str | None = None
    pkid_bytes: int | None = None
    forbidden_ppr: frozenset[int] = frozenset()
    unordered: bool = False
    release: str = "auto"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the devices of this eIM, the one that polled on this connection, and what the relay may do to them.

    ``note(eid, kind, **facts)`` writes history, ``enqueue`` is ``VirtualEim.enqueue``. ``dialect`` is the one that the
    eIM is held to, ``auto`` for none.
    """

    devices: dict[str, Device]
    device: Device | None
    note: Callable[..., None] = field(repr=False)
    enqueue: Callable[[str, Order], Order] = field(repr=False)
    dialect: str = "auto"


@dataclass(slots=True)
class _Work:
    """One function being answered: for whom, for which order, and what the history shall say."""

    caller: Caller
    facts: dict[str, Any]
    device: Device | None = None
    order: Order | None = None

    def is_for(self, device: Device, order: Order | None) -> None:
        self.device, self.order = device, order
        self.facts["order"] = None if order is None else order.label

    def note(self, *, ok: bool) -> None:
        self.caller.note(None if self.device is None else self.device.eid, "rsp", ok=ok, **self.facts)


class _StopError(Exception):
    """The function ends with this error."""

    def __init__(self, error: int, why: str, code: str | None = None) -> None:
        super().__init__(why)
        self.error = error
        self.code = code


class Relay:
    """Answers the four RSP functions. ``sessions`` are those that were begun, ``servers`` who is asked."""

    def __init__(self, servers: Servers, settings: RelaySettings | None = None) -> None:
        self.servers = servers
        self.settings = settings or RelaySettings()
        self.sessions = RspSessions()
        self._events: dict[int, tuple[Order, Target]] = {}

    def answer(self, request: Node, caller: Caller) -> Steps[bytes]:
        """The whole response to one of ``FUNCTION_NAMES``; never raises for what a client or a server sent."""
        tag = request.tag
        do = {
            INITIATE: self._initiate,
            AUTHENTICATE: self._authenticate,
            GET_PACKAGE: self._get_package,
            CANCEL: self._cancel,
        }[tag]
        work = _Work(caller, {"function": FUNCTION_NAMES[tag]})
        facts = work.facts
        try:
            body = yield from do(request, work)
            work.note(ok=True)
            return der.tlv(tag, body)
        except _StopError as stop:
            error, facts["why"], facts["status"] = stop.error, str(stop), stop.code
        except Es9RefusedError as refusal:
            error = relay_status.error_for(tag, refusal.code, older=self._is_older(work))
            facts["why"], facts["status"] = str(refusal), refusal.code
            self._end_order(work)
        except (Es9Error, CompactError, DerError) as problem:
            error, facts["why"] = esipa_messages.UNDEFINED, str(problem)
        facts["error"] = f"{relay_status.name_for(tag, error)}({error})"
        work.note(ok=False)
        return esipa_messages.function_error(tag, error)

    def _is_older(self, work: _Work) -> bool:
        """Whether this IPA is told of an expired order as before v1.3."""
        for release in (self.settings.release, work.caller.dialect):
            if release != "auto":
                return release != "1.3"
        device = work.device or work.caller.device
        return device is not None and device.dialect == esipa_messages.V1_0

    # InitiateAuthentication (§5.12.1)

    def _initiate(self, request: Node, work: _Work) -> Steps[bytes]:
        challenge = request.get(0x81).value
        if len(challenge) != 16:
            raise _StopError(esipa_messages.UNDEFINED, f"euiccChallenge has {len(challenge)} bytes")
        given = request.find(0x83)
        device, order = self._order(request.find(0x82), work.caller)
        work.is_for(device, order)
        target = self._target(order, None if given is None else given.text())
        address = given.text() if given is not None else target.address
        if not address:
            raise _StopError(esipa_messages.UNDEFINED, "neither the IPA nor the order says which server")
        work.facts["server"] = address
        info1 = request.find(0xBF20)
        info1_bytes = device.euicc_info1 if info1 is None else info1.raw
        if info1_bytes is None:
            raise _StopError(esipa_messages.UNDEFINED, "euiccInfo1 is left out and not known")
        device.euicc_info1 = info1_bytes
        answer = yield Es9Call(
            address,
            "initiateAuthentication",
            {"euiccChallenge": encoded(challenge), "smdpAddress": address, "euiccInfo1": encoded(info1_bytes)},
        )
        signed = tlv_field(answer, 0x30, "serverSigned1")
        certificate = tlv_field(answer, 0x30, "serverCertificate")
        server_oid = registered_id(certificate.raw)
        if target.oid is not None and server_oid != target.oid:
            raise _StopError(relay_status.OID_MISMATCH, f"the server is {server_oid}, ordered was {target.oid}")
        server_address = signed.get(0x83).text()
        if not same_server(server_address, address):
            raise _StopError(relay_status.ADDRESS_MISMATCH, f"the server calls itself {server_address!r}")
        transaction_id = signed.get(0x80).value
        # A server that says one thing and signs another is for the IPA to notice.
        told_transaction_id = transaction_field(answer) or transaction_id
        context = self._context(device, target)
        known = KnownSession(
            transaction_id,
            server_address=server_address,
            server_challenge=signed.get(0x84).value,
            context=context,
            server_oid=server_oid,
        )
        self.sessions.add(told_transaction_id, RspSession(device, order, target, address, known))
        work.facts["transactionId"] = transaction_id.hex().upper()
        pkid = tlv_field(answer, 0x04, "euiccCiPKIdToBeUsed", "euiccCiPKIdentifierToBeUsed").value
        return der.tlv(
            0xA0,
            self._transaction(device, told_transaction_id),
            signed.raw,
            tlv_field(answer, 0x5F37, "serverSignature1").raw,
            der.octets(pkid[: self.settings.pkid_bytes]),
            certificate.raw,
            der.utf8(target.matching_id or "") if self._tells_matching_id(order, given) else b"",
            b"" if context is None else der.tlv(0xA2, context),
        )

    def _order(self, transaction: Node | None, caller: Caller) -> tuple[Device, Order | None]:
        """The order by eimTransactionId; without one (v1.0) it is what the device on this connection was given."""
        if transaction is not None:
            for device in caller.devices.values():
                for order in device.queue:
                    if order.kind == "trigger" and order.transaction_id == transaction.value:
                        return device, order
            raise _StopError(
                relay_status.INVALID_EIM_TRANSACTION, f"no order has eimTransactionId {transaction.value.hex().upper()}"
            )
        head = caller.device.queue[0] if caller.device is not None and caller.device.queue else None
        if caller.device is not None and head is not None and head.kind == "trigger" and head.state == HANDED_OUT:
            return caller.device, head
        if caller.device is not None and self.settings.unordered:
            return caller.device, None
        raise _StopError(relay_status.INVALID_EIM_TRANSACTION, "no eimTransactionId, and no order was handed out here")

    def _target(self, order: Order | None, given: str | None) -> Target:
        """What the order says, or the event that an SM-DS had for it; smdpAddressMismatch when ``given`` is neither."""
        if order is None:
            return Target("smdp", given)
        targets = [target for one, target in self._events.values() if one is order] + [target_of(order.code)]
        if given is None:
            target = targets[0]
            fallback = {"default": self.settings.default_smdp, "smds": self.settings.root_smds}.get(target.kind)
            return Target(target.kind, target.address or fallback, target.matching_id, target.oid)
        for target in targets:
            # Only the card knows its default SM-DP+ and root SM-DS, so any address may be right.
            if target.address is None or same_server(target.address, given):
                return target
        raise _StopError(
            relay_status.ADDRESS_MISMATCH, f"the IPA wants {given!r}, ordered was {targets[0].address!r}", "8.8.1/3.10"
        )

    def _tells_matching_id(self, order: Order | None, given: Node | None) -> bool:
        held = order is not None and order.held
        return _switch(self.settings.matching_id, held or given is None)

    def _context(self, device: Device, target: Target) -> bytes | None:
        """ctxParams1 { A0 } when the IPA leaves it to us and the device is known well enough."""
        wanted = _switch(self.settings.make_context, MAKES_CONTEXT in device.features)
        if not wanted or device.device_info is None:
            return None
        matching_id = b"" if target.matching_id is None else der.utf8(target.matching_id, 0x80)
        return der.tlv(0xA0, matching_id, der.tlv(0xA1, device.device_info))

    # AuthenticateClient (§5.12.2)

    def _authenticate(self, request: Node, work: _Work) -> Steps[bytes]:
        session = self._session(request, relay_status.INVALID_TRANSACTION, work)
        response = request.get(0xBF38)
        full = response.raw
        if compact_forms.is_compact(response):
            full = compact_forms.authenticate_response(response, _known_card(session.device), session.known)
            work.facts["compact"] = True
        _remember_certificates(session.device, der.parse(full, ber=True))
        answer = yield self._call(session, "authenticateClient", authenticateServerResponse=encoded(full))
        if "eventEntries" in answer:
            return self._events_found(session, answer, work)
        signed = tlv_field(answer, 0x30, "smdpSigned2")
        certificate = tlv_field(answer, 0x30, "smdpCertificate")
        metadata = optional_tlv_field(answer, 0xBF25, "profileMetadata", "profileMetaData")
        otpk = signed.find(0x5F49)
        session.learn(otpk=None if otpk is None else otpk.value)
        if metadata is not None:
            iccid = metadata.find(0x5A)
            session.metadata = metadata.raw
            session.learn(iccid=None if iccid is None else iccid.value)
            forbidden = policy_rules(metadata) & self.settings.forbidden_ppr
            if forbidden:
                session.learn(cancel_reason=PPR_NOT_ALLOWED)
                raise _StopError(
                    relay_status.PPR_NOT_ALLOWED, f"profile policy rules {sorted(forbidden)} are forbidden"
                )
        told = b"" if metadata is None or self._checks_metadata(session.device) else metadata.raw
        return der.tlv(
            0xA0,
            self._transaction(session.device, session.known.transaction_id),
            told,
            signed.raw,
            tlv_field(answer, 0x5F37, "smdpSignature2").raw,
            certificate.raw,
            self._hash_cc(session, signed),
        )

    @staticmethod
    def _hash_cc(session: RspSession, signed: Node) -> bytes:
        """SHA-256 of SHA-256 of the code and the transaction, when the server asks for a code and we have one."""
        code = None if session.order is None else session.order.confirmation_code
        required = signed.find(0x01)
        if code is None or required is None or not required.boolean():
            return b""
        inner = hashlib.sha256(code.encode()).digest()
        return der.octets(hashlib.sha256(inner + session.known.transaction_id).digest())

    def _events_found(self, session: RspSession, answer: Json, work: _Work) -> bytes:
        """The first event is handed out as a trigger; more of them are queued behind it."""
        targets = []
        entries = answer["eventEntries"]
        for entry in entries if isinstance(entries, list) else []:
            fields = entry if isinstance(entry, dict) else {}
            event, address = (_told(fields.get(name)) for name in ("eventId", "rspServerAddress"))
            if event is None or address is None:
                raise Es9Error(f"an event has no eventId and rspServerAddress: {entry!r}")
            targets.append(Target("smdp", address, event))
        if not targets:
            raise _StopError(relay_status.EVENT_UNKNOWN, "the SM-DS has no event for this card")
        work.facts["events"] = [f"{one.matching_id} at {one.address}" for one in targets]
        order = session.order
        held = order is not None and order.held
        self._events = {key: kept for key, kept in self._events.items() if kept[0].state == HANDED_OUT}
        if order is not None:
            self._events[id(order)] = (order, targets[0])
        for target in targets[1:]:
            further = Order("trigger", f"event {target.matching_id}", code=target.code, held=held)
            work.caller.enqueue(session.device.eid, further)
        transaction_id = None if order is None else order.transaction_id
        trigger = download_trigger("none" if held else targets[0].code, transaction_id)
        return der.tlv(0xA1, der.octets(session.known.transaction_id, 0x80), trigger)

    # GetBoundProfilePackage (§5.12.3)

    def _get_package(self, request: Node, work: _Work) -> Steps[bytes]:
        session = self._session(request, relay_status.BPP_INVALID_TRANSACTION, work)
        response = request.get(0xBF21)
        full = response.raw
        if compact_forms.is_compact(response):
            full = compact_forms.prepare_download_response(response, session.known)
            work.facts["compact"] = True
        answer = yield self._call(session, "getBoundProfilePackage", prepareDownloadResponse=encoded(full))
        package = tlv_field(answer, 0xBF36, "boundProfilePackage")
        if self._checks_metadata(session.device) and session.metadata is not None:
            inside = bound_metadata(package)
            if inside != session.metadata:
                session.learn(cancel_reason=METADATA_MISMATCH)
                raise _StopError(relay_status.METADATA_MISMATCH, "the metadata in the package is not what was shown")
        work.facts["bytes"] = len(package.raw)
        return der.tlv(0xA0, self._transaction(session.device, session.known.transaction_id), package.raw)

    # CancelSession (§5.12.4)

    def _cancel(self, request: Node, work: _Work) -> Steps[bytes]:
        session = self._session(request, relay_status.CANCEL_INVALID_TRANSACTION, work)
        inner = request.get(0xA1)
        nested = inner.children
        if len(nested) == 1 and nested[0].tag == 0xBF41:
            inner = nested[0]  # the response's own tag was kept inside
        # The response has its own tag again towards the server.
        full = der.tlv(0xBF41, inner.value)
        if compact_forms.is_compact(inner):
            full = compact_forms.cancel_session_response(inner, session.known)
            work.facts["compact"] = True
        reason = _cancel_reason(der.parse(full, ber=True))
        work.facts["reason"] = reason
        yield self._call(session, "cancelSession", cancelSessionResponse=encoded(full))
        if reason != POSTPONED:
            self._end_order(work)
        return der.tlv(0xA0)

    # Notifications (§5.12.5)

    def session_of(self, notification: Node) -> RspSession | None:
        """The session that an installation result, full or compact, belongs to."""
        try:
            data = notification.get(0xBF27 if notification.tag == 0xBF37 else 0xA0)
            transaction = data.get(0x80)
        except DerError:
            return None
        return self.sessions.get(transaction.value)

    def forward(self, notification: Node, device: Device | None) -> Steps[str | None]:
        """Hand a PendingNotification to its receiver; None when that took it, else what was in the way."""
        try:
            raw = notification.raw
            if notification.tag == 0xA0:
                session = self.session_of(notification)
                if session is None:
                    return "the session is not known"
                raw = compact_forms.installation_result(notification, session.known)
            elif notification.tag == 0xA1:
                raw = compact_forms.other_notification(notification, _known_card(device))
            full = der.parse(raw, ber=True)
            data = full.get(0xBF27) if full.tag == 0xBF37 else full
            address = data.get(0xBF2F).get(0x0C).text()
            yield Es9Call(address, "handleNotification", {"pendingNotification": encoded(raw)})
        except (Es9Error, CompactError, DerError) as problem:
            return str(problem)
        return None

    # Common

    def _session(self, request: Node, unknown: int, work: _Work) -> RspSession:
        transaction = request.get(0x80).value
        work.facts["transactionId"] = transaction.hex().upper()
        session = self.sessions.get(transaction)
        if session is None:
            raise _StopError(unknown, "the transaction is not known")
        work.is_for(session.device, session.order)
        work.facts["server"] = session.address
        return session

    @staticmethod
    def _call(session: RspSession, function: str, **fields: str) -> Es9Call:
        transaction = session.known.transaction_id.hex().upper()
        return Es9Call(session.address, function, {"transactionId": transaction, **fields})

    def _end_order(self, work: _Work) -> None:
        """It will not be handed out again: the server refuses, or the IPA does not want it."""
        if work.device is not None and work.order is not None:
            self._events.pop(id(work.order), None)
            work.device.finish(work.order, ok=False)

    def _transaction(self, device: Device, transaction_id: bytes) -> bytes:
        minimized = _switch(self.settings.minimize, MINIMIZES in device.features)
        return b"" if minimized else der.octets(transaction_id, 0x80)

    def _checks_metadata(self, device: Device) -> bool:
        return _switch(self.settings.check_metadata, CHECKS_METADATA in device.features)


def _switch(setting: str, auto: bool) -> bool:
    return auto if setting == "auto" else setting == "always"


def _told(value: object) -> str | None:
    """A text that can go into a message: JSON can escape half a character, which no UTF8String holds."""
    return value if isinstance(value, str) and value.isprintable() else None


def _known_card(device: Device | None) -> KnownCard:
    if device is None:
        return KnownCard()
    return KnownCard(device.euicc_info2, device.euicc_certificate, device.eum_certificate)


def _remember_certificates(device: Device, response: Node) -> None:
    """Later compact forms may leave them out."""
    found = response.find(0xA0)
    certificates = [] if found is None else [one.raw for one in found.children if one.tag == 0x30][1:]
    if len(certificates) == 2:
        device.euicc_certificate, device.eum_certificate = certificates


def _cancel_reason(response: Node) -> int | None:
    done = response.find(0xA0)
    return None if done is None else number(done.path(0x30, 0x82))
