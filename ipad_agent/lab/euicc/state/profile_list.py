"""Profiles: how they are listed (BF2D), and ready-made ones to fill a card with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError

from .card_state import DELETE, DISABLE, ENABLE, INSTALL, OPERATIONAL, PROVISIONING, NotificationTarget, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .isdr_state import Isdr

DEFAULT_TAGS = (0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95, 0x9F7B, 0x9F26, 0x9F67)
"""What a list without tagList shows (SGP.32 §2.11.1.1.3, §5.9.14)."""
CONSUMER_DEFAULT_TAGS = (0x5A, 0x4F, 0x9F70, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95)
"""The same of a consumer card (SGP.22 §5.7.15)."""
SGP32_TAGS = frozenset({0x9F7B, 0x9F26, 0x9F67, 0xBF64})
LIST = 0xBF2D
INCORRECT_INPUT, CHANGE_ONGOING = 1, 11
MAX_PROFILES = 256
_ICCID = re.compile(r"[0-9A-F]{17,19}[0-9A-E]")
_AID_PREFIX = bytes.fromhex("A0000005591010FFFFFFFF89")
_EVENTS = (INSTALL, ENABLE, DISABLE, DELETE)

BOOTSTRAP = "89490200001000000011"
OPERATOR_A = "89490200002000000027"
OPERATOR_B = "89490200003000000033"
EMERGENCY = "89490200004000000049"


def tbcd(iccid: str) -> bytes:
    """18 to 20 digits or letters as the 10 bytes of EF_ICCID: nibbles swapped, filled with F. An F within makes it an
    ICCID that nobody can read as one, which a card holds all the same."""
    if not _ICCID.fullmatch(iccid):
        raise ValueError(f"an ICCID has 18 to 20 digits or letters A to E, not {iccid!r}")
    filled = iccid.ljust(20, "F")
    return bytes.fromhex("".join(filled[i + 1] + filled[i] for i in range(0, 20, 2)))


def digits(raw: bytes) -> str:
    """The inverse of ``tbcd``; bytes that are no ICCID give a text that no profile has."""
    text = raw.hex().upper()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2)).rstrip("F")


def with_check_digit(body: str) -> str:
    """``body`` and its Luhn digit (ITU-T E.118): 19 digits become a whole ICCID."""
    doubled = (int(d) * (2 - i % 2) for i, d in enumerate(reversed(body)))
    return f"{body}{-sum(d // 10 + d % 10 for d in doubled) % 10}"


def isdp_aid(number: int) -> bytes:
    """The AID of the ISD-P with this number."""
    return _AID_PREFIX + (0x1000 + 0x100 * number).to_bytes(4, "big")


def free_aid(profiles: Sequence[Profile]) -> bytes | None:
    """The first ISD-P AID that none of ``profiles`` has; None when all are taken."""
    taken = {p.aid for p in profiles}
    return next((aid for aid in map(isdp_aid, range(MAX_PROFILES)) if aid not in taken), None)


def default_profiles() -> list[Profile]:
    """A bootstrap profile (enabled, provisioning, fallback) and the profiles of two operators (disabled)."""
    return [
        Profile(
            BOOTSTRAP,
            isdp_aid(0),
            name="Bootstrap",
            service_provider="Lab Bootstrap",
            profile_class=PROVISIONING,
            enabled=True,
            fallback_attribute=True,
            fallback_allowed=True,
            mcc_mnc=bytes.fromhex("62F210"),
            preloaded=True,
            http_params=bytes.fromhex("35070203000003000047090869706164746573740000"),
        ),
        _operator(OPERATOR_A, 1, "Operator A", "62F220"),
        _operator(OPERATOR_B, 2, "Operator B", "62F230"),
    ]


def emergency_profile() -> Profile:
    """A disabled profile for emergency calls, served by whoever is there."""
    return Profile(
        EMERGENCY,
        isdp_aid(3),
        name="Emergency",
        service_provider="Lab Emergency",
        mcc_mnc=bytes.fromhex("62F240"),
        ecall=True,
    )


def _operator(iccid: str, number: int, name: str, mcc_mnc: str) -> Profile:
    return Profile(
        iccid,
        isdp_aid(number),
        name=f"{name} IoT",
        service_provider=name,
        notify=[NotificationTarget(event, "smdp.lab.example") for event in _EVENTS],
        mcc_mnc=bytes.fromhex(mcc_mnc),
        dp_oid="2.999.10",
        fallback_allowed=True,
    )


def bulk_profiles(count: int = 18, icon_bytes: int = 1024, first_number: int = 0x20) -> list[Profile]:
    """Disabled profiles with big icons: 18 of them make a list of about 20 kB."""
    return [
        Profile(
            with_check_digit(f"894902000090{number:07d}"),
            isdp_aid(first_number + number),
            name=f"Bulk {number}",
            service_provider="Lab Bulk",
            profile_class=OPERATIONAL,
            icon_type=1,
            icon=bytes((number + i) & 0xFF for i in range(icon_bytes)),
        )
        for number in range(count)
    ]


def list_profiles(isdr: Isdr, request: der.Node) -> bytes:
    """GetProfilesInfo (SGP.22 §5.7.15), also the listProfileInfo operation; ``request`` is its BF2D."""
    try:
        chosen = _search(isdr.state.profiles, request.find(0xA0))
        tag_list = request.find(0x5C)
        default = CONSUMER_DEFAULT_TAGS if isdr.quirks.consumer else DEFAULT_TAGS
        tags = default if tag_list is None else _tags(tag_list.value)
        if isdr.quirks.refuses_sgp32_tags and not SGP32_TAGS.isdisjoint(tags) and tag_list is not None:
            if isdr.quirks.tag_refusal_status:
                raise StatusError(isdr.quirks.tag_refusal_status)
            return list_error(isdr, INCORRECT_INPUT)
    except der.DerError:
        return list_error(isdr, INCORRECT_INPUT)
    infos = b"".join(profile_info(isdr, profile, tags) for profile in chosen)
    if isdr.quirks.extra_sequence_in_profile_list:
        infos = der.seq(infos)
    return der.tlv(LIST, der.tlv(0xA0, infos))


def list_error(isdr: Isdr, error: int) -> bytes:
    """BF2D with profileInfoListError."""
    return der.tlv(LIST, der.integer(error, isdr.quirks.list_error_tag))


def profile_info(isdr: Isdr, profile: Profile, tags: Sequence[int]) -> bytes:
    """E3 with those of ``tags`` that the profile has, in the order of the type."""
    before = isdr.states_before_change
    enabled = profile.enabled
    if isdr.quirks.old_state_until_reset and before is not None:
        enabled = before.get(profile.iccid, enabled)
    fields = {
        0x5A: der.octets(tbcd(profile.iccid), 0x5A),
        0x4F: der.octets(profile.aid, 0x4F),
        0x9F70: der.integer(int(enabled), 0x9F70),
        0x90: der.utf8(profile.nickname, 0x90) if profile.nickname else b"",
        0x91: der.utf8(profile.service_provider, 0x91),
        0x92: der.utf8(profile.name, 0x92),
        0x93: der.integer(profile.icon_type, 0x93) if profile.icon_type is not None else b"",
        0x94: der.octets(profile.icon, 0x94) if profile.icon else b"",
        0x95: der.integer(profile.profile_class, 0x95),
        0xB6: _targets(profile),
        0xB7: operator_id(profile.mcc_mnc, profile.gid1, profile.gid2, 0xB7) if profile.mcc_mnc else b"",
        0xB8: der.tlv(0xB8, der.oid(profile.dp_oid, 0x80)) if profile.dp_oid else b"",
        0x99: der.bits(profile.ppr, 0x99) if profile.ppr else b"",
        0xBF22: der.tlv(0xBF22, profile.service_data) if profile.service_data else b"",
        0x9F7B: der.boolean(True, 0x9F7B) if profile.ecall else b"",
        0x9F26: der.boolean(True, 0x9F26) if profile.fallback_attribute else b"",
        0x9F67: der.boolean(True, 0x9F67) if profile.fallback_allowed else b"",
    }
    if isdr.quirks.consumer:
        # A card of SGP.22 has never heard of these, so it has no value for them either.
        unknown = SGP32_TAGS - isdr.quirks.tells_sgp32_tags
        fields = {tag: field for tag, field in fields.items() if tag not in unknown}
    return der.tlv(0xE3, *(field for tag, field in fields.items() if tag in tags))


def operator_id(mcc_mnc: bytes, gid1: bytes | None, gid2: bytes | None, tag: int = 0x30) -> bytes:
    """OperatorId."""
    gids = (der.octets(gid, t) for t, gid in ((0x81, gid1), (0x82, gid2)) if gid is not None)
    return der.tlv(tag, der.octets(mcc_mnc, 0x80), *gids)


def _targets(profile: Profile) -> bytes:
    rows = (der.seq(der.bits([t.event], 0x80), der.utf8(t.address, 0x81)) for t in profile.notify)
    return der.tlv(0xB6, *rows) if profile.notify else b""


def _search(profiles: list[Profile], criteria: der.Node | None) -> list[Profile]:
    if criteria is None:
        return profiles
    if len(criteria.children) != 1:
        raise der.DerError("not exactly one search criterion")
    wanted = criteria.children[0]
    match wanted.tag:
        case 0x4F:
            return [p for p in profiles if p.aid == wanted.value]
        case 0x5A:
            return [p for p in profiles if tbcd(p.iccid) == wanted.value]
        case 0x95:
            return [p for p in profiles if p.profile_class == wanted.integer()]
    raise der.DerError(f"no search by {wanted.tag:X}")


def _tags(tag_list: bytes) -> list[int]:
    tags = []
    offset = 0
    while offset < len(tag_list):
        tag, offset = der.read_tag(tag_list, offset)
        tags.append(tag)
    return tags
