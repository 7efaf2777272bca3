"""Profiles as the eUICC lists them (BF2D, E3) and as a download announces them (BF25).

SGP.32 v1.2 ProfileInfo and StoreMetadataRequest, which add three fields to those of SGP.22 v2.5.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, Unreadable, outer, undouble
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.codec.tolerances import EMPTY_ANSWER, EXTRA_SEQUENCE, UNIVERSAL_INTEGER, UNREADABLE_ELEMENT, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .notifications import NotificationEvent
from .rules_authorisation_table import OperatorId

IOT_TAG_LIST: Final = bytes.fromhex("5A 4F 9F70 90 91 92 95 B6 B7 99 9F26 9F67 9F7B")
"""What an IoT agent wants to know of each profile; without a list the eUICC leaves out policy."""
SGP22_TAG_LIST: Final = bytes.fromhex("5A 4F 9F70 90 91 92 95 B6 B7 99")
"""The same without the fields of SGP.32, which some cards refuse."""


class ProfileState(IntEnum):
    """Whether a profile is the enabled one."""

    DISABLED = 0
    ENABLED = 1


_STATES: Final = frozenset(int(state) for state in ProfileState)


class ProfileClass(IntEnum):
    """What a profile is for."""

    TEST = 0
    PROVISIONING = 1
    OPERATIONAL = 2


@dataclass(frozen=True, slots=True)
class NotificationReceiver:
    """Which events of a profile are announced to whom."""

    events: frozenset[NotificationEvent]
    address: str


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """One installed profile. What the eUICC did not tell is None; an ICCID that it did tell never is."""

    raw: bytes = field(repr=False)
    iccid: Iccid | None
    iccid_raw: bytes | None
    aid: bytes | None
    state: int | None
    nickname: str | None
    service_provider_name: str | None
    profile_name: str | None
    profile_class: int | None
    notification_receivers: tuple[NotificationReceiver, ...]
    owner: OperatorId | None
    policy_rules: frozenset[int] | None
    ecall_indication: bool | None
    fallback_attribute: bool
    fallback_allowed: bool | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> ProfileInfo:
        """From one ``E3`` element."""
        return cls.read(tlv.parse(raw))

    @classmethod
    def read(cls, element: Tlv) -> ProfileInfo:
        """As ``parse``, from an element of a list."""
        if element.tag != 0xE3:
            raise CodecError(f"a profile cannot begin with {hex_tag(element.tag)}", offset=element.start)
        fields, notes = Fields(element), Notes()
        return cls(
            raw=element.raw,
            iccid=fields.iccid(0x5A, notes=notes),
            iccid_raw=fields.octets(0x5A),
            aid=fields.octets(0x4F),
            state=fields.number(0x9F70, notes=notes),
            nickname=fields.label(0x90, notes=notes),
            service_provider_name=fields.label(0x91, notes=notes),
            profile_name=fields.label(0x92, notes=notes),
            profile_class=fields.number(0x95, notes=notes),
            notification_receivers=_receivers(fields, notes),
            owner=_owner(fields, notes),
            policy_rules=fields.bits(0x99, notes=notes),
            ecall_indication=fields.flag(0x9F7B, notes=notes),
            fallback_attribute=bool(fields.flag(0x9F26, notes=notes)),
            fallback_allowed=fields.flag(0x9F67, notes=notes),
            tolerances=notes.ids,
        )

    @property
    def enabled(self) -> bool:
        """Whether the eUICC says that it is the enabled profile."""
        return self.state == ProfileState.ENABLED

    @property
    def state_known(self) -> bool:
        """Whether the eUICC told a state that is defined."""
        return self.state in _STATES

    @property
    def identity(self) -> str:
        """What this profile is remembered and compared by: the text of its ICCID, and where the eUICC told none the
        octets of its ISD-P AID (``0x…``). A profile is never "no profile"."""
        return str(Iccid(self.aid or b"") if self.iccid is None else self.iccid)


@dataclass(frozen=True, slots=True)
class ProfileMetadata:
    """What an SM-DP+ says about a profile before it is downloaded (BF25).

    ``policy_rules`` is None only when the field is there and cannot be read; a caller must then refuse, not allow.
    """

    raw: bytes = field(repr=False)
    iccid: Iccid | None
    iccid_raw: bytes
    service_provider_name: str
    profile_name: str
    profile_class: int
    notification_receivers: tuple[NotificationReceiver, ...]
    owner: OperatorId | None
    policy_rules: frozenset[int] | None
    ecall_indication: bool | None
    fallback_allowed: bool | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> ProfileMetadata:
        """From ``BF25 { 5A, 91, 92, … }``."""
        notes = Notes()
        fields = Fields(outer(raw, 0xBF25, notes, "profile metadata"))
        rules = fields.bits(0x99, notes=notes) if fields.present(0x99) else frozenset[int]()
        profile_class = fields.integer(0x95)
        return cls(
            raw=fields.owner.raw,
            iccid=fields.iccid(0x5A, notes=notes),
            iccid_raw=fields.require(0x5A, "iccid").value,
            service_provider_name=fields.label(0x91, notes=notes) or "",
            profile_name=fields.label(0x92, notes=notes) or "",
            profile_class=ProfileClass.OPERATIONAL if profile_class is None else profile_class,
            notification_receivers=_receivers(fields, notes),
            owner=_owner(fields, notes),
            policy_rules=rules,
            ecall_indication=fields.boolean(0x9F7B),
            fallback_allowed=fields.boolean(0x9F67),
            tolerances=notes.ids,
        )


@dataclass(frozen=True, slots=True)
class ProfileList:
    """The answer of GetProfilesInfo, and the result of listProfileInfo in a package."""

    raw: bytes = field(repr=False)
    profiles: tuple[ProfileInfo, ...] = ()
    error: ResultCode | None = None
    unreadable: tuple[Unreadable, ...] = ()
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> ProfileList:
        """From ``BF2D { A0 { E3 … } | 81 }``; a SEQUENCE too many inside or outside of A0 is unwrapped."""
        notes = Notes()
        body = outer(raw, 0xBF2D, notes, "a profile list")
        choice = body.find(0xA0, 0x81, 0x02)
        if choice is None:
            wrapped = body.find(0x30)
            choice = wrapped.find(0xA0, 0x81, 0x02) if wrapped else None
            if choice is not None:
                notes.take(EXTRA_SEQUENCE)
            elif wrapped is not None or body.children():
                raise CodecError("a profile list without A0 or 81", offset=body.start)
            else:
                notes.take(EMPTY_ANSWER)
                return cls(raw, tolerances=notes.ids)
        if choice.tag != 0xA0:
            if choice.tag == 0x02:
                notes.take(UNIVERSAL_INTEGER)
            return cls(raw, error=ResultCode(choice.integer(), code_names.LIST_PROFILES), tolerances=notes.ids)
        items = choice.children()
        if len(items) == 1 and items[0].tag == 0x30:
            notes.take(EXTRA_SEQUENCE)
            items = items[0].children()
        profiles: list[ProfileInfo] = []
        unreadable: list[Unreadable] = []
        for item in items:
            try:
                profile = ProfileInfo.read(undouble(item, notes))
            except CodecError as error:
                notes.take(UNREADABLE_ELEMENT)
                unreadable.append(Unreadable(item.raw, error.message))
            else:
                profiles.append(profile)
                notes.add(profile.tolerances)
        return cls(raw, tuple(profiles), None, tuple(unreadable), notes.ids)

    @property
    def doubt(self) -> str | None:
        """Why this list does not tell whether a profile is enabled; None when it does. What nobody can
        read would otherwise be "no profile"."""
        if self.error is not None or self.enabled is not None:
            return None
        if self.unreadable:
            return f"a profile cannot be read ({self.unreadable[0].reason})"
        if not all(profile.state_known for profile in self.profiles):
            return "the state of a profile is missing or none that is defined"
        return None

    @property
    def enabled(self) -> ProfileInfo | None:
        """The enabled profile, if one was listed."""
        return next((profile for profile in self.profiles if profile.enabled), None)


def _receivers(fields: Fields, notes: Notes) -> tuple[NotificationReceiver, ...]:
    listed = fields.first(0xB6)
    if listed is None:
        return ()
    receivers: list[NotificationReceiver] = []
    known = {int(event) for event in NotificationEvent}
    try:
        for item in listed:
            entry = Fields(item)
            bits = entry.bits(0x80, notes=notes) or frozenset()
            events = frozenset(NotificationEvent(bit) for bit in bits if bit in known)
            receivers.append(NotificationReceiver(events, entry.label(0x81, notes=notes) or ""))
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
    return tuple(receivers)


def _owner(fields: Fields, notes: Notes) -> OperatorId | None:
    found = fields.first(0xB7)
    if found is None:
        return None
    try:
        return OperatorId.read(found)
    except CodecError:
        notes.take(UNREADABLE_ELEMENT)
        return None
