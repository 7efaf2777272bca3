"""ES10c, the profile management of consumer eUICCs (SGP.22 v2.5 §5.7.16-§5.7.21), for a device that has the IoT
functions in front of such a card. An IoT eUICC has no ES10c for its IPA.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.code_names import Names
from ipad_agent.codec.ber.tlv_fields import ResultCode, result_code
from ipad_agent.errors import CodecError

from .es10_control import MemoryResetResult, ResetOption, parse_memory_reset

ENABLE_PROFILE: Final[Names] = {
    0: "ok",
    1: "iccidOrAidNotFound",
    2: "profileNotInDisabledState",
    3: "disallowedByPolicy",
    4: "wrongProfileReenabling",
    5: "catBusy",
    127: "undefinedError",
}
DISABLE_PROFILE: Final[Names] = {
    0: "ok",
    1: "iccidOrAidNotFound",
    2: "profileNotInEnabledState",
    3: "disallowedByPolicy",
    5: "catBusy",
    127: "undefinedError",
}
DELETE_PROFILE: Final[Names] = {
    0: "ok",
    1: "iccidOrAidNotFound",
    2: "profileNotInDisabledState",
    3: "disallowedByPolicy",
    127: "undefinedError",
}
SET_DEFAULT_DP_ADDRESS: Final[Names] = {0: "ok", 127: "undefinedError"}

RESET_PARTS: Final = frozenset(
    {
        ResetOption.OPERATIONAL_PROFILES,
        ResetOption.FIELD_LOADED_TEST_PROFILES,
        ResetOption.DEFAULT_SMDP_ADDRESS,
    }
)
"""What eUICCMemoryReset (BF34) of SGP.22 v2 can delete."""


def enable_profile_request(iccid: bytes, *, refresh: bool = False) -> bytes:
    """EnableProfile, SGP.22 §5.7.16; ``iccid`` are the octets of tag 5A."""
    return _with_refresh(0xBF31, iccid, refresh)


def parse_enable_profile(raw: bytes) -> ResultCode:
    """From ``BF31 { 80 }``."""
    return result_code(raw, 0xBF31, ENABLE_PROFILE, "the answer to EnableProfile")


def disable_profile_request(iccid: bytes, *, refresh: bool = False) -> bytes:
    """DisableProfile, SGP.22 §5.7.17."""
    return _with_refresh(0xBF32, iccid, refresh)


def parse_disable_profile(raw: bytes) -> ResultCode:
    """From ``BF32 { 80 }``."""
    return result_code(raw, 0xBF32, DISABLE_PROFILE, "the answer to DisableProfile")


def delete_profile_request(iccid: bytes) -> bytes:
    """DeleteProfile, SGP.22 §5.7.18."""
    return tlv.encode(0xBF33, tlv.encode(0x5A, iccid))


def parse_delete_profile(raw: bytes) -> ResultCode:
    """From ``BF33 { 80 }``."""
    return result_code(raw, 0xBF33, DELETE_PROFILE, "the answer to DeleteProfile")


def set_default_dp_address_request(address: bytes) -> bytes:
    """SetDefaultDpAddress of SGP.22 §5.7.4: the same as the one of SGP.32 under another tag."""
    return tlv.encode(0xBF3F, tlv.encode(0x80, address))


def parse_set_default_dp_address(raw: bytes) -> ResultCode:
    """From ``BF3F { 80 }``."""
    return result_code(raw, 0xBF3F, SET_DEFAULT_DP_ADDRESS, "the answer to SetDefaultDpAddress")


def euicc_memory_reset_request(options: Iterable[ResetOption]) -> bytes:
    """eUICCMemoryReset, SGP.22 §5.7.19. Raises ``CodecError`` for a part that it cannot name: leaving it out would
    reset less than was asked."""
    wanted = set(options)
    if wanted - RESET_PARTS:
        missing = ", ".join(sorted(option.name for option in wanted - RESET_PARTS))
        raise CodecError(f"a consumer eUICC cannot reset {missing}", hint="Ask for fewer parts to be reset.")
    return tlv.encode(0xBF34, tlv.encode_bits(0x82, {int(option) for option in wanted}))


def parse_euicc_memory_reset(raw: bytes) -> MemoryResetResult:
    """From ``BF34 { 80 }``."""
    return parse_memory_reset(raw)


def _with_refresh(tag: int, iccid: bytes, refresh: bool) -> bytes:
    flag = b"\xff" if refresh else b"\0"
    return tlv.encode(tag, tlv.encode(0xA0, tlv.encode(0x5A, iccid)), tlv.encode(0x81, flag))
