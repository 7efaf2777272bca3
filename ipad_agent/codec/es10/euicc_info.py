"""What the eUICC says about itself (SGP.32 v1.2 §5.9.2; BF20, BF22)."""

from __future__ import annotations

from enum import IntEnum

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields, outer
from ipad_agent.codec.tolerances import UNREADABLE_ELEMENT, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .rules_authorisation_table import ProfilePolicyRule


class IpaMode(IntEnum):
    """Who is the IPA: the device or the eUICC."""

    IPAD = 0
    IPAE = 1


class RspCapability(IntEnum):
    """Bit numbers of RspCapability."""

    ADDITIONAL_PROFILE = 0
    CRL_SUPPORT = 1
    RPM_SUPPORT = 2
    TEST_PROFILE_SUPPORT = 3
    DEVICE_INFO_EXTENSIBILITY_SUPPORT = 4
    SERVICE_SPECIFIC_DATA_SUPPORT = 5


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A three-number version, ``03 02 01`` on the wire."""

    major: int
    minor: int
    revision: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Version:
        """From the 3 bytes of VersionType."""
        if len(data) != 3:
            raise CodecError(f"a version of {len(data)} bytes instead of 3")
        return cls(*data)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.revision}"


@dataclass(frozen=True, slots=True)
class IotSpecificInfo:
    """Only an IoT eUICC has it: the SGP.32 releases it speaks and two options. ``emulated``: it is not the card that
    says so, this device has the IoT functions in front of it."""

    versions: tuple[Version, ...]
    ecall: bool
    fallback: bool
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class ExtCardResource:
    """Free room on the eUICC; None where it does not say."""

    installed_applications: int | None
    free_non_volatile_bytes: int | None
    free_volatile_bytes: int | None


@dataclass(frozen=True, slots=True)
class EuiccInfo1:
    """``raw`` goes to servers as it is. The key identifiers are in the eUICC's order of preference."""

    raw: bytes = field(repr=False)
    svn: Version | None
    ci_pkids_for_verification: tuple[bytes, ...]
    ci_pkids_for_signing: tuple[bytes, ...]
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EuiccInfo1:
        """From ``BF20 { 82, A9, AA }``."""
        notes = Notes()
        fields = Fields(outer(raw, 0xBF20, notes, "EUICCInfo1"))
        return cls(
            fields.owner.raw,
            _version(fields, 0x82, notes),
            _pkids(fields, 0xA9, notes),
            _pkids(fields, 0xAA, notes),
            notes.ids,
        )

    def full_ci_pkid(self, prefix: bytes) -> bytes | None:
        """The whole identifier for one an eIM may have cut short (since v1.1); the first for an empty one."""
        for known in (*self.ci_pkids_for_signing, *self.ci_pkids_for_verification):
            if known.startswith(prefix):
                return known
        return None


@dataclass(frozen=True, slots=True)
class EuiccInfo2:
    """``raw`` goes to servers as it is. ``iot`` is None for a consumer eUICC, which has no IoT functions.

    ``forbidden_policy_rules`` holds bit numbers; a field that cannot be read forbids every rule.
    """

    raw: bytes = field(repr=False)
    profile_version: Version | None
    svn: Version | None
    firmware_version: Version | None
    ext_card_resource: ExtCardResource
    rsp_capability: frozenset[int] | None
    ci_pkids_for_verification: tuple[bytes, ...]
    ci_pkids_for_signing: tuple[bytes, ...]
    forbidden_policy_rules: frozenset[int]
    category: int | None
    pp_version: Version | None
    sas_accreditation_number: str | None
    ipa_mode: int | None
    iot: IotSpecificInfo | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> EuiccInfo2:
        """From ``BF22 { … }``; fields the agent has no use for are skipped."""
        notes = Notes()
        fields = Fields(outer(raw, 0xBF22, notes, "EUICCInfo2"))
        return cls(
            raw=fields.owner.raw,
            profile_version=_version(fields, 0x81, notes),
            svn=_version(fields, 0x82, notes),
            firmware_version=_version(fields, 0x83, notes),
            ext_card_resource=_resource(fields.octets(0x84), notes),
            rsp_capability=fields.bits(0x88, notes=notes),
            ci_pkids_for_verification=_pkids(fields, 0xA9, notes),
            ci_pkids_for_signing=_pkids(fields, 0xAA, notes),
            forbidden_policy_rules=_forbidden(fields, notes),
            category=fields.number(0x8B, notes=notes),
            pp_version=_version(fields, 0x04, notes),
            sas_accreditation_number=fields.label(0x0C, notes=notes),
            ipa_mode=fields.number(0x90, notes=notes),
            iot=_iot(fields.first(0xB4), notes),
            tolerances=notes.ids,
        )


def _version(fields: Fields, tag: int, notes: Notes) -> Version | None:
    data = fields.octets(tag)
    if data is None:
        return None
    if len(data) != 3:
        notes.take(UNREADABLE_ELEMENT)
        return None
    return Version.from_bytes(data)


def _pkids(fields: Fields, tag: int, notes: Notes) -> tuple[bytes, ...]:
    listed = fields.first(tag)
    try:
        return tuple(item.value for item in listed if item.tag == 0x04) if listed else ()
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
        return ()


def _forbidden(fields: Fields, notes: Notes) -> frozenset[int]:
    if not fields.present(0x99):
        return frozenset()
    bits = fields.bits(0x99, notes=notes)
    return frozenset(int(rule) for rule in ProfilePolicyRule) if bits is None else bits


def _resource(data: bytes | None, notes: Notes) -> ExtCardResource:
    """Unsigned numbers of any length under 81, 82, 83 (ETSI TS 102 226 §8.2.1.7.2)."""
    found: dict[int, int] = {}
    try:
        for item in tlv.parse_all(data or b""):
            found[item.tag] = int.from_bytes(item.value[:8], "big")
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
    return ExtCardResource(found.get(0x81), found.get(0x82), found.get(0x83))


def _iot(element: Tlv | None, notes: Notes) -> IotSpecificInfo | None:
    """The field alone says that this is an IoT eUICC, whatever is in it."""
    if element is None:
        return None
    versions: list[Version] = []
    try:
        fields = Fields(element)
        listed = tuple(fields.first(0xA0) or ())
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
        return IotSpecificInfo((), False, False)
    for item in listed:
        if len(item.value) == 3:
            versions.append(Version.from_bytes(item.value))
        else:
            notes.take(UNREADABLE_ELEMENT)
    return IotSpecificInfo(tuple(versions), fields.present(0x81), fields.present(0x82))
