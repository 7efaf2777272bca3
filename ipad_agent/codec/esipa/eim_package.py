"""ESipa in its ASN.1 binding: packages, results, notifications (SGP.32 v1.2 §6.3.2, messages BF3D, BF4E, BF4F, BF50).

Encoders give the body of a request, parsers take the body of an answer. The messages of the profile download
(BF39, BF3B, BF3A, BF41) are in ``esipa_download``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import undouble
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, as_package_result
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.codec.tolerances import (
    CONTEXT_INTEGER,
    EMPTY_ANSWER,
    MISSING_OUTER_TAG,
    UNEXPECTED_CONTENT,
    UNIVERSAL_INTEGER,
    UNREADABLE_ELEMENT,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .download_trigger import DownloadTrigger, encode_trigger_error, encode_trigger_result
from .ipa_euicc_data import Dialect, IpaEuiccDataRequest

__all__ = [
    "DataRequestOrder",
    "DownloadTriggerOrder",
    "EimAcknowledgements",
    "EimPackage",
    "EimPackageError",
    "EuiccPackageOrder",
    "MalformedPackage",
    "NoPackage",
    "ProvideResultResponse",
    "ResultErrorCode",
    "StateChangeCause",
    "TransferredPackage",
    "UnknownPackage",
    "encode_epr_and_notifications",
    "encode_get_eim_package",
    "encode_handle_notification",
    "encode_handle_notification_result",
    "encode_package_received",
    "encode_package_received_with_cid",
    "encode_provide_result",
    "encode_result_error",
    "encode_transfer_error",
    "encode_transfer_error_with_cid",
    "encode_transfer_response",
    "encode_trigger_error",
    "encode_trigger_result",
    "parse_get_eim_package_response",
    "parse_handle_notification_response",
    "parse_provide_result_response",
    "parse_transfer_eim_package",
]


class StateChangeCause(IntEnum):
    """Why the profiles changed without this eIM's order."""

    OTHER_EIM = 0
    FALLBACK = 1
    EMERGENCY_PROFILE = 2
    LOCAL = 3
    RESET = 4
    IMMEDIATE_ENABLE_PROFILE = 5
    DEVICE_CHANGE = 6
    UNDEFINED = 127


class EimPackageError(IntEnum):
    """Why GetEimPackage gave no package."""

    NO_EIM_PACKAGE_AVAILABLE = 1
    EID_NOT_FOUND = 2
    INVALID_EID = 3
    MISSING_EID = 4
    UNDEFINED_ERROR = 127


class ResultErrorCode(IntEnum):
    """EimPackageResultErrorCode: why the IPA could not process a package."""

    INVALID_PACKAGE_FORMAT = 1
    UNKNOWN_PACKAGE = 2
    UNDEFINED_ERROR = 127


# -- what the eIM hands out ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EuiccPackageOrder:
    """BF51: for the eUICC, verbatim."""

    raw: bytes = field(repr=False)
    eim_transaction_id: bytes | None
    request: EuiccPackageRequest
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataRequestOrder:
    """BF52: the eIM wants data."""

    raw: bytes = field(repr=False)
    eim_transaction_id: bytes | None
    request: IpaEuiccDataRequest
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DownloadTriggerOrder:
    """BF54: a profile is to be downloaded."""

    raw: bytes = field(repr=False)
    eim_transaction_id: bytes | None
    trigger: DownloadTrigger
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoPackage:
    """The eIM has nothing, or refuses; ``code`` may be a number without a name in ``EimPackageError``."""

    code: int
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownPackage:
    """A kind of package this release does not define; the answer is unknownPackage(2)."""

    raw: bytes = field(repr=False)
    eim_transaction_id: bytes | None
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MalformedPackage:
    """A known kind that cannot be read; the answer is invalidPackageFormat(1)."""

    raw: bytes = field(repr=False)
    eim_transaction_id: bytes | None
    reason: str
    tolerances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EimAcknowledgements:
    """BF53: numbers the eUICC may forget."""

    raw: bytes = field(repr=False)
    acknowledged: tuple[int, ...]
    tolerances: tuple[str, ...] = ()


EimPackage = EuiccPackageOrder | DataRequestOrder | DownloadTriggerOrder | NoPackage | UnknownPackage | MalformedPackage
TransferredPackage = (
    EuiccPackageOrder
    | DataRequestOrder
    | DownloadTriggerOrder
    | EimAcknowledgements
    | UnknownPackage
    | MalformedPackage
)
_Order = EuiccPackageOrder | DataRequestOrder | DownloadTriggerOrder | MalformedPackage

_ORDER_TAGS: Final = (0xBF51, 0xBF52, 0xBF54)
_TRANSACTION_TAG: Final = {0xBF51: 0x82, 0xBF52: 0x83, 0xBF54: 0x82}


def encode_get_eim_package(
    eid: Eid,
    *,
    state_change: StateChangeCause | None = None,
    rplmn: Plmn | None = None,
    dialect: Dialect = "1.2",
) -> bytes:
    """``BF4F { 5A, 80?, 81?, 82? }``. With neither option it reads the same in every release.

    v1.0 knows no cause, and has the network under ``81``, which is the cause since v1.1: there only ``80`` is sent,
    which no release can misread."""
    parts = [tlv.encode(0x5A, eid.bytes)]
    if dialect == "1.0":
        return tlv.encode(0xBF4F, *parts, b"" if state_change is None else tlv.encode(0x80))
    if state_change is not None:
        parts += [tlv.encode(0x80), tlv.encode_integer(0x81, state_change)]
    if rplmn is not None:
        parts.append(tlv.encode(0x82, rplmn.bytes))
    return tlv.encode(0xBF4F, *parts)


def parse_get_eim_package_response(body: bytes) -> EimPackage:
    """The answer of GetEimPackage.

    An empty body counts as no package. A package that is there but cannot be read comes back as
    ``MalformedPackage`` so that the eIM can be told; ``CodecError`` only when the body is no answer at all.
    """
    notes = Notes()
    if not body:
        notes.take(EMPTY_ANSWER)
        return NoPackage(EimPackageError.NO_EIM_PACKAGE_AVAILABLE, notes.ids)
    element = tlv.parse(body)
    if element.tag == 0xBF4F:
        element = undouble(element, notes)
        children = element.children()
        if not children:
            notes.take(EMPTY_ANSWER)
            return NoPackage(EimPackageError.NO_EIM_PACKAGE_AVAILABLE, notes.ids)
    elif element.tag in (*_ORDER_TAGS, 0x02):
        notes.take(MISSING_OUTER_TAG)
        children = (element,)
    else:
        raise CodecError(f"the answer should begin with BF4F, not {hex_tag(element.tag)}", offset=0)
    chosen = next((child for child in children if child.tag in (*_ORDER_TAGS, 0x02)), None)
    if chosen is None and len(children) == 1 and _is_number(children[0]):
        notes.take(CONTEXT_INTEGER)
        return NoPackage(children[0].integer(), notes.ids)
    if chosen is None:
        return UnknownPackage(children[0].raw, None, notes.ids)
    if chosen.tag == 0x02:
        return NoPackage(chosen.integer(), notes.ids)
    return _order(chosen, notes)


def _is_number(element: Tlv) -> bool:
    """Whether it can only be an error number under another tag: one byte under a context tag or ENUMERATED. Packages
    are lists, of this release and of others."""
    return (element.tag == 0x0A or 0x80 <= element.tag <= 0x9E) and len(element.value) == 1


def _order(element: Tlv, notes: Notes) -> _Order:
    raw = element.raw
    try:
        if element.tag == 0xBF51:
            package = EuiccPackageRequest.parse(raw)
            notes.add(package.tolerances)
            return EuiccPackageOrder(package.raw, package.eim_transaction_id, package, notes.ids)
        if element.tag == 0xBF52:
            request = IpaEuiccDataRequest.parse(raw)
            notes.add(request.tolerances)
            return DataRequestOrder(request.raw, request.eim_transaction_id, request, notes.ids)
        trigger = DownloadTrigger.parse(raw)
        notes.add(trigger.tolerances)
        return DownloadTriggerOrder(trigger.raw, trigger.eim_transaction_id, trigger, notes.ids)
    except CodecError as error:
        return MalformedPackage(raw, _transaction_of(element), error.message, notes.ids)


def _transaction_of(element: Tlv) -> bytes | None:
    """The transaction of a package that cannot be read otherwise, so that the refusal can name it."""
    try:
        place = element.find(0x30) if element.tag == 0xBF51 else element
        found = place.find(_TRANSACTION_TAG[element.tag]) if place else None
    except CodecError:
        return None
    return None if found is None else found.value


# -- what the IPA brings back ----------------------------------------------------------------------------------------


def encode_provide_result(eid: Eid | None, result: bytes) -> bytes:
    """``BF50 { 5A?, result }``. ``result`` is one EimPackageResult element; v1.0 has no EID here (None)."""
    tlv.parse(result)
    return tlv.encode(0xBF50, b"" if eid is None else tlv.encode(0x5A, eid.bytes), result)


def encode_epr_and_notifications(epr_raw: bytes, notifications: Sequence[bytes], *, dialect: Dialect = "1.2") -> bytes:
    """``30 { BF51, A0 { … } }``; in the v1.0 dialect the list is ``BF2B { A0 { … } }``."""
    listed = tlv.encode(0xA0, *notifications)
    return tlv.encode(0x30, as_package_result(epr_raw), listed if dialect == "1.2" else tlv.encode(0xBF2B, listed))


def encode_result_error(
    eim_transaction_id: bytes | None, code: ResultErrorCode | int, *, dialect: Dialect = "1.2"
) -> bytes:
    """``A0 { 80?, 02 }``: the package could not be processed. In the v1.0 dialect ``02`` alone."""
    number = tlv.encode_integer(0x02, code)
    if dialect == "1.0":
        return number
    return tlv.encode(0xA0, b"" if eim_transaction_id is None else tlv.encode(0x80, eim_transaction_id), number)


@dataclass(frozen=True, slots=True)
class ProvideResultResponse:
    """What the eIM said to a result: numbers to remove from the eUICC (perhaps none), or an error number.

    ``release`` is set when only that release (or those since v1.1) can answer in this form."""

    acknowledged: tuple[int, ...] = ()
    error: int | None = None
    tolerances: tuple[str, ...] = ()
    release: Dialect | None = field(default=None, compare=False)
    empty: bool = field(default=False, compare=False)
    """Whether the answer was a success with nothing in it at all."""


def parse_provide_result_response(body: bytes) -> ProvideResultResponse:
    """From ``BF50 { BF53 | 30 00 | 02 }``; an empty body and ``BF50 00`` acknowledge nothing.

    ``CodecError`` for content that is neither acknowledgement nor error: then the result is still owed.
    """
    notes = Notes()
    if not body:
        notes.take(EMPTY_ANSWER)
        return ProvideResultResponse(tolerances=notes.ids, empty=True)
    element = tlv.parse(body)
    if element.tag == 0xBF50:
        children = undouble(element, notes).children()
    elif element.tag in (0xBF53, 0x30, 0x02):
        notes.take(MISSING_OUTER_TAG)
        children = (element,)
    else:
        raise CodecError(f"the answer should begin with BF50, not {hex_tag(element.tag)}", offset=0)
    if not children:
        notes.take(EMPTY_ANSWER)
        return ProvideResultResponse(tolerances=notes.ids, release="1.0", empty=True)
    for child in children:
        if child.tag == 0xBF53:
            return ProvideResultResponse(_acknowledged(child, notes), None, notes.ids)
        if child.tag == 0x02:
            return ProvideResultResponse((), child.integer(), notes.ids, release="1.2")
        if child.tag == 0x30:
            if child.value:
                notes.take(UNEXPECTED_CONTENT)
            return ProvideResultResponse((), None, notes.ids, release="1.2")
    raise CodecError(f"{hex_tag(children[0].tag)} is no acknowledgement and no error", offset=children[0].start)


def _acknowledged(element: Tlv, notes: Notes) -> tuple[int, ...]:
    """The numbers; one that cannot be read takes back none that can. ``CodecError`` where there are only such."""
    numbers: list[int] = []
    unreadable: CodecError | None = None
    for item in undouble(element, notes):
        if item.tag == 0x02:
            notes.take(UNIVERSAL_INTEGER)
        elif item.tag != 0x80:
            continue
        try:
            numbers.append(item.integer())
        except CodecError as error:
            unreadable = error
    if unreadable is not None:
        if not numbers:
            raise unreadable
        notes.take(UNREADABLE_ELEMENT)
    return tuple(numbers)


def encode_handle_notification(notification_raw: bytes) -> bytes:
    """``BF3D { A0 { notification } }``; the same in every release."""
    tlv.parse(notification_raw)
    return tlv.encode(0xBF3D, tlv.encode(0xA0, notification_raw))


def encode_handle_notification_result(provide_result_raw: bytes, *, dialect: Dialect = "1.2") -> bytes:
    """``BF3D { BF50 { … } }`` from what ``encode_provide_result`` gave; in the v1.0 dialect ``BF3D { A1 { result } }``.

    A result brought this way is not acknowledged (§3.1.2).
    """
    element = tlv.parse(provide_result_raw)
    if element.tag != 0xBF50:
        raise CodecError(f"a ProvideEimPackageResult begins with BF50, not {hex_tag(element.tag)}", offset=0)
    if dialect == "1.2":
        return tlv.encode(0xBF3D, provide_result_raw)
    return tlv.encode(0xBF3D, tlv.encode(0xA1, *(child.raw for child in element if child.tag != 0x5A)))


def parse_handle_notification_response(body: bytes) -> tuple[str, ...]:
    """The answer has no content; what is there all the same is ignored. Gives the tolerances taken."""
    notes = Notes()
    if body:
        notes.take(UNEXPECTED_CONTENT)
    return notes.ids


# -- injection -------------------------------------------------------------------------------------------------------


def parse_transfer_eim_package(body: bytes) -> TransferredPackage:
    """A package that the eIM pushes: ``BF4E { BF51 | BF52 | BF53 | BF54 }`` (§3.1.1.2)."""
    notes = Notes()
    element = tlv.parse(body)
    if element.tag == 0xBF4E:
        children = undouble(element, notes).children()
    elif element.tag in (*_ORDER_TAGS, 0xBF53):
        notes.take(MISSING_OUTER_TAG)
        children = (element,)
    else:
        raise CodecError(f"a transferred package should begin with BF4E, not {hex_tag(element.tag)}", offset=0)
    if not children:
        raise CodecError("a transferred package without content", offset=0)
    chosen = next((child for child in children if child.tag in (*_ORDER_TAGS, 0xBF53)), None)
    if chosen is None:
        return UnknownPackage(children[0].raw, None, notes.ids)
    if chosen.tag == 0xBF53:
        return EimAcknowledgements(chosen.raw, _acknowledged(chosen, notes), notes.ids)
    return _order(chosen, notes)


def encode_transfer_response(result: bytes) -> bytes:
    """``BF4E { BF51 | 30 | BF52 }``: the result at once."""
    element = tlv.parse(result)
    if element.tag not in (0xBF51, 0x30, 0xBF52):
        raise CodecError(f"{hex_tag(element.tag)} is no result of a transferred package", offset=0)
    return tlv.encode(0xBF4E, result)


def encode_package_received() -> bytes:
    """``BF4E { 05 00 }``: accepted, the result follows later."""
    return tlv.encode(0xBF4E, tlv.encode(0x05))


def encode_transfer_error(code: ResultErrorCode | int) -> bytes:
    """``BF4E { 02 }``: the transferred package could not be processed."""
    return tlv.encode(0xBF4E, tlv.encode_integer(0x02, code))


def encode_package_received_with_cid(transaction_id: bytes | None = None, eid: Eid | None = None) -> bytes:
    """``BF4E { BF60 { A0? } }``: the same since v1.3, with the package's transaction (1 to 16 bytes) or, where it had
    none, the EID. An eIM of an older release cannot read it."""
    return tlv.encode(0xBF4E, tlv.encode(0xBF60, _correlation(transaction_id, eid)))


def encode_transfer_error_with_cid(
    code: ResultErrorCode | int, transaction_id: bytes | None = None, eid: Eid | None = None
) -> bytes:
    """``BF4E { BF61 { A0?, 81 } }``: the refusal since v1.3."""
    return tlv.encode(0xBF4E, tlv.encode(0xBF61, _correlation(transaction_id, eid), tlv.encode_integer(0x81, code)))


def _correlation(transaction_id: bytes | None, eid: Eid | None) -> bytes:
    if transaction_id is not None:
        return tlv.encode(0xA0, tlv.encode(0x80, transaction_id))
    return b"" if eid is None else tlv.encode(0xA0, tlv.encode(0x5A, eid.bytes))
