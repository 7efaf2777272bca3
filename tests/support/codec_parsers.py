"""Every public function of the codec that reads what a peer sent. A new one that is missing here fails a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ipad_agent.codec import identifiers
from ipad_agent.codec.ber import asn1_schema, describe_message, object_identifier, tlv
from ipad_agent.codec.es10 import es10_download, es10_requests, es10c_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData, EimConfigurations, add_initial_eim_from_dump
from ipad_agent.codec.es10.euicc_info import EuiccInfo1, EuiccInfo2, Version
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult, as_package_result
from ipad_agent.codec.es10.notifications import (
    ListedNotifications,
    NotificationMetadata,
    PendingNotification,
    RetrievedNotifications,
)
from ipad_agent.codec.es10.profile_info import ProfileInfo, ProfileList, ProfileMetadata
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.esipa import eim_package, esipa_download, ipa_euicc_data
from ipad_agent.codec.esipa.download_trigger import DownloadTrigger
from ipad_agent.codec.esipa.ipa_euicc_data import IpaEuiccDataRequest
from ipad_agent.codec.rsp import es9_messages
from ipad_agent.codec.rsp.activation_code import ActivationCode
from ipad_agent.codec.rsp.bpp_contents import read_bound_package
from ipad_agent.codec.rsp.certificate import Certificate
from ipad_agent.codec.rsp.rsp_json import JsonAnswer
from ipad_agent.codec.short_message import parse_short_message


def text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """A parser of text, fed with bytes."""
    return lambda data: read(data.decode("latin-1"))


def json_answer(read: Callable[[JsonAnswer], Any]) -> Callable[[bytes], Any]:
    """A reader of a JSON answer, fed with the body."""
    return lambda data: read(JsonAnswer.parse(data))


PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "activation_code.ActivationCode.parse": text(ActivationCode.parse),
    "bpp_contents.read_bound_package": read_bound_package,
    "certificate.Certificate.parse": Certificate.parse,
    "ipa_euicc_data.IpaEuiccDataRequest.parse": IpaEuiccDataRequest.parse,
    "ipa_euicc_data.parse_ipa_euicc_data_error": ipa_euicc_data.parse_ipa_euicc_data_error,
    "ipa_euicc_data.split_tag_list": ipa_euicc_data.split_tag_list,
    "describe_message.describe": describe_message.describe,
    "describe_message.render": describe_message.render,
    "eim_configuration.EimConfigurationData.parse": EimConfigurationData.parse,
    "eim_configuration.EimConfigurations.parse": EimConfigurations.parse,
    "eim_configuration.add_initial_eim_from_dump": add_initial_eim_from_dump,
    "es9_messages.read_authenticate_client": json_answer(
        lambda answer: es9_messages.read_authenticate_client(answer, b"\x0a\x0b")
    ),
    "es9_messages.read_bound_profile_package": json_answer(
        lambda answer: es9_messages.read_bound_profile_package(answer, b"\x0a\x0b")
    ),
    "es9_messages.read_initiate_authentication": json_answer(es9_messages.read_initiate_authentication),
    "es10_requests.load_euicc_package_request": es10_requests.load_euicc_package_request,
    "es10_requests.parse_get_certs": es10_requests.parse_get_certs,
    "es10_requests.parse_get_configured_addresses": es10_requests.parse_get_configured_addresses,
    "es10_requests.parse_get_connectivity_parameters": es10_requests.parse_get_connectivity_parameters,
    "es10_requests.parse_get_eid": es10_requests.parse_get_eid,
    "es10_requests.parse_get_eim_configuration": es10_requests.parse_get_eim_configuration,
    "es10_requests.parse_get_euicc_info1": es10_requests.parse_get_euicc_info1,
    "es10_requests.parse_get_euicc_info2": es10_requests.parse_get_euicc_info2,
    "es10_requests.parse_get_profiles": es10_requests.parse_get_profiles,
    "es10_requests.parse_get_rat": es10_requests.parse_get_rat,
    "es10_requests.parse_list_notifications": es10_requests.parse_list_notifications,
    "es10_requests.parse_load_euicc_package": es10_requests.parse_load_euicc_package,
    "es10_requests.parse_remove_notification": es10_requests.parse_remove_notification,
    "es10_requests.parse_retrieve_notifications": es10_requests.parse_retrieve_notifications,
    "es10_control.parse_add_initial_eim": es10_requests.parse_add_initial_eim,
    "es10_control.parse_configure_immediate_enabling": es10_requests.parse_configure_immediate_enabling,
    "es10_control.parse_disable_emergency_profile": es10_requests.parse_disable_emergency_profile,
    "es10_control.parse_enable_emergency_profile": es10_requests.parse_enable_emergency_profile,
    "es10_control.parse_execute_fallback": es10_requests.parse_execute_fallback,
    "es10_control.parse_immediate_enable": es10_requests.parse_immediate_enable,
    "es10_control.parse_ipae_activation": es10_requests.parse_ipae_activation,
    "es10_control.parse_memory_reset": es10_requests.parse_memory_reset,
    "es10_control.parse_profile_rollback": es10_requests.parse_profile_rollback,
    "es10_control.parse_return_from_fallback": es10_requests.parse_return_from_fallback,
    "es10_control.parse_set_default_dp": es10_requests.parse_set_default_dp,
    "es10c_requests.parse_delete_profile": es10c_requests.parse_delete_profile,
    "es10c_requests.parse_disable_profile": es10c_requests.parse_disable_profile,
    "es10c_requests.parse_enable_profile": es10c_requests.parse_enable_profile,
    "es10c_requests.parse_euicc_memory_reset": es10c_requests.parse_euicc_memory_reset,
    "es10c_requests.parse_set_default_dp_address": es10c_requests.parse_set_default_dp_address,
    "es10_download.ServerSigned1.parse": es10_download.ServerSigned1.parse,
    "es10_download.SmdpSigned2.parse": es10_download.SmdpSigned2.parse,
    "es10_download.parse_authenticate_server": es10_download.parse_authenticate_server,
    "es10_download.parse_cancel_session": es10_download.parse_cancel_session,
    "es10_download.parse_get_challenge": es10_download.parse_get_challenge,
    "es10_download.parse_prepare_download": es10_download.parse_prepare_download,
    "eim_package.encode_handle_notification_result": eim_package.encode_handle_notification_result,
    "eim_package.parse_get_eim_package_response": eim_package.parse_get_eim_package_response,
    "eim_package.parse_handle_notification_response": eim_package.parse_handle_notification_response,
    "eim_package.parse_provide_result_response": eim_package.parse_provide_result_response,
    "eim_package.parse_transfer_eim_package": eim_package.parse_transfer_eim_package,
    "esipa_download.parse_authenticate_client_response": esipa_download.parse_authenticate_client_response,
    "esipa_download.parse_cancel_session_response": esipa_download.parse_cancel_session_response,
    "esipa_download.parse_get_bound_profile_package_response": esipa_download.parse_get_bound_profile_package_response,
    "esipa_download.parse_initiate_authentication_response": esipa_download.parse_initiate_authentication_response,
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
    "object_identifier.decode_oid": object_identifier.decode_oid,
    "profile_info.ProfileInfo.parse": ProfileInfo.parse,
    "profile_info.ProfileList.parse": ProfileList.parse,
    "profile_info.ProfileMetadata.parse": ProfileMetadata.parse,
    "rules_authorisation_table.RulesAuthorisationTable.parse": RulesAuthorisationTable.parse,
    "rsp_json.JsonAnswer.parse": JsonAnswer.parse,
    "asn1_schema.check_nesting": asn1_schema.check_nesting,
    "short_message.parse_short_message": parse_short_message,
    "tlv.announced_size": tlv.announced_size,
    "tlv.parse": tlv.parse,
    "tlv.parse_all": tlv.parse_all,
    "tlv.read": tlv.read,
    "download_trigger.DownloadTrigger.parse": DownloadTrigger.parse,
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
