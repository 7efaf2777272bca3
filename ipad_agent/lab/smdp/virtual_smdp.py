"""The SM-DP+: ES9+ functions over a book of orders (SGP.22 §5.6).

    smdp = VirtualSmdp(ServerIdentity.smdp(pki))
    smdp.orders.add(Order("MATCHING-1", ProfilePackage.sample(Metadata("89490200001000000011"))))
    smdp.faults.arm(Fault("getBoundProfilePackage", "bpp-mac", 3))
    reply = smdp.handle("initiateAuthentication", {...})

What a client sends never raises; see ``RspServer.handle``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.bpp_protection import BspError, BspKeys
from ipad_agent.lab.pki import verify_raw
from ipad_agent.lab.smdp.profile.bpp_binding import BindingInput, bind
from ipad_agent.lab.smdp.profile.profile_metadata import TEST, ProfilePackage

from . import es9_json, status_words
from .download_orders import Binding, Order, OrderBook, OrderState
from .errors import RefusalError
from .euicc_chain import EuiccCredentials
from .received_notifications import INSTALL_RESULT, NotificationRecord, read_notification, verify
from .rsp_server import Authenticated, Reply, RspServer, ServerSettings
from .smdp_faults import CANCEL, GET_PACKAGE, NOTIFY, Faults
from .smdp_identity import ServerIdentity, sign
from .smdp_session import Session, Step
from .status_words import Status

_POSTPONED, _TIMEOUT = 1, 2
_TEST_PROFILE_SUPPORT = 3
_ELIGIBILITY, _CODE, _DOWNLOAD, _INSTALLATION = 1, 2, 3, 4
UNSIGNED_CANCEL = ("refuse", "accept", "empty")


@dataclass(frozen=True, slots=True)
class SmdpSettings(ServerSettings):
    """``empty_matching_id`` False: an absent or empty matching ID is refused, as a well-known test server does.

    ``unsigned_cancel``: what a cancelSessionResponseError gets: ``refuse`` (8.1/6.1), ``accept``, or an ``empty`` 200.
    ``empty_cancel``: every cancel that is right gets an empty 200. ``notification_status`` is 204, or 200 as from some.
    ``check_memory`` compares the card's free memory with what the package needs. ``host_id``: 1 to 16 bytes.
    ``expired_at_package``: an order that expires during a download is refused at its package too (8.8.5/4.10); since
    SGP.32 v1.3 and the SGP.22 that goes with it only authenticateClient tells it.
    """

    empty_matching_id: bool = True
    unsigned_cancel: str = "refuse"
    empty_cancel: bool = False
    notification_status: int = 204
    check_memory: bool = True
    host_id: bytes = b"LAB-SMDP"
    expired_at_package: bool = False

    def __post_init__(self) -> None:
        # super() finds no class here: slots make the decorator build another one.
        ServerSettings.__post_init__(self)
        if self.unsigned_cancel not in UNSIGNED_CANCEL:
            raise ValueError(f"{self.unsigned_cancel!r} is none of {', '.join(UNSIGNED_CANCEL)}")


class VirtualSmdp(RspServer):
    """``orders`` may be changed at any time; ``notifications`` are in the order they first came."""

    def __init__(
        self,
        identity: ServerIdentity,
        settings: SmdpSettings | None = None,
        **more: Any,
    ) -> None:
        self.settings = settings or SmdpSettings()
        super().__init__(identity, self.settings, **more)
        self.orders = OrderBook()
        self.notifications: list[NotificationRecord] = []
        self.functions |= {
            GET_PACKAGE: self._get_bound_profile_package,
            NOTIFY: self._handle_notification,
            CANCEL: self._cancel_session,
        }
        self.on_notification: Callable[[NotificationRecord], None] | None = None
        self.on_order_ended: Callable[[Order], None] | None = None
        """Told an order whose profile is installed, or that will not be given out again."""
        self.on_progress: Callable[[Order, int, Status | None, str | None], None] | None = None
        """Told the points of a download as ES2+ counts them (1 to 4), with the refusal if it was one, and the EID."""

    # authenticateClient (SGP.22 §5.6.3)

    def _authenticated(self, session: Session, card: Authenticated, faults: Faults) -> es9_json.Json:
        order = self._find_order(card)
        try:
            self._check_order(order, card)
        except RefusalError as refusal:
            self._progress(order, _ELIGIBILITY, refusal.status, card.euicc.eid)
            raise
        self._progress(order, _ELIGIBILITY, None, card.euicc.eid)
        if session.order is not order:
            order.attempts += 1
        session.order = order
        session.code_required = order.confirmation_code is not None
        signed = self._signed2(session, order, card.euicc.eid, faults)
        shown = signer = session.signers.binder
        if "wrong-certificate" in faults:
            shown = signer = session.signers.instead_of(signer, str(faults.value("wrong-certificate", "foreign")))
        if "certificate-shown" in faults:
            shown = session.signers.instead_of(signer, str(faults.value("certificate-shown", "dpauth")))
        signature = self._signature(sign(signer, signed + card.signature), faults)
        session.smdp_signature2 = signature
        session.step = Step.AUTHENTICATED
        metadata = faults.value("metadata", order.package.metadata).encode()
        return es9_json.answer(
            {
                "transactionId": self._other(session.transaction_id, faults, "wrong-transaction").hex().upper(),
                "profileMetadata": es9_json.b64(metadata),
                "smdpSigned2": es9_json.b64(signed),
                "smdpSignature2": es9_json.b64(signature),
                "smdpCertificate": es9_json.b64(shown.cert_der),
            }
        )

    def _signed2(self, session: Session, order: Order, eid: str, faults: Faults) -> bytes:
        """smdpSigned2; the one-time key is offered to the card that the package is bound to (SGP.22 §3.1.3.2)."""
        otpk = b""
        bound = order.binding
        if bound is not None and order.reuse_otpk and bound.eid == eid:
            otpk = der.octets(bound.euicc_otpk, 0x5F49)
        if "wrong-otpk" in faults:
            otpk = der.octets(bytes(faults.value("wrong-otpk", b"\x04" + b"\x11" * 64)), 0x5F49)
        return der.seq(
            der.octets(self._other(session.transaction_id, faults, "signed-transaction"), 0x80),
            der.boolean(session.code_required != ("wrong-cc-flag" in faults)),
            otpk,
        )

    def _find_order(self, card: Authenticated) -> Order:
        order = None
        if card.matching_id:
            order = self.orders.by_matching_id(card.matching_id)
        elif self.settings.empty_matching_id:
            order = self.orders.reserved_for(card.euicc.eid)
        if order is None:
            raise RefusalError(status_words.MATCHING_ID_REFUSED)
        return order

    def _check_order(self, order: Order, card: Authenticated) -> None:
        if order.eid is not None and order.eid != card.euicc.eid:
            raise RefusalError(status_words.EID_MISMATCH)
        if not order.released:
            raise RefusalError(status_words.NOT_RELEASED)
        if order.state is OrderState.INSTALLED or (order.state is OrderState.ERROR and order.final_on_error):
            raise RefusalError(status_words.MATCHING_ID_REFUSED, f"the order is {order.state.value}")
        if order.expires is not None and self.clock() > order.expires:
            raise RefusalError(status_words.ORDER_EXPIRED)
        if order.max_attempts is not None and order.attempts >= order.max_attempts:
            raise RefusalError(status_words.ORDER_RETRIES)
        self._check_card(order.package, card.info2)

    def _check_card(self, package: ProfilePackage, info2: der.Node) -> None:
        """Whether the profile fits the card (SGP.22 §5.6.3): rules it forbids, test profiles, memory."""
        forbidden = info2.find(0x99)
        if forbidden is not None and forbidden.bits() & set(package.metadata.ppr):
            raise RefusalError(status_words.NO_ELIGIBLE_PROFILE, "the eUICC forbids a policy rule of the profile")
        if package.metadata.profile_class == TEST and _TEST_PROFILE_SUPPORT not in info2.get(0x88).bits():
            raise RefusalError(status_words.NO_ELIGIBLE_PROFILE, "the eUICC takes no test profiles")
        if not self.settings.check_memory:
            return
        resources = info2.find(0x84)
        try:
            told = [] if resources is None else der.parse_all(resources.value)
        except der.DerError:
            return  # extCardResource is the card's own business: what is no TLV says nothing of the memory
        free = next((node for node in told if node.tag == 0x82), None)
        if free is not None and int.from_bytes(free.value, "big") < package.memory_bytes:
            raise RefusalError(status_words.NO_MEMORY)

    # getBoundProfilePackage (SGP.22 §5.6.2)

    def _get_bound_profile_package(self, body: Mapping[str, Any], faults: Faults) -> es9_json.Json:
        transaction_id = es9_json.transaction_id(body)
        response = self._node(body, "prepareDownloadResponse", 0xBF21)
        again = () if self.settings.strict_sequence else (Step.BOUND,)
        session = self._session(transaction_id, Step.AUTHENTICATED, *again)
        try:
            package = self._bind(session, response, faults)
        except RefusalError as refusal:
            # A person may mistype a confirmation code and try again in the same session (SGP.22 §3.1.3).
            if refusal.status not in (status_words.CODE_MISSING, status_words.CODE_REFUSED):
                session.step = Step.REFUSED
            if session.order is not None:
                code = refusal.status.subject == status_words.CODE_REFUSED.subject
                eid = session.euicc.eid if session.euicc is not None else None
                self._progress(session.order, _CODE if code else _DOWNLOAD, refusal.status, eid)
            raise
        if session.order is not None and session.euicc is not None:
            self._progress(session.order, _DOWNLOAD, None, session.euicc.eid)
        session.step = Step.BOUND
        return es9_json.answer(
            {
                "transactionId": self._other(transaction_id, faults, "wrong-transaction").hex().upper(),
                "boundProfilePackage": es9_json.b64(package),
            }
        )

    def _bind(self, session: Session, response: der.Node, faults: Faults) -> bytes:
        euicc, order = session.euicc, session.order
        if euicc is None or order is None:
            raise RefusalError(status_words.TRANSACTION_UNKNOWN, "the eUICC is not authenticated")
        signed = self._verify_prepared(session, euicc, response)
        if self.settings.expired_at_package and order.expires is not None and self.clock() > order.expires:
            raise RefusalError(status_words.ORDER_EXPIRED)
        self._check_code(session, order, signed)
        binding = self._binding(order, euicc, signed.get(0x5F49).value)
        try:
            package = bind(self._binding_input(session, order, euicc, binding), faults)
        except BspError as error:
            raise RefusalError(status_words.FIELD_INVALID, f"the one-time key is no good: {error}") from error
        if binding is not order.binding:
            order.binding = binding
            order.bindings += 1
        order.state = OrderState.DOWNLOADED
        return package

    def _verify_prepared(self, session: Session, euicc: EuiccCredentials, response: der.Node) -> der.Node:
        error = response.find(0xA1)
        if error is not None:
            self._same_transaction(session, error)
            code = error.get(0x02).integer()
            raise RefusalError(
                status_words.SIGNATURE_INVALID, f"the eUICC refused the download: downloadErrorCode {code}"
            )
        ok = response.get(0xA0)
        signed = ok.get(0x30)
        self._same_transaction(session, signed)
        if not verify_raw(euicc.key, ok.get(0x5F37).value, signed.raw + session.smdp_signature2):
            raise RefusalError(status_words.SIGNATURE_INVALID)
        return signed

    def _check_code(self, session: Session, order: Order, signed: der.Node) -> None:
        wanted = order.hash_cc(session.transaction_id)
        if wanted is None:
            return
        if order.code_failures >= order.code_tries:
            raise RefusalError(status_words.CODE_RETRIES)
        given = signed.find(0x04)
        if given is None:
            raise RefusalError(status_words.CODE_MISSING)
        if given.value != wanted:
            order.code_failures += 1
            if order.code_failures < order.code_tries:
                raise RefusalError(status_words.CODE_REFUSED)
            self._end(order, OrderState.ERROR)  # "the download order SHALL be terminated" (SGP.22 §5.6.2)
            raise RefusalError(status_words.CODE_RETRIES)

    def _binding(self, order: Order, euicc: EuiccCredentials, otpk: bytes) -> Binding:
        """The binding that is there if card and key are the same, else a new one if the order allows it."""
        bound = order.binding
        if bound is not None and bound.eid == euicc.eid and bound.euicc_otpk == otpk:
            return bound
        if order.max_bindings is not None and order.bindings >= order.max_bindings:
            raise RefusalError(status_words.REBINDING_REFUSED)
        ppk = BspKeys(self.random(16), self.random(16), self.random(16)) if order.replace_keys else None
        # 8 bytes more than the group order make the remainder as good as uniform.
        number = int.from_bytes(self.random(40), "big") % (_GROUP_ORDER[euicc.key.curve.name] - 1) + 1
        return Binding(euicc.eid, otpk, number, ppk)

    def _binding_input(self, session: Session, order: Order, euicc: EuiccCredentials, binding: Binding) -> BindingInput:
        binder = session.signers.binder
        return BindingInput(
            package=order.package,
            transaction_id=session.transaction_id,
            eid=euicc.eid_bytes,
            euicc_otpk=binding.euicc_otpk,
            curve=euicc.key.curve,
            otsk=binding.otsk,
            host_id=self.settings.host_id,
            ppk=binding.ppk,
            sign=lambda data: sign(binder, data),
        )

    # cancelSession (SGP.22 §5.6.5)

    def _cancel_session(self, body: Mapping[str, Any], faults: Faults) -> es9_json.Json | Reply:
        transaction_id = es9_json.transaction_id(body)
        response = self._node(body, "cancelSessionResponse", 0xBF41)
        session = self._session(transaction_id, Step.INITIATED, Step.AUTHENTICATED, Step.BOUND, Step.REFUSED)
        error = response.find(0x81)
        if error is not None:
            session.step = Step.CANCELLED
            if self.settings.unsigned_cancel == "refuse":
                raise RefusalError(status_words.SIGNATURE_INVALID, f"the eUICC did not cancel: {error.integer()}")
            return Reply(200) if self.settings.unsigned_cancel == "empty" else es9_json.answer({})
        ok = response.get(0xA0)
        signed = ok.get(0x30)
        self._same_transaction(session, signed)
        if signed.get(0x81).oid() != self.identity.oid:
            raise RefusalError(status_words.OID_MISMATCH)
        if session.euicc is None or not verify_raw(session.euicc.key, ok.get(0x5F37).value, signed.raw):
            raise RefusalError(status_words.SIGNATURE_INVALID)
        reason = signed.get(0x82).integer()
        session.step, session.cancel_reason = Step.CANCELLED, reason
        if session.order is not None:
            session.order.cancel_reason = reason
            if reason not in (_POSTPONED, _TIMEOUT):
                self._end(session.order, OrderState.ERROR)
        return Reply(200) if self.settings.empty_cancel else es9_json.answer({})

    # handleNotification (SGP.22 §5.6.4)

    def _handle_notification(self, body: Mapping[str, Any], faults: Faults) -> Reply:
        raw = es9_json.octets(body, "pendingNotification")
        self.receive_notification(raw)
        return Reply(self.settings.notification_status)

    def receive_notification(self, raw: bytes) -> NotificationRecord:
        """Store and verify one. ``MalformedError`` or ``DerError`` when it is no PendingNotification."""
        known = next((record for record in self.notifications if record.raw == raw), None)
        if known is not None:
            known.times += 1
            return known
        record = read_notification(raw, ber=not self.settings.strict_der)
        session = self.sessions.get(record.transaction_id) if record.transaction_id is not None else None
        verify(
            record,
            session,
            self.identity.ci_certificates,
            self.identity.oid,
            self.clock(),
            self.settings.chain,
        )
        self.notifications.append(record)
        if record.verified and record.kind == INSTALL_RESULT and session is not None:
            session.step = Step.FINISHED
            if session.order is not None:
                self._end(session.order, OrderState.INSTALLED if record.succeeded else OrderState.ERROR)
                failed = None if record.succeeded else status_words.INSTALLATION_FAILED
                self._progress(session.order, _INSTALLATION, failed, record.eid)
        if self.on_notification is not None:
            self.on_notification(record)
        return record

    def _progress(self, order: Order, point: int, refusal: Status | None, eid: str | None) -> None:
        if self.on_progress is not None:
            self.on_progress(order, point, refusal, eid)

    def _end(self, order: Order, state: OrderState) -> None:
        order.state = state
        if self.on_order_ended is not None and (state is OrderState.INSTALLED or order.final_on_error):
            self.on_order_ended(order)


# SEC 2, 2.4.2 and RFC 5639, 3.4.
_GROUP_ORDER = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "brainpoolP256r1": 0xA9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7,
}
