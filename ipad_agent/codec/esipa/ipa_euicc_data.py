"""What an eIM may ask the IPA itself, and the answer (SGP.32 v1.2 §2.11.1.2, §2.11.2.2; IpaEuiccDataRequest BF52)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Final, Literal

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv_fields import Fields, outer, retag
from ipad_agent.codec.es10.notifications import AllPackageResults, Criterion, read_criterion
from ipad_agent.codec.tolerances import OLD_CRITERION, OLD_TAG_LIST, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

Dialect = Literal["1.2", "1.0"]
"""Which release's tags a peer speaks; v1.1 is on the wire as v1.2."""


class DataItem(Enum):
    """What can be asked for; the value is its tag in v1.2."""

    NOTIFICATIONS = 0xA0
    DEFAULT_SMDP_ADDRESS = 0x81
    PACKAGE_RESULTS = 0xA2
    EUICC_INFO1 = 0xBF20
    EUICC_INFO2 = 0xBF22
    ROOT_SMDS_ADDRESS = 0x83
    ASSOCIATION_TOKEN = 0x84
    EUM_CERTIFICATE = 0xA5
    EUICC_CERTIFICATE = 0xA6
    IPA_CAPABILITIES = 0xA8
    DEVICE_INFO = 0xA9


class DataRequestError(IntEnum):
    """IpaEuiccDataErrorCode."""

    INCORRECT_TAG_LIST = 1
    EUICC_CI_PKID_NOT_FOUND = 5
    ECALL_ACTIVE = 104
    UNDEFINED_ERROR = 127


_BY_TAG: Final = {item.value: item for item in DataItem}
_OLD_TAGS: Final = {
    0x80: DataItem.DEFAULT_SMDP_ADDRESS,
    0xBF2B: DataItem.NOTIFICATIONS,
    0x88: DataItem.IPA_CAPABILITIES,
}
MAX_TAGS: Final = 64


@dataclass(frozen=True, slots=True)
class IpaEuiccDataRequest:
    """A data request. ``items`` is what the tags mean, whatever the dialect they were written in.

    ``tag_list_ok`` is False when the list is missing or is no list of tags; then, or with ``unknown_tags``, the
    answer is incorrectTagList(1). ``ci_pkid`` may be a prefix of the key identifier (since v1.1).
    """

    raw: bytes = field(repr=False)
    tags: tuple[int, ...]
    items: frozenset[DataItem]
    ci_pkid: bytes | None
    notification_criteria: Criterion | None
    epr_criteria: Criterion | None
    eim_transaction_id: bytes | None
    dialect: Dialect
    unknown_tags: tuple[int, ...]
    tag_list_ok: bool = True
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> IpaEuiccDataRequest:
        """From ``BF52 { 5C, 04?, A1?, A2?, 83? }`` of v1.0 to v1.2."""
        notes = Notes()
        fields = Fields(outer(raw, 0xBF52, notes, "a data request"))
        tag_list = fields.octets(0x5C)
        tags, complete = split_tag_list(tag_list or b"")
        old = any(tag in _OLD_TAGS for tag in tags)
        if old:
            notes.take(OLD_TAG_LIST)
        items = frozenset(item for tag in tags if (item := _BY_TAG.get(tag) or _OLD_TAGS.get(tag)) is not None)
        first, second = fields.first(0xA1), fields.first(0xA2)
        notification_criteria = None if first is None else read_criterion(first)
        epr_criteria = None if second is None else read_criterion(second)
        if isinstance(notification_criteria, AllPackageResults):
            # v1.0 asked for notifications or results through one criterion; one of both is what it gets.
            notes.take(OLD_CRITERION)
            notification_criteria, epr_criteria = None, epr_criteria or AllPackageResults()
            items = (items - {DataItem.NOTIFICATIONS}) | {DataItem.PACKAGE_RESULTS}
        return cls(
            raw=fields.owner.raw,
            tags=tags,
            items=items,
            ci_pkid=fields.octets(0x04) or None,
            notification_criteria=notification_criteria,
            epr_criteria=epr_criteria,
            eim_transaction_id=fields.octets(0x83),
            dialect="1.0" if old or OLD_CRITERION.id in notes.ids else "1.2",
            unknown_tags=tuple(tag for tag in tags if tag not in _BY_TAG and tag not in _OLD_TAGS),
            tag_list_ok=complete and bool(tags),
            tolerances=notes.ids,
        )


def split_tag_list(data: bytes) -> tuple[tuple[int, ...], bool]:
    """Tags written one after the other without separators, and whether the last one was complete."""
    tags: list[int] = []
    at = 0
    while at < len(data) and len(tags) < MAX_TAGS:
        start = at
        at += 1
        if data[start] & 0x1F == 0x1F:
            while at < len(data) and data[at] & 0x80 and at - start < 3:
                at += 1
            if at >= len(data) or data[at] & 0x80:
                return tuple(tags), False
            at += 1
        tags.append(int.from_bytes(data[start:at], "big"))
    return tuple(tags), at >= len(data)


def encode_ipa_euicc_data(
    *,
    dialect: Dialect = "1.2",
    eim_transaction_id: bytes | None = None,
    notifications: Sequence[bytes] | None = None,
    default_smdp_address: str | None = None,
    package_results: Sequence[bytes] | None = None,
    euicc_info1: bytes | None = None,
    euicc_info2: bytes | None = None,
    root_smds_address: str | None = None,
    association_token: int | None = None,
    eum_certificate: bytes | None = None,
    euicc_certificate: bytes | None = None,
    ipa_capabilities: bytes | None = None,
    device_info: bytes | None = None,
) -> bytes:
    """``BF52 { A0 { … } }`` with the given items in the order of the schema; what is None is left out.

    Lists hold whole elements (package results under BF51), infos and certificates (``30``) are whole elements as the
    eUICC gave them, ``ipa_capabilities`` and ``device_info`` elements under any tag. In the v1.0 dialect the SM-DP+
    address is ``80`` and the lists are one RetrieveNotificationsListResponse at the end.
    """
    new = dialect == "1.2"
    parts: list[bytes] = []
    if new and notifications is not None:
        parts.append(tlv.encode(0xA0, *notifications))
    if default_smdp_address is not None:
        parts.append(tlv.encode(0x81 if new else 0x80, default_smdp_address.encode()))
    if new and package_results is not None:
        parts.append(tlv.encode(0xA2, *package_results))
    parts += [info for info in (euicc_info1, euicc_info2) if info is not None]
    if root_smds_address is not None:
        parts.append(tlv.encode(0x83, root_smds_address.encode()))
    if association_token is not None:
        parts.append(tlv.encode_integer(0x84, association_token))
    parts += [retag(der, tag) for tag, der in ((0xA5, eum_certificate), (0xA6, euicc_certificate)) if der is not None]
    if eim_transaction_id is not None:
        parts.append(tlv.encode(0x87, eim_transaction_id))
    parts += [retag(der, tag) for tag, der in ((0xA8, ipa_capabilities), (0xA9, device_info)) if der is not None]
    if not new:
        parts += _old_lists(notifications, package_results)
    return tlv.encode(0xBF52, tlv.encode(0xA0, *parts))


def _old_lists(notifications: Sequence[bytes] | None, results: Sequence[bytes] | None) -> list[bytes]:
    """v1.0 has one field for both lists, the RetrieveNotificationsListResponse."""
    if notifications is not None and results is not None:
        both = tlv.encode(0xA3, tlv.encode(0xA0, *notifications), tlv.encode(0xA1, *map(_bare, results)))
        return [tlv.encode(0xBF2B, both)]
    if notifications is not None:
        return [tlv.encode(0xBF2B, tlv.encode(0xA0, *notifications))]
    if results is not None:
        return [tlv.encode(0xBF2B, tlv.encode(0xA2, *map(_bare, results)))]
    return []


def _bare(result: bytes) -> bytes:
    """A package result as v1.0 lists carry it: the alternative without BF51."""
    element = tlv.parse(result)
    return element.value if element.tag == 0xBF51 else result


def encode_ipa_euicc_data_error(
    eim_transaction_id: bytes | None, code: DataRequestError | int, *, dialect: Dialect = "1.2"
) -> bytes:
    """``BF52 { A1 { 80?, 02 } }``, or ``BF52 { 81 }`` in the v1.0 dialect, which has no room for the transaction."""
    if dialect == "1.0":
        return tlv.encode(0xBF52, tlv.encode_integer(0x81, code))
    echo = b"" if eim_transaction_id is None else tlv.encode(0x80, eim_transaction_id)
    return tlv.encode(0xBF52, tlv.encode(0xA1, echo, tlv.encode_integer(0x02, code)))


def parse_ipa_euicc_data_error(raw: bytes) -> int | None:
    """The error number of an answer in either dialect, None when it is data; for what is sent again from a journal."""
    fields = Fields(outer(raw, 0xBF52, Notes(), "a data response"))
    if fields.present(0xA0):
        return None
    error = fields.first(0xA1)
    number = fields.integer(0x81) if error is None else Fields(error).integer(0x02)
    if number is None:
        raise CodecError("a data response with neither data nor error", offset=0)
    return number
