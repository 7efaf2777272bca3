"""Whole messages as they stand on the wire, from the published examples of SGP.32 v1.2 peers."""

from __future__ import annotations

from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.es10_requests import ResetOption
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult
from ipad_agent.codec.es10.notifications import AllPackageResults, BySeqNumber
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.download_trigger import UseActivationCode
from ipad_agent.codec.esipa.eim_package import NoPackage, ProvideResultResponse, StateChangeCause
from ipad_agent.codec.identifiers import Eid, Iccid, Plmn

from .vectors import EID_DIGITS, NOTIFICATION_ENABLE, RESULT_SIGNED, H

EID = Eid.parse(EID_DIGITS)


def test_get_eim_package_with_state_change_and_network() -> None:
    body = eim_package.encode_get_eim_package(EID, state_change=StateChangeCause.FALLBACK, rplmn=Plmn.parse("26201"))
    assert body == H("BF4F 1C 5A10", EID_DIGITS, "8000 810101 820362F210")


def test_get_eim_package_of_the_smallest_kind() -> None:
    assert eim_package.encode_get_eim_package(EID) == H("BF4F 12 5A10", EID_DIGITS)


def test_no_package() -> None:
    assert eim_package.parse_get_eim_package_response(H("BF4F 03 020101")) == NoPackage(1)


def test_acknowledgements_1_and_2() -> None:
    answer = eim_package.parse_provide_result_response(H("BF50 09 BF53 06 800101 800102"))
    assert answer == ProvideResultResponse((1, 2))


def test_empty_acknowledgement() -> None:
    assert eim_package.parse_provide_result_response(H("BF50 02 3000")) == ProvideResultResponse()


def test_provide_result_error() -> None:
    assert eim_package.parse_provide_result_response(H("BF50 03 02017F")) == ProvideResultResponse(error=127)


def test_report_of_an_invalid_package() -> None:
    body = eim_package.encode_provide_result(EID, eim_package.encode_result_error(b"\x01", 1))
    assert body == H("BF50 1A 5A10", EID_DIGITS, "A006 800101 020101")


def test_trigger_with_activation_code() -> None:
    order = eim_package.parse_get_eim_package_response(H("BF4F 14 BF54 11 A00B 8009 4C50413A3124612462 82020102"))
    assert isinstance(order, eim_package.DownloadTriggerOrder)
    assert order.trigger.data == UseActivationCode("LPA:1$a$b")
    assert order.eim_transaction_id == b"\x01\x02"
    assert order.raw == H("BF54 11 A00B 8009 4C50413A3124612462 82020102")


def test_trigger_result_error() -> None:
    assert eim_package.encode_trigger_error(b"\x01", 127) == H("BF54 08 820101 3003 80017F")


def test_unsigned_package_error_with_token() -> None:
    result = EuiccPackageResult.parse(H("BF51 08 A206 800165 840103"))
    assert (result.variant, result.eim_id, result.association_token) == ("error_unsigned", "e", 3)
    assert not result.ok


def test_package_with_enable_rollback_rat_and_list() -> None:
    signed = H("30 2F 800165 5A10", EID_DIGITS, "810101 A015 A30E 5A0A 989444999999990920F3 0500 A600 BF2D00")
    package = EuiccPackageRequest.parse(H("BF51 74", signed, "5F37 40" + "11" * 64))
    assert [operation.name for operation in package.operations] == ["enable", "getRAT", "listProfileInfo"]
    assert package.operations[0].iccid == Iccid.parse("8949449999999990023")
    assert package.operations[0].rollback
    assert package.wants_rollback
    assert package.may_change_state
    assert (package.eim_id, package.eid, package.counter) == ("e", EID, 1)


def test_read_stored_results() -> None:
    assert es10_requests.retrieve_notifications_request(AllPackageResults()) == H("BF2B 04 A002 8200")


def test_read_one_notification() -> None:
    assert es10_requests.retrieve_notifications_request(BySeqNumber(9)) == H("BF2B 05 A003 800109")


def test_read_one_eim_configuration() -> None:
    assert es10_requests.get_eim_configuration_request("x") == H("BF55 05 A003 8001 78")
    assert es10_requests.get_eim_configuration_request() == H("BF55 00")


def test_immediate_enable_with_refresh() -> None:
    assert es10_requests.immediate_enable_request(refresh=True) == H("BF5A 03 8001FF")


def test_memory_reset_of_eim_data() -> None:
    assert es10_requests.memory_reset_request([ResetOption.EIM_CONFIGURATION]) == H("BF64 04 8202 0204")


def test_cancel_session() -> None:
    assert es10_requests.cancel_session_request(b"\x01", 3) == H("BF41 06 800101 810103")


def test_handle_notification_carrying_a_result() -> None:
    both = eim_package.encode_epr_and_notifications(RESULT_SIGNED, [NOTIFICATION_ENABLE])
    body = eim_package.encode_handle_notification_result(eim_package.encode_provide_result(None, both))
    assert body == H("BF3D 82015B  BF50 820156  30 820152", RESULT_SIGNED, "A0 819A", NOTIFICATION_ENABLE)
