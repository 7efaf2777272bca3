"""ESipa messages of both dialects: packages in, results and notifications out."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.download_trigger import DownloadTrigger, UseActivationCode, UseDefaultSmdp, UseSmds
from ipad_agent.codec.esipa.eim_package import (
    DataRequestOrder,
    DownloadTriggerOrder,
    EimAcknowledgements,
    EimPackageError,
    EuiccPackageOrder,
    MalformedPackage,
    NoPackage,
    ProvideResultResponse,
    ResultErrorCode,
    StateChangeCause,
    UnknownPackage,
)
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.errors import CodecError

from .vectors import (
    DATA_REQUEST,
    EID_DIGITS,
    EPR_AND_NOTIFICATIONS,
    NOTIFICATION_ENABLE,
    PACKAGE_ENABLE,
    PIR_OK,
    RESULT_SIGNED,
    RESULT_SIGNED_V10,
    H,
)

EID = Eid.parse(EID_DIGITS)


def order(package: bytes) -> eim_package.EimPackage:
    return eim_package.parse_get_eim_package_response(tlv.encode(0xBF4F, package))


# -- GetEimPackage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(StateChangeCause))
def test_the_request_is_what_the_schema_writes(cause: StateChangeCause) -> None:
    value = {"eidValue": EID.bytes, "notifyStateChange": None, "stateChangeCause": int(cause), "rPLMN": H("130014")}
    written = eim_package.encode_get_eim_package(EID, state_change=cause, rplmn=Plmn.parse("310410"))
    assert written == asn1_schema.encode("GetEimPackageRequest", value)


def test_an_euicc_package_is_handed_on_to_the_byte() -> None:
    read = order(PACKAGE_ENABLE)
    assert isinstance(read, EuiccPackageOrder)
    assert (read.raw, read.eim_transaction_id, read.request.counter) == (PACKAGE_ENABLE, b"\x01\x02", 128)


def test_a_data_request_is_recognised() -> None:
    read = order(DATA_REQUEST)
    assert isinstance(read, DataRequestOrder)
    assert (read.raw, read.eim_transaction_id) == (DATA_REQUEST, b"\x01\x02")


@pytest.mark.parametrize(
    ("trigger", "data", "transaction", "tolerances"),
    [
        ("BF54 08 A006 8004 31246124", UseActivationCode("1$a$"), None, ()),
        ("BF54 07 A002 8100 820109", UseDefaultSmdp(), b"\x09", ()),
        ("BF54 04 A002 A200", UseSmds(None), None, ()),
        ("BF54 07 A005 A203 800164", UseSmds("d"), None, ()),
        ("BF54 04 82020102", None, b"\x01\x02", ()),
        ("BF54 00", None, None, ()),
        ("BF54 02 A000", None, None, ("empty-download-data",)),
        ("BF54 06 8004 31246124", UseActivationCode("1$a$"), None, ("unwrapped-choice",)),
    ],
)
def test_every_kind_of_trigger_is_read(
    trigger: str, data: object, transaction: bytes | None, tolerances: tuple[str, ...]
) -> None:
    read = order(H(trigger))
    assert isinstance(read, DownloadTriggerOrder)
    assert (read.trigger.data, read.eim_transaction_id, read.tolerances) == (data, transaction, tolerances)
    assert read.raw == H(trigger)


def test_an_activation_code_does_not_show_when_a_trigger_is_printed() -> None:
    assert "secret" not in repr(DownloadTrigger.parse(H("BF54 0A A008 8006 736563726574")))


@pytest.mark.parametrize(
    ("body", "code", "tolerances"),
    [
        ("BF4F 03 020101", EimPackageError.NO_EIM_PACKAGE_AVAILABLE, ()),
        ("BF4F 03 020102", EimPackageError.EID_NOT_FOUND, ()),
        ("BF4F 03 02017F", EimPackageError.UNDEFINED_ERROR, ()),
        ("BF4F 03 020130", 0x30, ()),
        ("", 1, ("empty-answer",)),
        ("BF4F 00", 1, ("empty-answer",)),
        ("BF4F 06 BF4F 03 020101", 1, ("doubled-tag",)),
        ("020101", 1, ("missing-outer-tag",)),
        ("BF4F 06 9E0100 020101", 1, ()),
    ],
)
def test_no_package_is_recognised_however_it_is_said(body: str, code: int, tolerances: tuple[str, ...]) -> None:
    assert eim_package.parse_get_eim_package_response(H(body)) == NoPackage(code, tolerances)


@pytest.mark.parametrize(("body", "code"), [("BF4F 03 800101", 1), ("BF4F 03 830102", 2), ("BF4F 03 0A017F", 127)])
def test_an_error_number_under_another_tag_is_no_package_of_a_kind_to_come(body: str, code: int) -> None:
    assert eim_package.parse_get_eim_package_response(H(body)) == NoPackage(code, ("context-integer",))


@pytest.mark.parametrize("body", ["BF4F 03 A00101", "BF4F 04 80020101", "BF4F 02 8000", "BF4F 06 800101 810101"])
def test_what_may_be_a_package_of_a_kind_to_come_is_one(body: str) -> None:
    assert isinstance(eim_package.parse_get_eim_package_response(H(body)), UnknownPackage)


def test_a_tag_is_only_doubled_when_nothing_else_is_inside() -> None:
    body = H("BF4F 09 BF4F 03 020101 9E0100")
    assert eim_package.parse_get_eim_package_response(body) == UnknownPackage(H("BF4F 03 020101"), None)


def test_a_package_without_the_outer_tag_is_read() -> None:
    read = eim_package.parse_get_eim_package_response(PACKAGE_ENABLE)
    assert isinstance(read, EuiccPackageOrder)
    assert read.tolerances == ("missing-outer-tag",)


def test_a_package_of_the_future_is_unknown() -> None:
    assert order(H("BF66 03 800101")) == UnknownPackage(H("BF66 03 800101"), None)


@pytest.mark.parametrize(
    ("package", "transaction"),
    [
        ("BF51 07 30 05 800165 8200", b""),
        ("BF51 02 3000", None),
        ("BF51 01 30", None),
        ("BF51 06 3004 82020102", b"\x01\x02"),
        ("BF52 08 5C01A0 A100 830107", b"\x07"),
        ("BF54 07 A002 8500 820109", b"\x09"),
        ("BF54 06 A004 8002FFFE", None),
    ],
)
def test_a_broken_package_names_its_transaction_when_that_can_be_found(package: str, transaction: bytes | None) -> None:
    read = order(H(package))
    assert isinstance(read, MalformedPackage)
    assert (read.raw, read.eim_transaction_id) == (H(package), transaction)
    assert read.reason


@pytest.mark.parametrize("body", ["3C68746D6C3E", "7B7D", "BF50 02 3000", "BF4F 05 020101", "BF4F 02 0200"])
def test_what_is_no_answer_at_all_raises(body: str) -> None:
    with pytest.raises(CodecError):
        eim_package.parse_get_eim_package_response(H(body))


# -- ProvideEimPackageResult -----------------------------------------------------------------------------------------


def test_a_result_is_sent_with_and_without_the_eid() -> None:
    assert eim_package.encode_provide_result(EID, RESULT_SIGNED) == H("BF50 81C7 5A10", EID_DIGITS, RESULT_SIGNED)
    assert eim_package.encode_provide_result(None, RESULT_SIGNED) == H("BF50 81B5", RESULT_SIGNED)


def test_a_result_with_notifications_in_both_dialects() -> None:
    pair = [NOTIFICATION_ENABLE, PIR_OK]
    assert eim_package.encode_epr_and_notifications(RESULT_SIGNED, pair) == EPR_AND_NOTIFICATIONS
    assert eim_package.encode_epr_and_notifications(RESULT_SIGNED_V10, pair) == EPR_AND_NOTIFICATIONS
    old = eim_package.encode_epr_and_notifications(RESULT_SIGNED, pair, dialect="1.0")
    assert old == H("30 8201F1", RESULT_SIGNED, "BF2B 820137 A0 820133", *pair)
    value = asn1_schema.decode("ProvideEimPackageResult", eim_package.encode_provide_result(EID, EPR_AND_NOTIFICATIONS))
    assert len(value["eimPackageResult"][1]["notificationList"]) == 2


def test_a_refusal_in_both_dialects() -> None:
    code = ResultErrorCode.UNKNOWN_PACKAGE
    assert eim_package.encode_result_error(b"\x01\x02", code) == H("A007 80020102 020102")
    assert eim_package.encode_result_error(None, code) == H("A003 020102")
    assert eim_package.encode_result_error(b"\x01", code, dialect="1.0") == H("020102")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("BF50 09 BF53 06 800101 800102", ProvideResultResponse((1, 2))),
        ("BF50 0A BF53 07 800101 80020080", ProvideResultResponse((1, 128))),
        ("BF50 03 BF53 00", ProvideResultResponse()),
        ("BF50 02 3000", ProvideResultResponse()),
        ("BF50 03 020102", ProvideResultResponse((), 2)),
        ("BF50 00", ProvideResultResponse(tolerances=("empty-answer",))),
        ("", ProvideResultResponse(tolerances=("empty-answer",))),
        ("BF53 03 800105", ProvideResultResponse((5,), tolerances=("missing-outer-tag",))),
        ("3000", ProvideResultResponse(tolerances=("missing-outer-tag",))),
        ("BF50 06 BF53 03 020105", ProvideResultResponse((5,), tolerances=("universal-integer",))),
        ("BF50 05 3003 800101", ProvideResultResponse(tolerances=("unexpected-content",))),
        ("BF50 0C BF50 09 BF53 06 800101 800102", ProvideResultResponse((1, 2), tolerances=("doubled-tag",))),
        ("BF50 09 BF53 06 800101 9E0100", ProvideResultResponse((1,))),
        ("BF50 0B BF53 08 8000 800101 800102", ProvideResultResponse((1, 2), tolerances=("unreadable-element",))),
    ],
)
def test_acknowledgements_are_read_however_they_come(body: str, answer: ProvideResultResponse) -> None:
    assert eim_package.parse_provide_result_response(H(body)) == answer


@pytest.mark.parametrize(
    "body", ["3C68746D6C3E", "BF50 03 9E0100", "BF50 02 0200", "BF4F 03 020101", "BF50 05 BF53028000"]
)
def test_what_acknowledges_nothing_and_is_no_error_leaves_the_result_owed(body: str) -> None:
    with pytest.raises(CodecError):
        eim_package.parse_provide_result_response(H(body))


# -- HandleNotification and triggers ---------------------------------------------------------------------------------


def test_a_notification_travels_inside_its_wrapper() -> None:
    assert eim_package.encode_handle_notification(PIR_OK) == H("BF3D 819C A0 8199", PIR_OK)
    assert (
        asn1_schema.decode("HandleNotificationEsipa", eim_package.encode_handle_notification(PIR_OK))[0]
        == "pendingNotification"
    )


def test_a_result_as_notification_in_both_dialects() -> None:
    provided = eim_package.encode_provide_result(EID, RESULT_SIGNED)
    assert eim_package.encode_handle_notification_result(provided) == H("BF3D 81CB", provided)
    old = eim_package.encode_handle_notification_result(provided, dialect="1.0")
    assert old == H("BF3D 81B8 A1 81B5", RESULT_SIGNED)
    with pytest.raises(CodecError, match="begins with BF50"):
        eim_package.encode_handle_notification_result(RESULT_SIGNED)


def test_the_answer_to_a_notification_is_empty_or_ignored() -> None:
    assert eim_package.parse_handle_notification_response(b"") == ()
    assert eim_package.parse_handle_notification_response(b"OK") == ("unexpected-content",)


def test_trigger_results_in_both_dialects() -> None:
    assert eim_package.encode_trigger_result(b"\x01", PIR_OK) == H("BF54 819C 820101", PIR_OK)
    assert eim_package.encode_trigger_result(None, PIR_OK) == H("BF54 8199", PIR_OK)
    with pytest.raises(CodecError, match="begins with BF37"):
        eim_package.encode_trigger_result(None, RESULT_SIGNED)
    assert eim_package.encode_trigger_error(None, 104, error_response=b"x") == H("BF54 08 3006 800168 040178")
    assert eim_package.encode_trigger_error(b"\x01", 127, error_response=b"x", dialect="1.0") == H(
        "BF54 08 820101 3003 800178"
    )
    assert eim_package.encode_trigger_error(None, dialect="1.0") == H("BF54 02 3000")


# -- injection -------------------------------------------------------------------------------------------------------


def test_a_pushed_package_is_recognised() -> None:
    read = eim_package.parse_transfer_eim_package(H("BF4E 8185", PACKAGE_ENABLE))
    assert isinstance(read, EuiccPackageOrder)
    assert read.raw == PACKAGE_ENABLE
    bare = eim_package.parse_transfer_eim_package(PACKAGE_ENABLE)
    assert bare.tolerances == ("missing-outer-tag",)


def test_pushed_acknowledgements_are_recognised() -> None:
    read = eim_package.parse_transfer_eim_package(H("BF4E 06 BF53 03 800107"))
    assert read == EimAcknowledgements(H("BF53 03 800107"), (7,))


@pytest.mark.parametrize("body", ["BF4E 00", "BF4F 03 020101", ""])
def test_what_is_no_pushed_package_raises(body: str) -> None:
    with pytest.raises(CodecError):
        eim_package.parse_transfer_eim_package(H(body))


def test_a_pushed_package_of_the_future_is_unknown() -> None:
    assert isinstance(eim_package.parse_transfer_eim_package(H("BF4E 03 BF6600")), UnknownPackage)


def test_answers_to_pushed_packages() -> None:
    assert eim_package.encode_transfer_response(RESULT_SIGNED) == H("BF4E 81B5", RESULT_SIGNED)
    assert eim_package.encode_package_received() == H("BF4E 02 0500")
    assert eim_package.encode_transfer_error(ResultErrorCode.UNKNOWN_PACKAGE) == H("BF4E 03 020102")
    assert (
        asn1_schema.decode("TransferEimPackageResponse", eim_package.encode_package_received())[0]
        == "eimPackageReceived"
    )
    with pytest.raises(CodecError, match="no result of a transferred package"):
        eim_package.encode_transfer_response(H("A000"))
