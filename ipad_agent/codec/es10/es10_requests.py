"""ES10 functions an IPAd uses: requests and answers (SGP.32 v1.2 §5.9, SGP.22 v2.5 §5.7).

``xxx_request`` gives the command data for STORE DATA, ``parse_xxx`` reads the answer. A negative result is a value,
not an error; ``CodecError`` means that the answer is no answer of this function. What sets and switches is in
``es10_control``, what a download needs in ``es10_download``; all of it can be reached from here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipad_agent.codec.ber import code_names, tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.ber.tlv_fields import Fields, ResultCode, as_sequence, outer, result_code
from ipad_agent.codec.identifiers import Eid, Iccid
from ipad_agent.codec.tolerances import CERTIFICATES_APART, UNIVERSAL_INTEGER, UNREADABLE_ELEMENT, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .eim_configuration import EimConfigurations, add_initial_eim_from_dump, add_initial_eim_request
from .es10_control import (
    AddInitialEimResult,
    MemoryResetResult,
    ResetOption,
    RollbackResult,
    configure_immediate_enabling_request,
    disable_emergency_profile_request,
    enable_emergency_profile_request,
    execute_fallback_request,
    immediate_enable_request,
    ipae_activation_request,
    memory_reset_request,
    parse_add_initial_eim,
    parse_configure_immediate_enabling,
    parse_disable_emergency_profile,
    parse_enable_emergency_profile,
    parse_execute_fallback,
    parse_immediate_enable,
    parse_ipae_activation,
    parse_memory_reset,
    parse_profile_rollback,
    parse_return_from_fallback,
    parse_set_default_dp,
    profile_rollback_request,
    return_from_fallback_request,
    set_default_dp_request,
)
from .es10_download import (
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
from .notifications import (
    Criterion,
    ListedNotifications,
    NotificationEvent,
    RetrievedNotifications,
    encode_criterion,
    encode_events,
)
from .profile_info import IOT_TAG_LIST, ProfileList
from .rules_authorisation_table import RulesAuthorisationTable

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
    """EUM and eUICC certificate in DER (``30``), or the error number. One that is missing or cannot be read is None."""

    eum_certificate: bytes | None = field(default=None, repr=False)
    euicc_certificate: bytes | None = field(default=None, repr=False)
    error: ResultCode | None = None
    tolerances: tuple[str, ...] = ()


def get_certs_request(ci_pkid: bytes | None = None) -> bytes:
    """GetCerts, §5.9.10; without an identifier the eUICC takes the first CI of its list."""
    return tlv.encode(0xBF56, b"" if ci_pkid is None else tlv.encode(0x80, ci_pkid))


def parse_get_certs(raw: bytes) -> Certificates:
    """From ``BF56 { A0 { A5, A6 } | 81 }``; a wrapper for each certificate, or none at all, is read too."""
    notes = Notes()
    fields = Fields(outer(raw, 0xBF56, notes, "the certificates"))
    wrappers = fields.all(0xA0, 0xA1)
    eum, euicc = (_certificate_field(fields, wrappers, tag, notes) for tag in (0xA5, 0xA6))
    if eum is None and euicc is None:
        number = fields.first(0x81, 0x02)
        if number is None:
            raise CodecError("the certificates are missing (A0)", offset=fields.owner.start)
        if number.tag == 0x02:
            notes.take(UNIVERSAL_INTEGER)
        return Certificates(error=ResultCode(number.integer(), code_names.GET_CERTS), tolerances=notes.ids)
    return Certificates(_certificate(eum, notes), _certificate(euicc, notes), None, notes.ids)


def _certificate_field(fields: Fields, wrappers: tuple[Tlv, ...], tag: int, notes: Notes) -> Tlv | None:
    for place, wrapper in enumerate(wrappers):
        try:
            found = wrapper.find(tag)
        except CodecError:
            notes.take(UNREADABLE_ELEMENT)
            continue
        if found is not None:
            if place or wrapper.tag != 0xA0:
                notes.take(CERTIFICATES_APART)
            return found
    found = fields.first(tag)
    if found is not None:
        notes.take(CERTIFICATES_APART)
    return found


def _certificate(element: Tlv | None, notes: Notes) -> bytes | None:
    if element is None:
        return None
    try:
        content = element.children()
    except CodecError:
        content = ()
    if not content:
        notes.take(UNREADABLE_ELEMENT)
        return None
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
    return ConnectivityParameters(error=ResultCode(number.integer(), code_names.CONNECTIVITY))


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
    return result_code(raw, 0xBF30, code_names.REMOVE_NOTIFICATION, "the answer to RemoveNotificationFromList")
