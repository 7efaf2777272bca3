"""ESipa messages as an eIM reads and writes them, in the v1.2 and the v1.0 form (SGP.32 §6.3).

Reading is tolerant: what the two versions and known clients send is told apart by its tags, and every departure from
the v1.2 form is listed in ``notes``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim.results.result_description import number

from .errors import RequestRefusedError

GET_EIM_PACKAGE = 0xBF4F
PROVIDE_RESULT = 0xBF50
HANDLE_NOTIFICATION = 0xBF3D
INITIATE_AUTHENTICATION = 0xBF39
AUTHENTICATE_CLIENT = 0xBF3B
GET_BOUND_PROFILE_PACKAGE = 0xBF3A
CANCEL_SESSION = 0xBF41

NO_PACKAGE, EID_NOT_FOUND, INVALID_EID, MISSING_EID, UNDEFINED = 1, 2, 3, 4, 127

V1_0, V1_2 = "1.0", "1.2"

ERROR_TAG = {INITIATE_AUTHENTICATION: 0x81, AUTHENTICATE_CLIENT: 0x82, GET_BOUND_PROFILE_PACKAGE: 0x81}
ERROR_TAG[CANCEL_SESSION] = 0x81


@dataclass(frozen=True, slots=True)
class GetPackage:
    """GetEimPackageRequest. ``eid`` is what came under 5A, whatever its length; None when it is missing."""

    eid: bytes | None
    state_changed: bool = False
    cause: int | None = None
    rplmn: bytes | None = None
    dialect: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvideResult:
    """ProvideEimPackageResult; ``result`` is the EimPackageResult alternative as it came."""

    eid: bytes | None
    result: Node
    dialect: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandleNotification:
    """HandleNotificationEsipa: one of the two is set."""

    notification: Node | None = None
    result: ProvideResult | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherFunction:
    """A function with a known or unknown tag that somebody else has to answer."""

    node: Node


Message = GetPackage | ProvideResult | HandleNotification | OtherFunction


@dataclass(slots=True)
class _Notes:
    said: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.said.append(text)


def read_request(body: bytes) -> Message:
    """The message in a request body; ``RequestRefusedError`` when it is none."""
    notes = _Notes()
    try:
        node = der.parse(body, ber=True)
        node = _single(node, notes)
        match node.tag:
            case 0xBF4F:
                return _read_get(node, notes)
            case 0xBF50:
                return _read_provide(node, notes)
            case 0xBF3D:
                return _read_notification(node, notes)
            case tag if tag > 0xFF and node.constructed:
                return OtherFunction(node)
            case tag:
                raise RequestRefusedError(f"{tag:X} is no ESipa function")
    except DerError as error:
        raise RequestRefusedError(f"not readable: {error}") from error


def _single(node: Node, notes: _Notes) -> Node:
    """Undo a tag that an encoder wrote twice (``BF4F { BF4F .. }``)."""
    if node.constructed and node.value[:2] == node.raw[:2] and node.tag > 0xFF:
        inside = node.children
        if len(inside) == 1 and inside[0].tag == node.tag:
            notes.add(f"{node.tag:X} is written twice")
            return inside[0]
    return node


def _read_get(node: Node, notes: _Notes) -> GetPackage:
    eid = node.find(0x5A)
    second = node.find(0x81)
    rplmn = node.find(0x82)
    dialect = None
    cause = None
    if second is not None and len(second.value) == 3:
        dialect, rplmn = V1_0, second
        notes.add("rPLMN under 81 as in v1.0")
    elif second is not None:
        cause, dialect = number(second), V1_2
    if rplmn is not None and rplmn is not second:
        dialect = V1_2
    return GetPackage(
        None if eid is None else eid.value,
        node.find(0x80) is not None,
        cause,
        None if rplmn is None else rplmn.value,
        dialect,
        tuple(notes.said),
    )


def _read_provide(node: Node, notes: _Notes) -> ProvideResult:
    children = node.children
    eid = None
    dialect: str | None = None  # a message without an EID may be of either version
    if children and children[0].tag == 0x5A:
        eid, dialect = children[0].value, V1_2
        children = children[1:]
    if not children:
        raise DerError("no result in BF50")
    if len(children) > 1:
        notes.add(f"{len(children) - 1} more elements after the result")
    result = children[0]
    if result.tag > 0xFF:
        result = _single(result, notes)
    if dialect is None and _only_in_v1_0(result):
        dialect = V1_0
        notes.add("v1.0 form")
    return ProvideResult(eid, result, dialect, tuple(notes.said))


def _only_in_v1_0(result: Node) -> bool:
    match result.tag:
        case 0x02:
            return True
        case 0x30:
            return result.find(0xBF2B) is not None
        case 0xBF52:
            data = result.find(0xA0)
            return result.find(0x81) is not None or (data is not None and data.find(0x80, 0xBF2B) is not None)
    return False


def _read_notification(node: Node, notes: _Notes) -> HandleNotification:
    children = node.children
    if not children:
        raise DerError("BF3D is empty")
    inside = children[0]
    if inside.tag == PROVIDE_RESULT:
        return HandleNotification(result=_read_provide(inside, notes), notes=tuple(notes.said))
    if inside.tag == 0xA1 and _looks_like_result(inside):
        notes.add("result under A1 as in v1.0")
        wrapped = inside.find(PROVIDE_RESULT)
        return HandleNotification(result=_read_provide(wrapped or inside, notes), notes=tuple(notes.said))
    if inside.tag == 0xA0:
        within = inside.children
        # Wrapped is right: A0 { BF37 / 30 / A0 / A1 }. A compact notification without its wrapper ends with 5F37.
        if len(within) == 1:
            return HandleNotification(notification=within[0], notes=tuple(notes.said))
    notes.add("notification without its A0")
    return HandleNotification(notification=inside, notes=tuple(notes.said))


def _looks_like_result(node: Node) -> bool:
    first = node.children[:1]
    return bool(first) and first[0].tag in (0x5A, 0xBF50, 0xBF51, 0xBF52, 0xBF54, 0x30, 0x02)


def package_answer(package: bytes) -> bytes:
    """GetEimPackageResponse with a package TLV."""
    return der.tlv(GET_EIM_PACKAGE, package)


def package_error(code: int, dialect: str) -> bytes:
    """GetEimPackageResponse with eimPackageError; v1.0 knows only 1 and 127."""
    if dialect == V1_0 and code != NO_PACKAGE:
        code = UNDEFINED
    return der.tlv(GET_EIM_PACKAGE, der.integer(code))


def acknowledgement(numbers: list[int], dialect: str) -> bytes:
    """ProvideEimPackageResultResponse: BF53 with the numbers, or the version's way to say nothing."""
    if numbers:
        return der.tlv(PROVIDE_RESULT, der.tlv(0xBF53, *(der.integer(one, 0x80) for one in numbers)))
    return der.tlv(PROVIDE_RESULT, b"" if dialect == V1_0 else der.seq())


def result_error(code: int, dialect: str) -> bytes:
    """ProvideEimPackageResultResponse with an error; v1.0 has none and stays empty."""
    return der.tlv(PROVIDE_RESULT, b"" if dialect == V1_0 else der.integer(code))


def function_error(tag: int, code: int = UNDEFINED) -> bytes:
    """The error alternative of a relay function's response (BF39, BF3B, BF3A, BF41)."""
    return der.tlv(tag, der.integer(code, ERROR_TAG.get(tag, 0x81)))


def written_twice(answer: bytes) -> bytes:
    """The answer with its tag doubled, as an encoder with a known fault emits it."""
    node = der.parse(answer, ber=True)
    return der.tlv(node.tag, node.raw)
