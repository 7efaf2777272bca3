"""Every public function of the codec that reads what a peer sent. A new one that is missing here fails a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ipad_agent.codec import (
    data_request,
    describe,
    es9,
    es10,
    es10_rsp,
    esipa,
    esipa_rsp,
    identifiers,
    oid,
    schema,
    tlv,
)
from ipad_agent.codec.activation_code import ActivationCode
from ipad_agent.codec.bound_package import read_bound_package
from ipad_agent.codec.certificate import Certificate
from ipad_agent.codec.data_request import IpaEuiccDataRequest
from ipad_agent.codec.eim_config import EimConfigurationData, EimConfigurations, add_initial_eim_from_dump
from ipad_agent.codec.euicc_info import EuiccInfo1, EuiccInfo2, Version
from ipad_agent.codec.euicc_package import EuiccPackageRequest, EuiccPackageResult, as_package_result
from ipad_agent.codec.notifications import (
    ListedNotifications,
    NotificationMetadata,
    PendingNotification,
    RetrievedNotifications,
)
from ipad_agent.codec.profiles import ProfileInfo, ProfileList, ProfileMetadata
from ipad_agent.codec.rat import RulesAuthorisationTable
from ipad_agent.codec.rsp_json import JsonAnswer
from ipad_agent.codec.trigger import DownloadTrigger


def text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """A parser of text, fed with bytes."""
    return lambda data: read(data.decode("latin-1"))


def json_answer(read: Callable[[JsonAnswer], Any]) -> Callable[[bytes], Any]:
    """A reader of a JSON answer, fed with the body."""
    return lambda data: read(JsonAnswer.parse(data))


PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "activation_code.ActivationCode.parse": text(ActivationCode.parse),
    "bound_package.read_bound_package": read_bound_package,
    "certificate.Certificate.parse": Certificate.parse,
    "data_request.IpaEuiccDataRequest.parse": IpaEuiccDataRequest.parse,
    "data_request.parse_ipa_euicc_data_error": data_request.parse_ipa_euicc_data_error,
    "data_request.split_tag_list": data_request.split_tag_list,
    "describe.describe": describe.describe,
    "describe.render": describe.render,
    "eim_config.EimConfigurationData.parse": EimConfigurationData.parse,
    "eim_config.EimConfigurations.parse": EimConfigurations.parse,
    "eim_config.add_initial_eim_from_dump": add_initial_eim_from_dump,
    "es9.read_authenticate_client": json_answer(lambda answer: es9.read_authenticate_client(answer, b"\x0a\x0b")),
    "es9.read_bound_profile_package": json_answer(lambda answer: es9.read_bound_profile_package(answer, b"\x0a\x0b")),
    "es9.read_initiate_authentication": json_answer(es9.read_initiate_authentication),
    "es10.load_euicc_package_request": es10.load_euicc_package_request,
    "es10.parse_get_certs": es10.parse_get_certs,
    "es10.parse_get_configured_addresses": es10.parse_get_configured_addresses,
    "es10.parse_get_connectivity_parameters": es10.parse_get_connectivity_parameters,
    "es10.parse_get_eid": es10.parse_get_eid,
    "es10.parse_get_eim_configuration": es10.parse_get_eim_configuration,
    "es10.parse_get_euicc_info1": es10.parse_get_euicc_info1,
    "es10.parse_get_euicc_info2": es10.parse_get_euicc_info2,
    "es10.parse_get_profiles": es10.parse_get_profiles,
    "es10.parse_get_rat": es10.parse_get_rat,
    "es10.parse_list_notifications": es10.parse_list_notifications,
    "es10.parse_load_euicc_package": es10.parse_load_euicc_package,
    "es10.parse_remove_notification": es10.parse_remove_notification,
    "es10.parse_retrieve_notifications": es10.parse_retrieve_notifications,
    "es10_control.parse_add_initial_eim": es10.parse_add_initial_eim,
    "es10_control.parse_configure_immediate_enabling": es10.parse_configure_immediate_enabling,
    "es10_control.parse_disable_emergency_profile": es10.parse_disable_emergency_profile,
    "es10_control.parse_enable_emergency_profile": es10.parse_enable_emergency_profile,
    "es10_control.parse_execute_fallback": es10.parse_execute_fallback,
    "es10_control.parse_immediate_enable": es10.parse_immediate_enable,
    "es10_control.parse_ipae_activation": es10.parse_ipae_activation,
    "es10_control.parse_memory_reset": es10.parse_memory_reset,
    "es10_control.parse_profile_rollback": es10.parse_profile_rollback,
    "es10_control.parse_return_from_fallback": es10.parse_return_from_fallback,
    "es10_control.parse_set_default_dp": es10.parse_set_default_dp,
    "es10_rsp.ServerSigned1.parse": es10_rsp.ServerSigned1.parse,
    "es10_rsp.SmdpSigned2.parse": es10_rsp.SmdpSigned2.parse,
    "es10_rsp.parse_authenticate_server": es10_rsp.parse_authenticate_server,
    "es10_rsp.parse_cancel_session": es10_rsp.parse_cancel_session,
    "es10_rsp.parse_get_challenge": es10_rsp.parse_get_challenge,
    "es10_rsp.parse_prepare_download": es10_rsp.parse_prepare_download,
    "esipa.encode_handle_notification_result": esipa.encode_handle_notification_result,
    "esipa.parse_get_eim_package_response": esipa.parse_get_eim_package_response,
    "esipa.parse_handle_notification_response": esipa.parse_handle_notification_response,
    "esipa.parse_provide_result_response": esipa.parse_provide_result_response,
    "esipa.parse_transfer_eim_package": esipa.parse_transfer_eim_package,
    "esipa_rsp.parse_authenticate_client_response": esipa_rsp.parse_authenticate_client_response,
    "esipa_rsp.parse_cancel_session_response": esipa_rsp.parse_cancel_session_response,
    "esipa_rsp.parse_get_bound_profile_package_response": esipa_rsp.parse_get_bound_profile_package_response,
    "esipa_rsp.parse_initiate_authentication_response": esipa_rsp.parse_initiate_authentication_response,
    "euicc_info.EuiccInfo1.parse": EuiccInfo1.parse,
    "euicc_info.EuiccInfo2.parse": EuiccInfo2.parse,
    "euicc_info.Version.from_bytes": Version.from_bytes,
    "euicc_package.EuiccPackageRequest.parse": EuiccPackageRequest.parse,
    "euicc_package.EuiccPackageResult.parse": EuiccPackageResult.parse,
    "euicc_package.as_package_result": as_package_result,
    "identifiers.Eid.from_bytes": identifiers.Eid.from_bytes,
    "identifiers.Eid.parse": text(identifiers.Eid.parse),
    "identifiers.Iccid.from_tbcd": identifiers.Iccid.from_tbcd,
    "identifiers.Iccid.parse": text(identifiers.Iccid.parse),
    "identifiers.Imei.parse": text(identifiers.Imei.parse),
    "identifiers.Plmn.from_bytes": identifiers.Plmn.from_bytes,
    "identifiers.Plmn.parse": text(identifiers.Plmn.parse),
    "notifications.ListedNotifications.parse": ListedNotifications.parse,
    "notifications.NotificationMetadata.parse": NotificationMetadata.parse,
    "notifications.PendingNotification.parse": PendingNotification.parse,
    "notifications.RetrievedNotifications.parse": RetrievedNotifications.parse,
    "oid.decode_oid": oid.decode_oid,
    "profiles.ProfileInfo.parse": ProfileInfo.parse,
    "profiles.ProfileList.parse": ProfileList.parse,
    "profiles.ProfileMetadata.parse": ProfileMetadata.parse,
    "rat.RulesAuthorisationTable.parse": RulesAuthorisationTable.parse,
    "rsp_json.JsonAnswer.parse": JsonAnswer.parse,
    "schema.check_nesting": schema.check_nesting,
    "tlv.announced_size": tlv.announced_size,
    "tlv.parse": tlv.parse,
    "tlv.parse_all": tlv.parse_all,
    "tlv.read": tlv.read,
    "trigger.DownloadTrigger.parse": DownloadTrigger.parse,
}

SCHEMA_TYPES: Final = (
    "EuiccPackageRequest",
    "EuiccPackageResult",
    "IpaEuiccDataResponse",
    "GetEimPackageResponse",
    "RetrieveNotificationsListResponse",
    "AuthenticateServerResponse",
    "GetEimConfigurationDataResponse",
    "ProfileInfoListResponse",
    "EUICCInfo2",
    "BoundProfilePackage",
)
