"""What an eIM asks of the IPA, and the answers, in both dialects."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.es10.notifications import AllPackageResults, ByEvents, BySeqNumber, NotificationEvent
from ipad_agent.codec.esipa import ipa_euicc_data
from ipad_agent.codec.esipa.device_info import DeviceInfo, IpaCapabilities, IpaFeature, IpaProtocol
from ipad_agent.codec.esipa.ipa_euicc_data import (
    DataItem,
    DataRequestError,
    IpaEuiccDataRequest,
    encode_ipa_euicc_data,
    encode_ipa_euicc_data_error,
    split_tag_list,
)
from ipad_agent.errors import CodecError

from .vectors import (
    CERT,
    DATA_REQUEST,
    DATA_REQUEST_V10,
    INFO1,
    INFO2,
    IPA_DATA,
    IPA_DATA_V10,
    NOTIFICATION_ENABLE,
    RESULT_SIGNED,
    H,
)

CAPABILITIES = IpaCapabilities(
    frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}),
    frozenset({IpaProtocol.RETRIEVE_COAPS}),
)


def test_a_request_for_everything_is_read() -> None:
    read = IpaEuiccDataRequest.parse(DATA_REQUEST)
    assert read.raw == DATA_REQUEST
    assert read.items == frozenset(DataItem)
    assert (read.dialect, read.unknown_tags, read.tag_list_ok, read.tolerances) == ("1.2", (), True, ())
    assert read.ci_pkid == b"\xf5\xf5"
    assert read.notification_criteria == ByEvents(frozenset({NotificationEvent.ENABLE, NotificationEvent.DISABLE}))
    assert read.epr_criteria == BySeqNumber(42)
    assert read.eim_transaction_id == b"\x01\x02"


def test_a_request_in_the_old_tagging_is_read_as_what_it_means() -> None:
    read = IpaEuiccDataRequest.parse(DATA_REQUEST_V10)
    assert read.dialect == "1.0"
    assert read.tags == (0x80, 0xBF20, 0xBF22, 0x83, 0x84, 0xA5, 0xA6, 0x88, 0xA9, 0xBF2B)
    assert read.unknown_tags == ()
    assert {DataItem.DEFAULT_SMDP_ADDRESS, DataItem.IPA_CAPABILITIES, DataItem.PACKAGE_RESULTS} <= read.items
    assert DataItem.NOTIFICATIONS not in read.items, "the old criterion asks for results instead"
    assert (read.notification_criteria, read.epr_criteria) == (None, AllPackageResults())
    assert read.tolerances == ("old-tag-list", "old-criterion")


def test_tags_both_dialects_share_are_answered_in_the_new_one() -> None:
    assert IpaEuiccDataRequest.parse(H("BF52 06 5C04 BF20BF22")).dialect == "1.2"


@pytest.mark.parametrize(
    ("tag_list", "tags", "complete"),
    [
        ("", (), True),
        ("81", (0x81,), True),
        ("BF2081", (0xBF20, 0x81), True),
        ("81BF", (0x81,), False),
        ("9F8101", (0x9F8101,), True),
        ("9F818181", (), False),
    ],
)
def test_tag_lists_are_split_without_separators(tag_list: str, tags: tuple[int, ...], complete: bool) -> None:
    assert split_tag_list(H(tag_list)) == (tags, complete)


@pytest.mark.parametrize("request_", ["BF52 00", "BF52 02 5C00", "BF52 04 5C02 81BF", "BF52 05 8303010203"])
def test_a_missing_or_broken_tag_list_is_told_so_that_the_eim_gets_its_error_number(request_: str) -> None:
    assert not IpaEuiccDataRequest.parse(H(request_)).tag_list_ok


def test_endless_tag_lists_are_cut() -> None:
    read = IpaEuiccDataRequest.parse(tlv.encode(0xBF52, tlv.encode(0x5C, b"\x81" * 5000)))
    assert len(read.tags) == ipa_euicc_data.MAX_TAGS
    assert not read.tag_list_ok


def test_unknown_tags_are_named() -> None:
    assert IpaEuiccDataRequest.parse(H("BF52 06 5C04 81BF2785")).unknown_tags == (0xBF27, 0x85)


def test_a_criterion_of_the_future_is_refused() -> None:
    with pytest.raises(CodecError, match="no known criterion"):
        IpaEuiccDataRequest.parse(H("BF52 08 5C01A0 A103 850100"))


def test_the_answer_has_its_fields_in_the_order_of_the_schema() -> None:
    answer = encode_ipa_euicc_data(
        eim_transaction_id=b"\x01\x02",
        notifications=[NOTIFICATION_ENABLE],
        default_smdp_address="smdp.example",
        package_results=[RESULT_SIGNED],
        euicc_info1=INFO1,
        euicc_info2=INFO2,
        root_smds_address="smds.example",
        association_token=5,
        eum_certificate=CERT,
        euicc_certificate=CERT,
        ipa_capabilities=CAPABILITIES.encode(),
        device_info=DeviceInfo(H("53926011")).encode(),
    )
    assert answer == IPA_DATA
    assert asn1_schema.encode("IpaEuiccDataResponse", asn1_schema.decode("IpaEuiccDataResponse", IPA_DATA)) == IPA_DATA


def test_the_answer_in_the_old_tagging_has_its_lists_in_one_field() -> None:
    answer = encode_ipa_euicc_data(
        dialect="1.0",
        notifications=[NOTIFICATION_ENABLE],
        default_smdp_address="smdp.example",
        package_results=[RESULT_SIGNED],
        euicc_info1=INFO1,
        ipa_capabilities=IpaCapabilities(CAPABILITIES.features).encode(0x30),
    )
    assert answer == IPA_DATA_V10


def test_one_list_alone_in_the_old_tagging() -> None:
    assert encode_ipa_euicc_data(dialect="1.0", notifications=[]) == H("BF52 07 A005 BF2B 02 A000")
    assert encode_ipa_euicc_data(dialect="1.0", package_results=[]) == H("BF52 07 A005 BF2B 02 A200")


def test_what_is_absent_is_left_out() -> None:
    assert encode_ipa_euicc_data() == H("BF52 02 A000")
    assert encode_ipa_euicc_data(notifications=[]) == H("BF52 04 A002 A000")


def test_errors_are_written_in_both_dialects_and_read_back() -> None:
    new = encode_ipa_euicc_data_error(b"\x01", DataRequestError.INCORRECT_TAG_LIST)
    assert new == H("BF52 08 A106 800101 020101")
    value = ("ipaEuiccDataResponseError", {"eimTransactionId": b"\x01", "ipaEuiccDataErrorCode": 1})
    assert asn1_schema.encode("IpaEuiccDataResponse", value) == new
    assert encode_ipa_euicc_data_error(None, 127) == H("BF52 05 A103 02017F")
    old = encode_ipa_euicc_data_error(b"\x01", 5, dialect="1.0")
    assert old == H("BF52 03 810105")
    assert [ipa_euicc_data.parse_ipa_euicc_data_error(raw) for raw in (new, old, IPA_DATA)] == [1, 5, None]
    with pytest.raises(CodecError):
        ipa_euicc_data.parse_ipa_euicc_data_error(H("BF5200"))
