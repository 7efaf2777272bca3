"""ES10b functions that set something or switch profiles (SGP.32 v1.2 §5.9.4-§5.9.25). See ``es10`` for the rules."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, outer, result_code
from ipad_agent.codec.tolerances import CONTEXT_INTEGER, EMPTY_ANSWER, UNIVERSAL_INTEGER, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from .euicc_package import EuiccPackageResult


def _flagged(tag: int, refresh: bool) -> bytes:
    return tlv.encode(tag, tlv.encode(0x80, b"\xff" if refresh else b"\0"))


# -- eIM association and settings ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddInitialEimResult:
    """One entry per eIM of the request: its association token, or None when none was asked for."""

    tokens: tuple[int | None, ...] = ()
    error: ResultCode | None = None
    tolerances: tuple[str, ...] = ()


def parse_add_initial_eim(raw: bytes) -> AddInitialEimResult:
    """From ``BF57 { A0 { 84 | 05 … } | 81 }``; an empty answer counts as success without tokens."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF57, notes, "the answer to AddInitialEim"))
    found = fields.first(0xA0)
    if found is not None:
        entries = (item for item in found if item.tag in (0x84, 0x05))
        return AddInitialEimResult(
            tuple(item.integer() if item.tag == 0x84 else None for item in entries), None, notes.ids
        )
    number = fields.first(0x81, 0x02)
    if number is not None:
        if number.tag == 0x02:
            notes.take(UNIVERSAL_INTEGER)
        return AddInitialEimResult((), ResultCode(number.integer(), code_names.ADD_EIM), notes.ids)
    if fields.items:
        raise CodecError("the answer to AddInitialEim has neither A0 nor 81", offset=fields.owner.start)
    notes.take(EMPTY_ANSWER)
    return AddInitialEimResult(tolerances=notes.ids)


def set_default_dp_request(address: str) -> bytes:
    """SetDefaultDpAddress, §5.9.25; an empty address clears it."""
    return tlv.encode(0xBF65, tlv.encode(0x80, address.encode()))


def parse_set_default_dp(raw: bytes) -> ResultCode:
    """From ``BF65 { 80 }``."""
    return result_code(raw, 0xBF65, code_names.SET_DEFAULT_DP, "the answer to SetDefaultDpAddress")


class ResetOption(IntEnum):
    """Bit numbers of resetOptions (BF64)."""

    OPERATIONAL_PROFILES = 0
    FIELD_LOADED_TEST_PROFILES = 1
    DEFAULT_SMDP_ADDRESS = 2
    PRE_LOADED_TEST_PROFILES = 3
    PROVISIONING_PROFILES = 4
    EIM_CONFIGURATION = 5
    IMMEDIATE_ENABLE_CONFIGURATION = 6


_OLD_RESET_BITS: Final = {
    ResetOption.OPERATIONAL_PROFILES: 0,
    ResetOption.FIELD_LOADED_TEST_PROFILES: 1,
    ResetOption.DEFAULT_SMDP_ADDRESS: 2,
    ResetOption.EIM_CONFIGURATION: 3,
    ResetOption.IMMEDIATE_ENABLE_CONFIGURATION: 4,
}


@dataclass(frozen=True, slots=True)
class MemoryResetResult:
    """One number per part of the reset; None for a part the eUICC did not report."""

    result: ResultCode
    eim_result: ResultCode | None = None
    immediate_enable_result: ResultCode | None = None


def memory_reset_request(options: Iterable[ResetOption], *, v1_0: bool = False) -> bytes:
    """EuiccMemoryReset, §5.9.5. ``v1_0`` gives the BF34 form of cards before v1.1, whose bits differ.

    Raises ``CodecError`` for an option the old form cannot say: leaving it out would reset less than was asked.
    """
    if not v1_0:
        return tlv.encode(0xBF64, tlv.encode_bits(0x82, {int(option) for option in options}))
    wanted = set(options)
    missing = wanted - set(_OLD_RESET_BITS)
    if missing:
        raise CodecError(
            f"a v1.0 eUICC cannot reset {', '.join(sorted(option.name for option in missing))}",
            hint="Ask for fewer parts to be reset.",
        )
    return tlv.encode(0xBF34, tlv.encode_bits(0x82, {_OLD_RESET_BITS[option] for option in wanted}))


def parse_memory_reset(raw: bytes) -> MemoryResetResult:
    """From ``BF64 { 80, 81?, 82? }``, or BF34 of older cards."""
    tag = 0xBF34 if raw[:2] == b"\xbf\x34" else 0xBF64
    fields = Fields(outer(raw, tag, Notes(), "the answer to EuiccMemoryReset"))
    eim, immediate = fields.integer(0x81), fields.integer(0x82)
    return MemoryResetResult(
        ResultCode(fields.require(0x80, "resetResult").integer(), code_names.MEMORY_RESET),
        None if eim is None else ResultCode(eim, code_names.MEMORY_RESET_EIM),
        None if immediate is None else ResultCode(immediate, code_names.MEMORY_RESET_IMMEDIATE),
    )


def configure_immediate_enabling_request(
    *, enable: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
) -> bytes:
    """ConfigureImmediateProfileEnabling, §5.9.17. ``smdp_oid`` is the content of an OBJECT IDENTIFIER."""
    return tlv.encode(
        0xBF59,
        tlv.encode(0x80) if enable else b"",
        b"" if smdp_oid is None else tlv.encode(0x81, smdp_oid),
        b"" if smdp_address is None else tlv.encode(0x82, smdp_address.encode()),
    )


def parse_configure_immediate_enabling(raw: bytes) -> ResultCode:
    """From ``BF59 { 80 }``."""
    return result_code(
        raw, 0xBF59, code_names.CONFIGURE_IMMEDIATE_LOCAL, "the answer to ConfigureImmediateProfileEnabling"
    )


def ipae_activation_request(*, activate: bool = True) -> bytes:
    """IpaeActivation, §3.8: from then on the eUICC's own IPA works and the IPAd has no ES10 any more."""
    return tlv.encode(0xBF42, tlv.encode_bits(0x80, {0} if activate else set()))


def parse_ipae_activation(raw: bytes) -> ResultCode:
    """From ``BF42 { 80 }``."""
    return result_code(raw, 0xBF42, code_names.IPAE_ACTIVATION, "the answer to IpaeActivation")


# -- switching -------------------------------------------------------------------------------------------------------


def immediate_enable_request(*, refresh: bool, v1_0: bool = False) -> bytes:
    """ImmediateEnable, §5.9.15; before v1.1 the request had no field."""
    return tlv.encode(0xBF5A) if v1_0 else _flagged(0xBF5A, refresh)


def parse_immediate_enable(raw: bytes) -> ResultCode:
    """From ``BF5A { 80 }``."""
    return result_code(raw, 0xBF5A, code_names.IMMEDIATE_ENABLE, "the answer to ImmediateEnable")


def profile_rollback_request(*, refresh: bool) -> bytes:
    """ProfileRollback, §5.9.16."""
    return _flagged(0xBF58, refresh)


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """Whether the former profile is back, and the new package result that replaces the undelivered one."""

    result: ResultCode
    package_result: EuiccPackageResult | None = None
    tolerances: tuple[str, ...] = ()


def parse_profile_rollback(raw: bytes) -> RollbackResult:
    """From ``BF58 { 02, BF51? }``; the number under 80 and a result without BF51 are read too."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF58, notes, "the answer to ProfileRollback"))
    number = fields.first(0x02, 0x80)
    if number is None:
        raise CodecError("the answer to ProfileRollback has no result code", offset=fields.owner.start)
    if number.tag == 0x80:
        notes.take(CONTEXT_INTEGER)
    found = fields.first(0xBF51, 0xA0, 0xA1, 0xA2)
    package_result = None
    if found is not None:
        package_result = EuiccPackageResult.read(found)
        notes.add(package_result.tolerances)
    return RollbackResult(ResultCode(number.integer(), code_names.PROFILE_ROLLBACK), package_result, notes.ids)


def execute_fallback_request(*, refresh: bool) -> bytes:
    """ExecuteFallbackMechanism, §5.9.20."""
    return _flagged(0xBF5D, refresh)


def parse_execute_fallback(raw: bytes) -> ResultCode:
    """From ``BF5D { 80 }``."""
    return result_code(raw, 0xBF5D, code_names.EXECUTE_FALLBACK, "the answer to ExecuteFallbackMechanism")


def return_from_fallback_request(*, refresh: bool) -> bytes:
    """ReturnFromFallback, §5.9.21."""
    return _flagged(0xBF5E, refresh)


def parse_return_from_fallback(raw: bytes) -> ResultCode:
    """From ``BF5E { 80 }``."""
    return result_code(raw, 0xBF5E, code_names.RETURN_FROM_FALLBACK, "the answer to ReturnFromFallback")


def enable_emergency_profile_request(*, refresh: bool) -> bytes:
    """EnableEmergencyProfile, §5.9.22."""
    return _flagged(0xBF5B, refresh)


def parse_enable_emergency_profile(raw: bytes) -> ResultCode:
    """From ``BF5B { 80 }``."""
    return result_code(raw, 0xBF5B, code_names.ENABLE_EMERGENCY, "the answer to EnableEmergencyProfile")


def disable_emergency_profile_request(*, refresh: bool) -> bytes:
    """DisableEmergencyProfile, §5.9.23."""
    return _flagged(0xBF5C, refresh)


def parse_disable_emergency_profile(raw: bytes) -> ResultCode:
    """From ``BF5C { 80 }``."""
    return result_code(raw, 0xBF5C, code_names.DISABLE_EMERGENCY, "the answer to DisableEmergencyProfile")
