"""ES10 functions an IPAd uses, except those of a download: requests and answers (SGP.32 v1.2 §5.9, SGP.22 v2.5 §5.7).

``xxx_request`` gives the command data for STORE DATA, ``parse_xxx`` reads the answer. A negative result is a value,
not an error; ``CodecError`` means that the answer is no answer of this function. The functions of a download are in
``es10_rsp`` and can be reached from here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ipad_agent.errors import CodecError

from . import names, tlv
from .eim_config import EimConfigurations, add_initial_eim_from_dump, add_initial_eim_request
from .es10_rsp import (
    AuthenticateServerResponse,
    CancelSessionReason,
    CancelSessionResponse,
    PrepareDownloadResponse,
    authenticate_server_request,
    cancel_session_request,
    get_challenge_request,
    parse_authenticate_server,
    parse_cancel_session,
    parse_get_challenge,
    parse_prepare_download,
    prepare_download_request,
)
from .euicc_info import EuiccInfo1, EuiccInfo2
from .euicc_package import EuiccPackageRequest, EuiccPackageResult
from .fields import Fields, ResultCode, as_sequence, outer
from .identifiers import Eid, Iccid
from .names import Names
from .notifications import (
    Criterion,
    ListedNotifications,
    NotificationEvent,
    RetrievedNotifications,
    encode_criterion,
    encode_events,
)
from .profiles import IOT_TAG_LIST, ProfileList
from .rat import RulesAuthorisationTable
from .tolerances import CONTEXT_INTEGER, EMPTY_ANSWER, UNIVERSAL_INTEGER, Notes

__all__ = [
    "AddInitialEimResult",
    "AuthenticateServerResponse",
    "CancelSessionReason",
    "CancelSessionResponse",
    "Certificates",
    "ConfiguredAddresses",
    "ConnectivityParameters",
    "MemoryResetResult",
    "PrepareDownloadResponse",
    "ResetOption",
    "RollbackResult",
    "add_initial_eim_from_dump",
    "add_initial_eim_request",
    "authenticate_server_request",
    "cancel_session_request",
    "configure_immediate_enabling_request",
    "disable_emergency_profile_request",
    "enable_emergency_profile_request",
    "execute_fallback_request",
    "get_certs_request",
    "get_challenge_request",
    "get_configured_addresses_request",
    "get_connectivity_parameters_request",
    "get_eid_request",
    "get_eim_configuration_request",
    "get_euicc_info1_request",
    "get_euicc_info2_request",
    "get_profiles_request",
    "get_rat_request",
    "immediate_enable_request",
    "ipae_activation_request",
    "list_notifications_request",
    "load_euicc_package_request",
    "memory_reset_request",
    "parse_add_initial_eim",
    "parse_authenticate_server",
    "parse_cancel_session",
    "parse_configure_immediate_enabling",
    "parse_disable_emergency_profile",
    "parse_enable_emergency_profile",
    "parse_execute_fallback",
    "parse_get_certs",
    "parse_get_challenge",
    "parse_get_configured_addresses",
    "parse_get_connectivity_parameters",
    "parse_get_eid",
    "parse_get_eim_configuration",
    "parse_get_euicc_info1",
    "parse_get_euicc_info2",
    "parse_get_profiles",
    "parse_get_rat",
    "parse_immediate_enable",
    "parse_ipae_activation",
    "parse_list_notifications",
    "parse_load_euicc_package",
    "parse_memory_reset",
    "parse_prepare_download",
    "parse_profile_rollback",
    "parse_remove_notification",
    "parse_retrieve_notifications",
    "parse_return_from_fallback",
    "parse_set_default_dp",
    "prepare_download_request",
    "profile_rollback_request",
    "remove_notification_request",
    "retrieve_notifications_request",
    "return_from_fallback_request",
    "set_default_dp_request",
]


def _code(raw: bytes, tag: int, known: Names, what: str) -> ResultCode:
    """The one number of an answer like ``BFxx { 80 code }``; under 02 or 81 it is read too."""
    fields = Fields(outer(raw, tag, Notes(), what))
    found = fields.first(0x80, 0x02, 0x81)
    if found is None:
        raise CodecError(f"{what} has no result code", offset=fields.owner.start)
    return ResultCode(found.integer(), known)


def _flagged(tag: int, refresh: bool) -> bytes:
    return tlv.encode(tag, tlv.encode(0x80, b"\xff" if refresh else b"\0"))


# -- reading ---------------------------------------------------------------------------------------------------------


def get_eid_request() -> bytes:
    """GetEID, SGP.22 §5.7.20."""
    return bytes.fromhex("BF3E035C015A")


def parse_get_eid(raw: bytes) -> Eid:
    """From ``BF3E { 5A }``."""
    return Eid.from_bytes(outer(raw, 0xBF3E, Notes(), "the EID").require(0x5A, "eidValue").value)


def get_euicc_info1_request() -> bytes:
    """GetEUICCInfo1, §5.9.2."""
    return tlv.encode(0xBF20)


def parse_get_euicc_info1(raw: bytes) -> EuiccInfo1:
    """From ``BF20``."""
    return EuiccInfo1.parse(raw)


def get_euicc_info2_request() -> bytes:
    """GetEUICCInfo2, §5.9.2."""
    return tlv.encode(0xBF22)


def parse_get_euicc_info2(raw: bytes) -> EuiccInfo2:
    """From ``BF22``."""
    return EuiccInfo2.parse(raw)


def get_eim_configuration_request(eim_id: str | None = None) -> bytes:
    """GetEimConfigurationData, §5.9.18. Cards before v1.1 know only the form without an eimId."""
    if eim_id is None:
        return tlv.encode(0xBF55)
    return tlv.encode(0xBF55, tlv.encode(0xA0, tlv.encode(0x80, eim_id.encode())))


def parse_get_eim_configuration(raw: bytes) -> EimConfigurations:
    """From ``BF55 { A0 { 30 … } }``."""
    return EimConfigurations.parse(raw)


def get_profiles_request(*, iccid: Iccid | None = None, tag_list: bytes | None = IOT_TAG_LIST) -> bytes:
    """GetProfilesInfo; ``tag_list`` None leaves the choice of fields to the eUICC."""
    search = b"" if iccid is None else tlv.encode(0xA0, tlv.encode(0x5A, iccid.tbcd))
    return tlv.encode(0xBF2D, search, b"" if tag_list is None else tlv.encode(0x5C, tag_list))


def parse_get_profiles(raw: bytes) -> ProfileList:
    """From ``BF2D { A0 | 81 }``."""
    return ProfileList.parse(raw)


def get_rat_request() -> bytes:
    """GetRAT, SGP.22 §5.7.22."""
    return tlv.encode(0xBF43)


def parse_get_rat(raw: bytes) -> RulesAuthorisationTable:
    """From ``BF43 { A0 }``."""
    return RulesAuthorisationTable.parse(raw)


@dataclass(frozen=True, slots=True)
class Certificates:
    """EUM and eUICC certificate in DER (``30``), or the error number."""

    eum_certificate: bytes | None = field(default=None, repr=False)
    euicc_certificate: bytes | None = field(default=None, repr=False)
    error: ResultCode | None = None
    tolerances: tuple[str, ...] = ()


def get_certs_request(ci_pkid: bytes | None = None) -> bytes:
    """GetCerts, §5.9.10; without an identifier the eUICC takes the first CI of its list."""
    return tlv.encode(0xBF56, b"" if ci_pkid is None else tlv.encode(0x80, ci_pkid))


def parse_get_certs(raw: bytes) -> Certificates:
    """From ``BF56 { A0 { A5, A6 } | 81 }``."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF56, notes, "the certificates"))
    found = fields.first(0xA0)
    if found is None:
        number = fields.first(0x81, 0x02)
        if number is None:
            raise CodecError("the certificates are missing (A0)", offset=fields.owner.start)
        if number.tag == 0x02:
            notes.take(UNIVERSAL_INTEGER)
        return Certificates(error=ResultCode(number.integer(), names.GET_CERTS), tolerances=notes.ids)
    inner = Fields(found)
    eum = _certificate(inner, 0xA5, "eumCertificate")
    return Certificates(eum, _certificate(inner, 0xA6, "euiccCertificate"), None, notes.ids)


def _certificate(fields: Fields, tag: int, what: str) -> bytes:
    element = fields.require(tag, what)
    content = element.children()
    # An explicit tag leaves the certificate whole inside; an implicit one replaced its 30 (rule T5).
    return content[0].raw if len(content) == 1 and content[0].tag == 0x30 else as_sequence(element)


@dataclass(frozen=True, slots=True)
class ConfiguredAddresses:
    """Default SM-DP+ and root SM-DS; empty ones count as None."""

    default_smdp: str | None
    root_smds: str | None


def get_configured_addresses_request() -> bytes:
    """GetEuiccConfiguredAddresses, SGP.22 §5.7.3."""
    return tlv.encode(0xBF3C)


def parse_get_configured_addresses(raw: bytes) -> ConfiguredAddresses:
    """From ``BF3C { 80?, 81 }``."""
    fields = Fields(outer(raw, 0xBF3C, Notes(), "the configured addresses"))
    return ConfiguredAddresses(fields.text(0x80) or None, fields.text(0x81) or None)


@dataclass(frozen=True, slots=True)
class ConnectivityParameters:
    """``http_params`` is opaque to the codec; None with an ``error`` or when the profile has none."""

    http_params: bytes | None = field(default=None, repr=False)
    error: ResultCode | None = None


def get_connectivity_parameters_request() -> bytes:
    """GetConnectivityParameters, §5.9.24."""
    return tlv.encode(0xBF5F)


def parse_get_connectivity_parameters(raw: bytes) -> ConnectivityParameters:
    """From ``BF5F { A0 { 81? } | 81 }``."""
    fields = Fields(outer(raw, 0xBF5F, Notes(), "the connectivity parameters"))
    found = fields.first(0xA0)
    if found is not None:
        return ConnectivityParameters(Fields(found).octets(0x81))
    number = fields.first(0x81, 0x02)
    if number is None:
        raise CodecError("connectivity parameters without A0 or 81", offset=fields.owner.start)
    return ConnectivityParameters(error=ResultCode(number.integer(), names.CONNECTIVITY))


# -- packages and notifications --------------------------------------------------------------------------------------


def load_euicc_package_request(package_raw: bytes) -> bytes:
    """LoadEuiccPackage, §5.9.1: the package itself, after a look that it is one."""
    return EuiccPackageRequest.parse(package_raw).raw


def parse_load_euicc_package(raw: bytes) -> EuiccPackageResult:
    """From ``BF51 { A0 | A1 | A2 }`` or a bare alternative."""
    return EuiccPackageResult.parse(raw)


def retrieve_notifications_request(criterion: Criterion | None = None) -> bytes:
    """RetrieveNotificationsList, §5.9.11; without a criterion all notifications and no package results."""
    return tlv.encode(0xBF2B, b"" if criterion is None else tlv.encode(0xA0, encode_criterion(criterion)))


def parse_retrieve_notifications(raw: bytes) -> RetrievedNotifications:
    """From ``BF2B { A0 | 81 | A2 }``."""
    return RetrievedNotifications.parse(raw)


def list_notifications_request(events: Iterable[NotificationEvent] | None = None) -> bytes:
    """ListNotification, SGP.22 §5.7.9."""
    return tlv.encode(0xBF28, b"" if events is None else encode_events(0x81, events))


def parse_list_notifications(raw: bytes) -> ListedNotifications:
    """From ``BF28 { A0 { BF2F … } | 81 }``."""
    return ListedNotifications.parse(raw)


def remove_notification_request(seq_number: int) -> bytes:
    """RemoveNotificationFromList, SGP.22 §5.7.11; for package results too."""
    return tlv.encode(0xBF30, tlv.encode_integer(0x80, seq_number))


def parse_remove_notification(raw: bytes) -> ResultCode:
    """From ``BF30 { 80 }``; nothingToDelete(1) means that it was gone already."""
    return _code(raw, 0xBF30, names.REMOVE_NOTIFICATION, "the answer to RemoveNotificationFromList")


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
        return AddInitialEimResult((), ResultCode(number.integer(), names.ADD_EIM), notes.ids)
    if fields.items:
        raise CodecError("the answer to AddInitialEim has neither A0 nor 81", offset=fields.owner.start)
    notes.take(EMPTY_ANSWER)
    return AddInitialEimResult(tolerances=notes.ids)


def set_default_dp_request(address: str) -> bytes:
    """SetDefaultDpAddress, §5.9.25; an empty address clears it."""
    return tlv.encode(0xBF65, tlv.encode(0x80, address.encode()))


def parse_set_default_dp(raw: bytes) -> ResultCode:
    """From ``BF65 { 80 }``."""
    return _code(raw, 0xBF65, names.SET_DEFAULT_DP, "the answer to SetDefaultDpAddress")


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
        ResultCode(fields.require(0x80, "resetResult").integer(), names.MEMORY_RESET),
        None if eim is None else ResultCode(eim, names.MEMORY_RESET_EIM),
        None if immediate is None else ResultCode(immediate, names.MEMORY_RESET_IMMEDIATE),
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
    return _code(raw, 0xBF59, names.CONFIGURE_IMMEDIATE_LOCAL, "the answer to ConfigureImmediateProfileEnabling")


def ipae_activation_request(*, activate: bool = True) -> bytes:
    """IpaeActivation, §3.8: from then on the eUICC's own IPA works and the IPAd has no ES10 any more."""
    return tlv.encode(0xBF42, tlv.encode_bits(0x80, {0} if activate else set()))


def parse_ipae_activation(raw: bytes) -> ResultCode:
    """From ``BF42 { 80 }``."""
    return _code(raw, 0xBF42, names.IPAE_ACTIVATION, "the answer to IpaeActivation")


# -- switching -------------------------------------------------------------------------------------------------------


def immediate_enable_request(*, refresh: bool, v1_0: bool = False) -> bytes:
    """ImmediateEnable, §5.9.15; before v1.1 the request had no field."""
    return tlv.encode(0xBF5A) if v1_0 else _flagged(0xBF5A, refresh)


def parse_immediate_enable(raw: bytes) -> ResultCode:
    """From ``BF5A { 80 }``."""
    return _code(raw, 0xBF5A, names.IMMEDIATE_ENABLE, "the answer to ImmediateEnable")


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
    return RollbackResult(ResultCode(number.integer(), names.PROFILE_ROLLBACK), package_result, notes.ids)


def execute_fallback_request(*, refresh: bool) -> bytes:
    """ExecuteFallbackMechanism, §5.9.20."""
    return _flagged(0xBF5D, refresh)


def parse_execute_fallback(raw: bytes) -> ResultCode:
    """From ``BF5D { 80 }``."""
    return _code(raw, 0xBF5D, names.EXECUTE_FALLBACK, "the answer to ExecuteFallbackMechanism")


def return_from_fallback_request(*, refresh: bool) -> bytes:
    """ReturnFromFallback, §5.9.21."""
    return _flagged(0xBF5E, refresh)


def parse_return_from_fallback(raw: bytes) -> ResultCode:
    """From ``BF5E { 80 }``."""
    return _code(raw, 0xBF5E, names.RETURN_FROM_FALLBACK, "the answer to ReturnFromFallback")


def enable_emergency_profile_request(*, refresh: bool) -> bytes:
    """EnableEmergencyProfile, §5.9.22."""
    return _flagged(0xBF5B, refresh)


def parse_enable_emergency_profile(raw: bytes) -> ResultCode:
    """From ``BF5B { 80 }``."""
    return _code(raw, 0xBF5B, names.ENABLE_EMERGENCY, "the answer to EnableEmergencyProfile")


def disable_emergency_profile_request(*, refresh: bool) -> bytes:
    """DisableEmergencyProfile, §5.9.23."""
    return _flagged(0xBF5C, refresh)


def parse_disable_emergency_profile(raw: bytes) -> ResultCode:
    """From ``BF5C { 80 }``."""
    return _code(raw, 0xBF5C, names.DISABLE_EMERGENCY, "the answer to DisableEmergencyProfile")
