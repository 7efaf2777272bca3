"""eUICC packages and their signed results (SGP.32 v1.2 §2.11.1, §2.11.2, §5.9.1).

Both ends of an eUICC package are sealed; the IPA carries the bytes and reads only what it needs to plan: whose
package it is, whether it may change the enabled profile, and what became of it.
"""

from __future__ import annotations

from typing import Final, Literal

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.code_names import Names
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, outer, undouble
from ipad_agent.codec.identifiers import Eid, Iccid
from ipad_agent.codec.tolerances import (
    BARE_RESULT,
    CONTEXT_INTEGER,
    EXTRA_SEQUENCE,
    MIXED_LISTS,
    ROLLBACK_81,
    UNIVERSAL_INTEGER,
    UNREADABLE_OPERATION,
    Notes,
)
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

PSMO_NAMES: Final = {
    0xA3: "enable",
    0xA4: "disable",
    0xA5: "delete",
    0xA6: "getRAT",
    0xA7: "configureImmediateEnable",
    0xA8: "setFallbackAttribute",
    0xA9: "unsetFallbackAttribute",
    0xBF2D: "listProfileInfo",
    0xBF65: "setDefaultDpAddress",
}
ECO_NAMES: Final = {0xA8: "addEim", 0xA9: "deleteEim", 0xAA: "updateEim", 0xAB: "listEim"}
UNKNOWN: Final = "unknown"

_CHANGES_STATE: Final = ("enable", "disable", "delete", UNKNOWN)

_RESULTS: Final[dict[int, tuple[str, Names]]] = {
    0x83: ("enable", code_names.ENABLE),
    0x84: ("disable", code_names.DISABLE),
    0x85: ("delete", code_names.DELETE),
    0x87: ("configureImmediateEnable", code_names.CONFIGURE_IMMEDIATE),
    0x89: ("deleteEim", code_names.DELETE_EIM),
    0x8A: ("updateEim", code_names.UPDATE_EIM),
    0x8C: ("rollback", code_names.ROLLBACK),
    0x8D: ("setFallbackAttribute", code_names.SET_FALLBACK),
    0x8E: ("unsetFallbackAttribute", code_names.UNSET_FALLBACK),
    0x02: ("processingTerminated", code_names.TERMINATED),
}
_LAST_EIM_DELETED: Final = 2


@dataclass(frozen=True, slots=True)
class Operation:
    """One PSMO or eCO of a package. ``name`` is ``unknown`` for a tag this release does not define. ``iccid`` is None
    where there is none or the operation cannot be read: which profile it is for, only the eUICC knows then."""

    tag: int
    name: str
    raw: bytes = field(repr=False)
    iccid: Iccid | None = None
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class EuiccPackageRequest:
    """A package as it came from the eIM. ``raw`` is what the eUICC must get, to the byte.

    ``eid`` is None when its field is empty: the eUICC, which compares bytes, says what it thinks of that.
    """

    raw: bytes = field(repr=False)
    eim_id: str
    eid: Eid | None
    counter: int
    eim_transaction_id: bytes | None
    kind: Literal["psmo", "eco"]
    operations: tuple[Operation, ...]
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EuiccPackageRequest:
        """From ``BF51 { 30 { 80, 5A, 81, 82?, A0|A1 }, 5F37 }``."""
        notes = Notes()
        package = Fields(outer(raw, 0xBF51, notes, "an eUICC package"))
        package.require(0x5F37, "eimSignature")
        signed = Fields(package.require(0x30, "euiccPackageSigned"))
        signed.require(0x5A, "eidValue")
        lists = signed.all(0xA0, 0xA1)
        if not lists:
            raise CodecError("a package without operations (A0 or A1)", offset=signed.owner.start)
        if len(lists) > 1:
            notes.take(MIXED_LISTS)
        return cls(
            raw=package.owner.raw,
            eim_id=signed.require(0x80, "eimId").text(),
            eid=signed.eid(0x5A, notes=notes),
            counter=signed.require(0x81, "counterValue").integer(),
            eim_transaction_id=signed.octets(0x82),
            kind="psmo" if lists[0].tag == 0xA0 else "eco",
            operations=tuple(_operation(item, part.tag, notes) for part in lists for item in part),
            tolerances=notes.ids,
        )

    @property
    def may_change_state(self) -> bool:
        """Whether executing it can change which profiles exist or are enabled (an unknown operation might)."""
        return any(operation.name in _CHANGES_STATE for operation in self.operations)

    @property
    def wants_rollback(self) -> bool:
        """Whether an enable in it asks for the rollback grant."""
        return any(operation.rollback for operation in self.operations)


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of one operation. ``code`` is None where the result is data (lists, a token)."""

    tag: int
    name: str
    code: ResultCode | None
    raw: bytes = field(repr=False)
    association_token: int | None = None
    ok: bool = True


@dataclass(frozen=True, slots=True)
class EuiccPackageResult:
    """A package's result. ``raw`` is as received; ``relay_raw`` is what an eIM expects (always under BF51).

    Only the variant ``signed`` has a ``seq_number`` and stays in the eUICC until it is removed by that number.
    ``results`` may be shorter than the package: processing stops at the first operation that fails. Of an unsigned
    error ``error_code`` is euiccPackageUnsignedErrorCode, which cards before v1.3 do not give.
    """

    raw: bytes = field(repr=False)
    variant: Literal["signed", "error_signed", "error_unsigned"]
    eim_id: str
    counter: int | None
    eim_transaction_id: bytes | None
    seq_number: int | None
    results: tuple[OperationResult, ...]
    error_code: ResultCode | None
    association_token: int | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EuiccPackageResult:
        """From ``BF51 { A0|A1|A2 }`` or, as before v1.1, the bare alternative."""
        return cls.read(tlv.parse(raw))

    @classmethod
    def read(cls, element: Tlv) -> EuiccPackageResult:
        """As ``parse``, from an element of a list."""
        notes = Notes()
        if element.tag == 0xBF51:
            element = undouble(element, notes)
            choice = element.find(0xA0, 0xA1, 0xA2)
            if choice is None:
                raise CodecError("a package result without A0, A1 or A2", offset=element.start)
        elif element.tag in (0xA0, 0xA1, 0xA2):
            notes.take(BARE_RESULT)
            choice = element
        else:
            raise CodecError(f"a package result cannot begin with {hex_tag(element.tag)}", offset=element.start)
        if choice.tag == 0xA2:
            data = Fields(choice)
            unsigned = _unsigned_code(data)
            return cls(
                raw=element.raw,
                variant="error_unsigned",
                eim_id=data.text(0x80) or "",
                counter=None,
                eim_transaction_id=data.octets(0x82),
                seq_number=None,
                results=(),
                error_code=None if unsigned is None else ResultCode(unsigned, code_names.UNSIGNED_PACKAGE_ERROR),
                association_token=data.integer(0x84),
                tolerances=notes.ids,
            )
        data = Fields(Fields(choice).require(0x30, "the signed data"))
        signed = choice.tag == 0xA0
        listed = data.first(0x30) if signed else None
        results = tuple(_result(item, notes) for item in listed) if listed else ()
        code = None if signed else data.integer(0x02)
        return cls(
            raw=element.raw,
            variant="signed" if signed else "error_signed",
            eim_id=data.require(0x80, "eimId").text(),
            counter=data.integer(0x81),
            eim_transaction_id=data.octets(0x82),
            seq_number=data.integer(0x83) if signed else None,
            results=results,
            error_code=None if code is None else ResultCode(code, code_names.PACKAGE_ERROR),
            association_token=None,
            tolerances=notes.ids,
        )

    @property
    def ok(self) -> bool:
        """Whether the eUICC signed that every operation it reports succeeded (and that there is at least one)."""
        return self.variant == "signed" and bool(self.results) and all(result.ok for result in self.results)

    @property
    def switched(self) -> bool:
        """Whether the enabled profile changed: an enable, disable or rollback in it succeeded."""
        return any(result.ok and result.name in ("enable", "disable", "rollback") for result in self.results)

    @property
    def relay_raw(self) -> bytes:
        """The result as ESipa carries it: under BF51."""
        return as_package_result(self.raw)


def _unsigned_code(data: Fields) -> int | None:
    """euiccPackageUnsignedErrorCode; a number that cannot be read says no less than none."""
    try:
        return data.integer(0x8F)
    except CodecError:
        return None


def as_package_result(raw: bytes) -> bytes:
    """A result under BF51; a bare A0/A1/A2 is wrapped, its bytes unchanged. ``CodecError`` for anything else."""
    element = tlv.parse(raw)
    if element.tag == 0xBF51:
        return raw
    if element.tag in (0xA0, 0xA1, 0xA2):
        return tlv.encode(0xBF51, raw)
    raise CodecError(f"a package result cannot begin with {hex_tag(element.tag)}", offset=0)


def _operation(item: Tlv, list_tag: int, notes: Notes) -> Operation:
    name = (PSMO_NAMES if list_tag == 0xA0 else ECO_NAMES).get(item.tag, UNKNOWN)
    if name not in ("enable", "disable", "delete", "setFallbackAttribute"):
        return Operation(item.tag, name, item.raw)
    try:
        fields = Fields(item)
    except CodecError:
        # The eUICC will answer unknownOrDamagedCommand; that answer is worth more to the eIM than our refusal.
        notes.take(UNREADABLE_OPERATION)
        return Operation(item.tag, name, item.raw)
    flag = fields.first(0x05, 0x81) if name == "enable" else None
    if flag is not None and flag.tag == 0x81:
        notes.take(ROLLBACK_81)
    rollback = flag is not None and flag.value != b"\0"
    return Operation(item.tag, name, item.raw, fields.iccid(0x5A, notes=notes), rollback)


def _result(item: Tlv, notes: Notes) -> OperationResult:
    try:
        return _read_result(item, notes)
    except CodecError:
        notes.take(UNREADABLE_OPERATION)
        name = _RESULTS[item.tag][0] if item.tag in _RESULTS else _DATA_RESULTS.get(item.tag, UNKNOWN)
        return OperationResult(item.tag, name, None, item.raw, ok=False)


_DATA_RESULTS: Final = {
    0xBF2D: "listProfileInfo",
    0xA6: "getRAT",
    0xA8: "addEim",
    0xAB: "listEim",
    0xBF65: "setDefaultDpAddress",
}


def _read_result(item: Tlv, notes: Notes) -> OperationResult:
    if item.tag in _RESULTS:
        name, known = _RESULTS[item.tag]
        code = ResultCode(item.integer(), known)
        ok = code == 0 and name != "processingTerminated"
        # The eIM is deleted; the code only adds that it was the last one.
        ok = ok or (name == "deleteEim" and code == _LAST_EIM_DELETED)
        return OperationResult(item.tag, name, code, item.raw, ok=ok)
    name = _DATA_RESULTS.get(item.tag, UNKNOWN)
    if name in ("getRAT", UNKNOWN):
        return OperationResult(item.tag, name, None, item.raw, ok=name != UNKNOWN)
    fields = Fields(undouble(item, notes))
    if name == "addEim":
        token = fields.integer(0x84)
        if token is not None:
            return OperationResult(item.tag, name, None, item.raw, association_token=token)
        code = _code(fields, 0x02, 0x80, code_names.ADD_EIM, notes)
        return OperationResult(item.tag, name, code, item.raw, ok=code.ok)
    if name == "setDefaultDpAddress":
        code = _code(fields, 0x80, 0x02, code_names.SET_DEFAULT_DP, notes)
        return OperationResult(item.tag, name, code, item.raw, ok=code.ok)
    if fields.present(0xA0):
        return OperationResult(item.tag, name, None, item.raw)
    if name == "listProfileInfo" and fields.present(0x30):
        notes.take(EXTRA_SEQUENCE)
        return OperationResult(item.tag, name, None, item.raw)
    known = code_names.LIST_PROFILES if name == "listProfileInfo" else code_names.LIST_EIM
    code = _code(fields, 0x81, 0x02, known, notes)
    return OperationResult(item.tag, name, code, item.raw, ok=False)


def _code(fields: Fields, tag: int, other: int, known: Names, notes: Notes) -> ResultCode:
    """The number under ``tag``, or under ``other`` where some peers put it."""
    found = fields.first(tag)
    if found is None:
        found = fields.require(other, "the result code")
        notes.take(UNIVERSAL_INTEGER if other == 0x02 else CONTEXT_INTEGER)
    return ResultCode(found.integer(), known)
