"""Notifications and stored results as the eUICC hands them out (SGP.32 v1.2 §5.9.11, SGP.22 v2.5 §5.7.9-§5.7.11).

The signed bytes travel on unchanged; read here is only what the IPA needs: the number to remove it by, where it
belongs, and what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, Unreadable, undouble
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.codec.tolerances import (
    AID_80,
    COMBINED_LIST,
    EMPTY_ANSWER,
    FOREIGN_OUTER_TAG,
    MISSING_OUTER_TAG,
    ODD_EVENT,
    UNIVERSAL_INTEGER,
    UNREADABLE_ELEMENT,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .euicc_package import EuiccPackageResult


class NotificationEvent(IntEnum):
    """Bit numbers of NotificationEvent."""

    INSTALL = 0
    ENABLE = 1
    DISABLE = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class BySeqNumber:
    """Criterion: the notification (or package result) with this number."""

    seq_number: int


@dataclass(frozen=True, slots=True)
class ByEvents:
    """Criterion: the notifications of these events."""

    events: frozenset[NotificationEvent]


@dataclass(frozen=True, slots=True)
class AllPackageResults:
    """Criterion: the stored eUICC package results instead of the notifications."""


Criterion = BySeqNumber | ByEvents | AllPackageResults


def encode_criterion(criterion: Criterion) -> bytes:
    """The alternative alone (``80``, ``81`` or ``82``), without the wrapper of its field."""
    match criterion:
        case BySeqNumber(seq_number):
            return tlv.encode_integer(0x80, seq_number)
        case ByEvents(events):
            return encode_events(0x81, events)
        case AllPackageResults():
            return tlv.encode(0x82)


def encode_events(tag: int, events: Iterable[NotificationEvent]) -> bytes:
    """NotificationEvent under this tag."""
    return tlv.encode_bits(tag, {int(event) for event in events})


def read_criterion(wrapper: Tlv) -> Criterion:
    """The criterion inside its wrapper (``A0``, ``A1``, ``A2``); ``CodecError`` for an alternative nobody defined."""
    choice = wrapper.find(0x80, 0x81, 0x82)
    if choice is None:
        raise CodecError(f"no known criterion in {hex_tag(wrapper.tag)}", offset=wrapper.start)
    if choice.tag == 0x80:
        return BySeqNumber(choice.integer())
    if choice.tag == 0x82:
        return AllPackageResults()
    known = {int(event) for event in NotificationEvent}
    return ByEvents(frozenset(NotificationEvent(bit) for bit in choice.bits() if bit in known))


@dataclass(frozen=True, slots=True)
class NotificationMetadata:
    """``BF2F``: ``event`` is None when its field is not readable as exactly one event."""

    raw: bytes = field(repr=False)
    seq_number: int
    event: NotificationEvent | None
    address: str
    iccid: Iccid | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> NotificationMetadata:
        """From ``BF2F { 80, 81, 0C, 5A? }``."""
        return cls.read(tlv.parse(raw))

    @classmethod
    def read(cls, element: Tlv) -> NotificationMetadata:
        """As ``parse``, from an element of a list."""
        if element.tag != 0xBF2F:
            raise CodecError(f"notification metadata cannot begin with {hex_tag(element.tag)}", offset=element.start)
        fields, notes = Fields(element), Notes()
        return cls(
            raw=element.raw,
            seq_number=fields.require(0x80, "seqNumber").integer(),
            event=_event(fields.first(0x81), notes),
            address=fields.text(0x0C) or "",
            iccid=fields.iccid(0x5A, notes=notes),
            tolerances=notes.ids,
        )


@dataclass(frozen=True, slots=True)
class InstallationResult:
    """What ProfileInstallationResult tells: success with the ISD-P's AID, or where and why it failed."""

    transaction_id: bytes
    smdp_oid: bytes
    success: bool
    aid: bytes | None = None
    bpp_command: ResultCode | None = None
    error_reason: ResultCode | None = None
    sima_response: bytes | None = field(default=None, repr=False)


Kind = Literal["installation_result", "other", "compact_installation_result", "compact_other"]


@dataclass(frozen=True, slots=True)
class PendingNotification:
    """One signed notification. ``raw`` travels on unchanged.

    ``address`` is the receiver's host, empty in the compact forms, which leave it out. ``installation`` is there
    for (compact) installation results whose details could be read.
    """

    raw: bytes = field(repr=False)
    kind: Kind
    seq_number: int
    event: NotificationEvent | None
    address: str
    iccid: Iccid | None
    installation: InstallationResult | None = None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> PendingNotification:
        """From ``BF37``, ``30``, or the compact ``A0``/``A1`` (only ever made by an IPA, §2.11.2)."""
        return cls.read(tlv.parse(raw))

    @classmethod
    def read(cls, element: Tlv) -> PendingNotification:
        """As ``parse``, from an element of a list."""
        match element.tag:
            case 0xBF37:
                return cls._installation(element)
            case 0x30:
                return cls._other(element, "other")
            case 0xA1:
                return cls._other(element, "compact_other")
            case 0xA0:
                return cls._compact_installation(element)
        raise CodecError(f"a notification cannot begin with {hex_tag(element.tag)}", offset=element.start)

    @classmethod
    def _other(cls, element: Tlv, kind: Kind) -> PendingNotification:
        data = NotificationMetadata.read(Fields(element).require(0xBF2F, "tbsOtherNotification"))
        return cls(element.raw, kind, data.seq_number, data.event, data.address, data.iccid, tolerances=data.tolerances)

    @classmethod
    def _installation(cls, element: Tlv) -> PendingNotification:
        notes = Notes()
        body = undouble(element, notes)
        result = Fields(Fields(body).require(0xBF27, "profileInstallationResultData"))
        data = NotificationMetadata.read(result.require(0xBF2F, "notificationMetadata"))
        notes.add(data.tolerances)
        return cls(
            body.raw,
            "installation_result",
            data.seq_number,
            data.event,
            data.address,
            data.iccid,
            _installation_result(result, result.octets(0x06) or b"", notes),
            notes.ids,
        )

    @classmethod
    def _compact_installation(cls, element: Tlv) -> PendingNotification:
        notes = Notes()
        result = Fields(Fields(element).require(0xA0, "compactProfileInstallationResultData"))
        return cls(
            element.raw,
            "compact_installation_result",
            result.require(0x02, "seqNumber").integer(),
            NotificationEvent.INSTALL,
            "",
            None,
            _installation_result(result, b"", notes),
            notes.ids,
        )


@dataclass(frozen=True, slots=True)
class RetrievedNotifications:
    """The answer of RetrieveNotificationsList: notifications, stored package results, or an error number.

    What could not be read is in ``unreadable`` and hides nothing else.
    """

    raw: bytes = field(repr=False)
    notifications: tuple[PendingNotification, ...] = ()
    package_results: tuple[EuiccPackageResult, ...] = ()
    error: ResultCode | None = None
    unreadable: tuple[Unreadable, ...] = ()
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> RetrievedNotifications:
        """From ``BF2B { A0 | 81 | A2 }``, and from what v1.0 cards and simulated cards answer instead."""
        notes = Notes()
        element = tlv.parse(raw)
        if element.tag in (0xA0, 0x81, 0xA2, 0xA3):
            notes.take(MISSING_OUTER_TAG)
            choice: Tlv | None = element
        else:
            body = undouble(element, notes)
            choice = body.find(0xA0, 0x81, 0xA2, 0xA3, 0x02)
            if element.tag == 0xBF2B and choice is None:
                if body.children():
                    raise CodecError("a notification list without A0, 81 or A2", offset=body.start)
                notes.take(EMPTY_ANSWER)
                return cls(raw, tolerances=notes.ids)
        lists = _lists(choice, notes)
        if element.tag not in (0xBF2B, 0xA0, 0x81, 0xA2, 0xA3):
            # Another function's answer looks much alike, so nothing but notifications and results may be in it.
            allowed = {0xA0: (0xBF37, 0x30), 0xA2: (0xBF51, 0xA0, 0xA1, 0xA2)}
            elements = [(kind, item) for kind, listed in lists for item in listed]
            if not elements or any(item.tag not in allowed[kind] for kind, item in elements):
                raise CodecError(f"a notification list cannot begin with {hex_tag(element.tag)}", offset=0)
            notes.take(FOREIGN_OUTER_TAG)
        if choice is not None and choice.tag in (0x81, 0x02):
            if choice.tag == 0x02:
                notes.take(UNIVERSAL_INTEGER)
            return cls(raw, error=ResultCode(choice.integer(), code_names.LIST_ERROR), tolerances=notes.ids)
        return cls._collect(raw, lists, notes)

    @classmethod
    def _collect(cls, raw: bytes, lists: list[tuple[int, Tlv]], notes: Notes) -> RetrievedNotifications:
        notifications: list[PendingNotification] = []
        results: list[EuiccPackageResult] = []
        unreadable: list[Unreadable] = []
        for kind, listed in lists:
            for item in listed:
                try:
                    if kind == 0xA0:
                        notification = PendingNotification.read(item)
                        notifications.append(notification)
                        notes.add(notification.tolerances)
                    else:
                        result = EuiccPackageResult.read(item)
                        results.append(result)
                        notes.add(result.tolerances)
                except CodecError as error:
                    notes.take(UNREADABLE_ELEMENT)
                    unreadable.append(Unreadable(item.raw, error.message))
        return cls(raw, tuple(notifications), tuple(results), None, tuple(unreadable), notes.ids)


@dataclass(frozen=True, slots=True)
class ListedNotifications:
    """The answer of ListNotification: metadata only."""

    raw: bytes = field(repr=False)
    notifications: tuple[NotificationMetadata, ...] = ()
    error: ResultCode | None = None
    unreadable: tuple[Unreadable, ...] = ()
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> ListedNotifications:
        """From ``BF28 { A0 { BF2F … } | 81 }``; an empty answer is an empty list."""
        notes = Notes()
        element = tlv.parse(raw)
        if element.tag != 0xBF28:
            raise CodecError(f"a notification list should begin with BF28, not {hex_tag(element.tag)}", offset=0)
        fields = Fields(undouble(element, notes))
        error = fields.integer(0x81)
        listed = fields.first(0xA0)
        if error is None and listed is None:
            if fields.items:
                raise CodecError("a notification list without A0 or 81", offset=element.start)
            notes.take(EMPTY_ANSWER)
        found: list[NotificationMetadata] = []
        unreadable: list[Unreadable] = []
        for item in listed or ():
            try:
                metadata = NotificationMetadata.read(item)
            except CodecError as problem:
                notes.take(UNREADABLE_ELEMENT)
                unreadable.append(Unreadable(item.raw, problem.message))
            else:
                found.append(metadata)
                notes.add(metadata.tolerances)
        code = None if error is None or listed is not None else ResultCode(error, code_names.LIST_ERROR)
        return cls(raw, tuple(found), code, tuple(unreadable), notes.ids)


def _lists(choice: Tlv | None, notes: Notes) -> list[tuple[int, Tlv]]:
    """The lists of an answer as (A0 for notifications or A2 for results, list)."""
    if choice is None or choice.tag in (0x81, 0x02):
        return []
    if choice.tag != 0xA3:
        return [(choice.tag, choice)]
    notes.take(COMBINED_LIST)
    parts = Fields(choice)
    pairs = ((0xA0, parts.first(0xA0)), (0xA2, parts.first(0xA1)))
    return [(kind, listed) for kind, listed in pairs if listed is not None]


def _event(element: Tlv | None, notes: Notes) -> NotificationEvent | None:
    if element is None:
        notes.take(ODD_EVENT)
        return None
    try:
        bits = element.bits()
    except CodecError:
        # One byte without the count of unused bits: its set bit tells, if it is one.
        notes.take(ODD_EVENT)
        value = element.value
        bits = frozenset(bit for bit in range(8) if len(value) == 1 and value[0] & (0x80 >> bit))
    if len(bits) == 1 and bits <= {int(event) for event in NotificationEvent}:
        return NotificationEvent(next(iter(bits)))
    notes.take(ODD_EVENT)
    return None


def _installation_result(result: Fields, smdp_oid: bytes, notes: Notes) -> InstallationResult | None:
    """The details, or None when they are beyond reading: the signed bytes and the number are what counts."""
    try:
        return _read_installation_result(result, smdp_oid, notes)
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
        return None


def _read_installation_result(result: Fields, smdp_oid: bytes, notes: Notes) -> InstallationResult:
    transaction_id = result.octets(0x80) or b""
    final = result.require(0xA2, "finalResult")
    success = final.find(0xA0)
    if success is not None:
        details = Fields(success)
        aid = details.first(0x4F, 0x80)
        if aid is not None and aid.tag == 0x80:
            notes.take(AID_80)
        return InstallationResult(
            transaction_id,
            smdp_oid,
            True,
            aid=None if aid is None else aid.value,
            sima_response=details.octets(0x04),
        )
    failure = Fields(final.require(0xA1, "errorResult"))
    command, reason = failure.integer(0x80), failure.integer(0x81)
    return InstallationResult(
        transaction_id,
        smdp_oid,
        False,
        bpp_command=None if command is None else ResultCode(command, code_names.BPP_COMMAND),
        error_reason=None if reason is None else ResultCode(reason, code_names.BPP_ERROR),
        sima_response=failure.octets(0x82),
    )
