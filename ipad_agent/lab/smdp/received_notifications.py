"""What cards report: installation results and other notifications, kept as received, verified (SGP.22 §3.5, §5.6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import verify_raw

from .errors import MalformedError, RefusalError
from .euicc_chain import ChainRules, verify_euicc
from .smdp_session import Session

INSTALL_RESULT = "install-result"
EVENT = "event"
_EVENT_NAMES = ("install", "enable", "disable", "delete")


@dataclass(slots=True)
class NotificationRecord:
    """One notification. ``problem`` None: chain and signature are right. ``times`` counts how often it came.

    ``events`` are names (install, enable, disable, delete), none if they cannot be read; ``iccid`` digits. For an
    installation result ``installed_aid`` or ``error`` (bppCommandId, errorReason) is set.
    """

    kind: str
    raw: bytes
    sequence_number: int
    events: tuple[str, ...]
    address: str
    iccid: str | None
    transaction_id: bytes | None = None
    smdp_oid: str | None = None
    installed_aid: bytes | None = None
    error: tuple[int, int] | None = None
    sima_response: bytes | None = None
    eid: str | None = None
    problem: str | None = "not verified"
    times: int = 1

    @property
    def verified(self) -> bool:
        """Whether it was signed by the card it belongs to."""
        return self.problem is None

    @property
    def succeeded(self) -> bool:
        """Whether it says that a profile was installed."""
        return self.installed_aid is not None


def read_notification(raw: bytes, *, ber: bool = False) -> NotificationRecord:
    """PendingNotification: BF37 or 30. ``MalformedError`` or ``DerError`` when it is neither."""
    node = der.parse(raw, ber=ber)
    if node.tag == 0xBF37:
        return _install_result(node)
    if node.tag == 0x30:
        number, events, address, iccid = _metadata(node.get(0xBF2F))
        return NotificationRecord(EVENT, raw, number, events, address, iccid)
    raise MalformedError(f"{node.tag:X} is no PendingNotification")


def _install_result(node: der.Node) -> NotificationRecord:
    data = node.get(0xBF27)
    number, events, address, iccid = _metadata(data.get(0xBF2F))
    record = NotificationRecord(INSTALL_RESULT, node.raw, number, events, address, iccid)
    record.transaction_id = data.get(0x80).value
    record.smdp_oid = data.get(0x06).oid()
    result = data.get(0xA2)
    success, failure = result.find(0xA0), result.find(0xA1)
    if success is not None:
        # Virtual cards were seen that write the AID under 80.
        aid = success.find(0x4F, 0x80)
        if aid is None:
            raise MalformedError("successResult has no AID")
        record.installed_aid = aid.value
        sima = success.find(0x04)
    elif failure is not None:
        record.error = (failure.get(0x80).integer(), failure.get(0x81).integer())
        sima = failure.find(0x82)
    else:
        raise MalformedError("finalResult is neither success nor error")
    record.sima_response = sima.value if sima is not None else None
    return record


def _metadata(node: der.Node) -> tuple[int, tuple[str, ...], str, str | None]:
    iccid = node.find(0x5A)
    return (
        node.get(0x80).integer(),
        _events(node.get(0x81)),
        node.get(0x0C).text(),
        None if iccid is None else _digits(iccid.value),
    )


def _events(node: der.Node) -> tuple[str, ...]:
    """Names; none when it is no proper BIT STRING, as of some virtual cards: the signature counts all the same."""
    try:
        bits = node.bits()
    except der.DerError:
        return ()
    return tuple(name for number, name in enumerate(_EVENT_NAMES) if number in bits)


def verify(
    record: NotificationRecord,
    session: Session | None,
    cis: Sequence[x509.Certificate],
    own_oid: str,
    now: datetime,
    rules: ChainRules,
) -> None:
    """Set ``eid`` and ``problem``. ``session`` is the one that an installation result names, if it is known."""
    node = der.parse(record.raw, ber=True)
    if record.kind == INSTALL_RESULT:
        record.problem = _verify_install_result(record, node, session, own_oid)
    else:
        record.problem = _verify_event(record, node, cis, now, rules)


def _verify_install_result(
    record: NotificationRecord, node: der.Node, session: Session | None, own_oid: str
) -> str | None:
    if session is None or session.euicc is None:
        return "the transaction is not known"
    record.eid = session.euicc.eid
    if record.smdp_oid != own_oid:
        return f"the SM-DP+ is {record.smdp_oid}"
    return _signature_problem(node.find(0x5F37), node.get(0xBF27), session.euicc.key)


def _verify_event(
    record: NotificationRecord, node: der.Node, cis: Sequence[x509.Certificate], now: datetime, rules: ChainRules
) -> str | None:
    certificates = [child for child in node.children if child.tag == 0x30]
    if len(certificates) != 2:
        return "there are not two certificates"
    try:
        card = verify_euicc(certificates[0].raw, certificates[1].raw, cis, now, rules)
    except RefusalError as error:
        return str(error)
    record.eid = card.eid
    return _signature_problem(node.find(0x5F37), node.get(0xBF2F), card.key)


def _signature_problem(signature: der.Node | None, signed: der.Node, key: ec.EllipticCurvePublicKey) -> str | None:
    if signature is None:
        return "there is no signature"
    return None if verify_raw(key, signature.value, signed.raw) else "the signature is wrong"


def _digits(tbcd: bytes) -> str:
    text = tbcd.hex().upper()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2)).rstrip("F")
