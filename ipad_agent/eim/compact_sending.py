"""What may be left out towards one eIM, because it was told before (SGP.32 v1.2 §6.3.2, minimizeEsipaBytes).

Nothing is left out before the eIM has taken an answer to a data request in which this IPA announces it. What an eIM
was told is remembered by its digest, over restarts, for ``TOLD_FOR_S`` after the eIM last showed that it has it: it
needs most of it to judge any result of the card, so it keeps it. The installation result of a download is shortened
for as long as the link of that download lasts, and the registered network is told again after a restart, a change, a
day or any trouble. An eIM that does not take a compact form gets the full one at once, and full ones until it has asked
for the device's data again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from ipad_agent.clock import Clock, SystemClock
from ipad_agent.codec.ber import tlv
from ipad_agent.codec.esipa import compact_messages
from ipad_agent.codec.esipa.compact_messages import KnownSession
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, InitiateAuthenticationOk
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.codec.rsp.certificate import Certificate
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, replace

from . import events
from .esipa_dialect import DialectMemory, Forgetful

TOLD_FOR_S: Final = 30 * 86_400.0
NETWORK_FOR_S: Final = 86_400.0

_ANNOUNCED, _CERTIFICATES, _INFO1, _INFO2 = "announced", "certificates", "euiccInfo1", "euiccInfo2"


@dataclass(frozen=True, slots=True)
class CompactResult:
    """An EimPackageResult with shorter notifications; ``shortened`` are their numbers."""

    body: bytes
    shortened: frozenset[int]


class CompactSending:
    """Towards one eIM. ``wanted`` is what the configuration says; without it nothing is ever left out."""

    def __init__(self, *, wanted: bool = True, memory: DialectMemory | None = None, clock: Clock | None = None) -> None:
        self._wanted = wanted
        self._memory = memory if memory is not None else Forgetful()
        self._clock = clock if clock is not None else SystemClock()
        self._told = _read(self._memory.load())
        self._session: KnownSession | None = None
        self._network: tuple[Plmn, float] | None = None
        self.saved_bytes = 0
        """What compact forms have saved so far, in message bytes."""
        self._saved_said_bytes = 0

    @property
    def active(self) -> bool:
        """Whether this eIM knows that this IPA leaves things out."""
        return self._wanted and _ANNOUNCED in self._told

    def saved(self, full: bytes, short: bytes) -> None:
        """The eIM took ``short`` for ``full``."""
        self.saved_bytes += len(full) - len(short)

    def refused(self, eim_id: str, function: str, problem: object) -> None:
        """The eIM did not take a compact form and took the full one, or would have."""
        self._told.clear()
        self._network = None
        self._save()
        events.COMPACT_REFUSED.emit(eim=eim_id, function=function, problem=problem)

    def certificates_shown(self) -> None:
        """The eIM has acknowledged notifications without certificates, or had their card's answer accepted: it knows
        them."""
        if _CERTIFICATES in self._told:
            self._told[_CERTIFICATES] = (self._told[_CERTIFICATES][0], self._clock.wall())
            self._save()

    def close(self, eim_id: str) -> None:
        """The link ends, and with it what the eIM surely still knows of a session."""
        self._session = None
        if self.saved_bytes > self._saved_said_bytes:
            events.COMPACT_SAVED.emit(size_bytes=self.saved_bytes - self._saved_said_bytes, eim=eim_id)
            self._saved_said_bytes = self.saved_bytes

    # -- what the eIM is told ------------------------------------------------------------------------------------------

    def result_taken(self, result: bytes) -> None:
        """The eIM took this EimPackageResult; an IpaEuiccData in it tells of the card and of this IPA."""
        if not self._wanted:
            return
        try:
            response = tlv.parse(result)
            data = response.find(0xA0) if response.tag == 0xBF52 else None
            told = {} if data is None else {child.tag: child for child in data}
            if (capabilities := told.get(0xA8)) is not None:
                if IpaFeature.MINIMIZE_ESIPA_BYTES in capabilities.require(0x80).bits():
                    self._note(_ANNOUNCED, b"")
                else:
                    self._told.pop(_ANNOUNCED, None)
            if 0xA5 in told and 0xA6 in told:
                self._note(_CERTIFICATES, tlv.encode(0x30, told[0xA6].value) + tlv.encode(0x30, told[0xA5].value))
            if (info1 := told.get(0xBF20)) is not None:
                self._note(_INFO1, info1.raw)
            if (info2 := told.get(0xBF22)) is not None:
                self._note(_INFO2, compact_messages.info2_without_memory(info2.raw))
        except CodecError:
            return
        self._save()

    def opened(self, opening: InitiateAuthenticationOk, euicc_info1: bytes | None) -> None:
        """A session with an SM-DP+ was opened."""
        if not self._wanted:
            return
        if euicc_info1 is not None:
            self._note(_INFO1, euicc_info1)
            self._save()
        signed = opening.server_signed1
        try:
            ids = Certificate.parse(opening.server_certificate).registered_ids
        except CodecError:
            ids = ()
        self._session = KnownSession(
            signed.transaction_id,
            signed.server_address,
            signed.server_challenge,
            context=opening.ctx_params1,
            server_oid=ids[0] if len(ids) == 1 else None,
        )

    def authenticated(self, answer: AuthenticateClientOk, full: bytes) -> None:
        """The SM-DP+ took the card's answer."""
        if not self._wanted:
            return
        facts = compact_messages.card_facts(full)
        if facts is not None:
            self._note(_CERTIFICATES, facts.certificates)
            self._save()
        if self._session is not None:
            iccid = None if answer.metadata is None else _iccid(answer.metadata.raw)
            self._session = replace(self._session, otpk=answer.smdp_signed2.bpp_euicc_otpk, iccid=iccid)

    # -- what is left out; None is the full form -----------------------------------------------------------------------

    def knows_info1(self, euicc_info1: bytes | None) -> bool:
        """Whether EUICCInfo1 may be left out."""
        return euicc_info1 is not None and self.active and self._knows(_INFO1, euicc_info1)

    def authenticate_response(self, full: bytes) -> bytes | None:
        """For AuthenticateClient."""
        facts = compact_messages.card_facts(full)
        if facts is None or self._session is None or not self.active:
            return None
        info2 = facts.euicc_info2 is not None and self._knows(_INFO2, facts.euicc_info2)
        certificates = self._knows(_CERTIFICATES, facts.certificates)
        return compact_messages.authenticate_response(full, self._session, info2=info2, certificates=certificates)

    def prepare_download_response(self, full: bytes) -> bytes | None:
        """For GetBoundProfilePackage."""
        if self._session is None or not self.active:
            return None
        return compact_messages.prepare_download_response(full, self._session)

    def cancel_session_response(self, full: bytes) -> bytes | None:
        """For CancelSession."""
        if self._session is None or not self.active:
            return None
        return compact_messages.cancel_session_response(full, self._session)

    def notification(self, full: bytes, eid: Eid, *, with_eid: bool) -> bytes | None:
        """For HandleNotification. ``with_eid``: whether the eIM's release has room for the EID in it."""
        if not self.active:
            return None
        certificates = compact_messages.certificates_in(full)
        if certificates is not None:
            known = with_eid and self._knows(_CERTIFICATES, certificates)
            return compact_messages.other_notification(full, eid) if known else None
        return None if self._session is None else compact_messages.installation_result(full, self._session)

    def result(self, full: bytes, eid: Eid) -> CompactResult | None:
        """For ProvideEimPackageResult since v1.1: notifications that travel with a result, without certificates."""
        if not self.active:
            return None
        try:
            element = tlv.parse(full)
            listed = element.find(0xA0) if element.tag == 0x30 else None
            if listed is None:
                return None
            parts, shortened = [], set()
            for notification in listed:
                short = self.notification(notification.raw, eid, with_eid=True) if notification.tag == 0x30 else None
                parts.append(notification.raw if short is None else short)
                if short is not None:
                    shortened.add(notification.require(0xBF2F).require(0x80).integer())
            package_result = element.require(0xBF51).raw
        except CodecError:
            return None
        if not shortened:
            return None
        return CompactResult(tlv.encode(0x30, package_result, tlv.encode(0xA0, *parts)), frozenset(shortened))

    def network(self, rplmn: Plmn | None) -> Plmn | None:
        """The registered network, where it has to be told."""
        if rplmn is None or self._network is None or not self.active:
            return rplmn
        known, at_s = self._network
        unchanged = known == rplmn and 0 <= self._clock.monotonic() - at_s < NETWORK_FOR_S
        return None if unchanged else rplmn

    def asked(self, shown: Plmn | None, real: Plmn | None, *, understood: bool) -> None:
        """GetEimPackage was answered, ``shown`` in it; what was not understood, or could not be told, is told again."""
        if not understood or real is None:
            self._network = None
        elif shown is not None:
            self._network = (shown, self._clock.monotonic())

    # -- memory --------------------------------------------------------------------------------------------------------

    def _knows(self, what: str, value: bytes) -> bool:
        digest, at_s = self._told.get(what, ("", 0.0))
        # A clock that was set has no say about when something was told, so it counts as long ago.
        return digest == _digest(value) and 0 <= self._clock.wall() - at_s < TOLD_FOR_S

    def _note(self, what: str, value: bytes | None) -> None:
        if value is None:
            self._told.pop(what, None)
        else:
            self._told[what] = (_digest(value), self._clock.wall())

    def _save(self) -> None:
        self._memory.save({what: [digest, at_s] for what, (digest, at_s) in self._told.items()})


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:32]


def _iccid(metadata: bytes) -> bytes | None:
    found = tlv.parse(metadata).find(0x5A)
    return None if found is None else found.value


def _read(document: Mapping[str, object]) -> dict[str, tuple[str, float]]:
    told = {}
    for what, entry in document.items():
        match entry:
            case [str(digest), int() | float() as at_s]:
                told[what] = (digest, float(at_s))
    return told
