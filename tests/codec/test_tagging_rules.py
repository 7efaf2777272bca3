"""The rules that decide the bytes, each with a literal: AUTOMATIC TAGS, EXTENSIBILITY IMPLIED and DER (X.680, X.690).

The rules are numbered T1 to T10 as in the comments of the codec.
"""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.es10_download import CancelSessionReason, parse_cancel_session
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult
from ipad_agent.codec.es10.notifications import AllPackageResults, ByEvents, BySeqNumber, NotificationEvent
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature
from ipad_agent.codec.esipa.eim_package import NoPackage, encode_get_eim_package, parse_get_eim_package_response
from ipad_agent.codec.esipa.esipa_download import encode_cancel_session
from ipad_agent.codec.identifiers import Eid

from .vectors import CERT, EID_DIGITS, EIM_FULL, PACKAGE_ENABLE, SPKI, H


def test_t1_fields_of_a_type_without_written_tags_are_numbered_from_80() -> None:
    assert es10_requests.immediate_enable_request(refresh=True) == H("BF5A 03 8001FF")
    assert asn1_schema.encode("ImmediateEnableRequest", {"refreshFlag": True}) == H("BF5A 03 8001FF")
    assert EuiccPackageRequest.parse(PACKAGE_ENABLE).kind == "psmo"  # A0


def test_t2_one_written_tag_keeps_the_others_universal() -> None:
    # eimPackageError is 02 because its neighbours BF51, BF52 and BF54 are written; refused packages have 02 too.
    assert parse_get_eim_package_response(H("BF4F 03 020101")) == NoPackage(1)
    refused = EuiccPackageResult.parse(H("BF51 50  A1 4E  30 09 800165 810105 020104", "5F37 40" + "00" * 64))
    assert refused.error_code == 4


def test_t3_a_tag_on_an_untagged_choice_wraps_it() -> None:
    assert es10_requests.retrieve_notifications_request(BySeqNumber(7)) == H("BF2B 05 A003 800107")
    assert es10_requests.retrieve_notifications_request(AllPackageResults()) == H("BF2B 04 A002 8200")
    events = ByEvents(frozenset({NotificationEvent.ENABLE}))
    assert es10_requests.retrieve_notifications_request(events) == H("BF2B 06 A004 81020640")
    asked = {"searchCriteria": ("profileManagementOperation", (b"\x40", 2))}
    assert asn1_schema.encode("RetrieveNotificationsListRequest", asked) == H("BF2B 06 A004 81020640")


def test_t4_a_tag_on_a_tagged_type_replaces_its_tag() -> None:
    message = ("getEimPackageResponse", ("eimPackageError", 1))
    assert asn1_schema.encode("EsipaMessageFromEimToIpa", message) == H("BF4F 03 020101")
    answer = parse_cancel_session(H("BF41 03 810105"))
    assert encode_cancel_session(b"\x01", answer) == H("BF41 08 800101 A103 810105")


def test_t4_a_peer_that_nests_the_tag_is_understood() -> None:
    answer = parse_get_eim_package_response(H("BF4F 06 BF4F 03 020101"))
    assert answer == NoPackage(1, ("doubled-tag",))


def test_t5_keys_and_certificates_get_their_30_back() -> None:
    config = EimConfigurationData.parse(EIM_FULL)
    assert config.public_key is not None
    assert config.public_key.kind == "spki"
    assert config.public_key.der == SPKI
    assert config.trusted_tls is not None
    assert config.trusted_tls.kind == "certificate"
    assert config.trusted_tls.der == CERT


def test_t6_unknown_fields_are_skipped_wherever_they_are() -> None:
    # 9E (private to nobody) before, between and after known fields; not a tolerance but the rule.
    config = EimConfigurationData.parse(H("30 11  9E0100 800165 9E0101 830100 BE03 9E0102"))
    assert (config.eim_id, config.counter, config.tolerances) == ("e", 0, ())


def test_t7_received_bytes_are_kept_even_where_der_would_write_them_differently() -> None:
    clumsy = H("BF51 8183 30 82 003C", PACKAGE_ENABLE[6:])
    package = EuiccPackageRequest.parse(clumsy)
    assert package.raw == clumsy
    assert es10_requests.load_euicc_package_request(clumsy) == clumsy


@pytest.mark.parametrize(
    ("features", "encoded"),
    [({0, 1}, "800206C0"), ({5}, "80020204"), (set(), "800100"), ({0, 1, 2, 3, 4, 5}, "800202FC")],
)
def test_t8_named_bits_lose_their_trailing_zeros(features: set[int], encoded: str) -> None:
    capabilities = IpaCapabilities(frozenset(IpaFeature(bit) for bit in features))
    expected = tlv.encode(0x30, H(encoded))
    assert capabilities.encode(0x30) == expected
    octet = sum(0x80 >> bit for bit in features)
    assert asn1_schema.encode("IpaCapabilities", {"ipaFeatures": (bytes([octet, 0]), 16)}) == expected


@pytest.mark.parametrize("octet", ["FF", "01", "80"])
def test_t9_any_true_is_true_and_ff_is_written(octet: str) -> None:
    profile = es10_requests.parse_get_profiles(H("BF2D 08 A006 E304 9F2601", octet))
    assert profile.profiles[0].fallback_attribute
    assert es10_requests.profile_rollback_request(refresh=True) == H("BF58 03 8001FF")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "800100"), (127, "80017F"), (128, "80020080"), (0x7FFFFF, "80037FFFFF"), (-1, "8001FF"), (255, "800200FF")],
)
def test_t10_integers_are_minimal_twos_complement(value: int, encoded: str) -> None:
    assert es10_requests.remove_notification_request(value) == tlv.encode(0xBF30, H(encoded))
    assert asn1_schema.encode("NotificationSentRequest", {"seqNumber": value}) == tlv.encode(0xBF30, H(encoded))


def test_the_cancel_reason_is_a_plain_number() -> None:
    assert es10_requests.cancel_session_request(b"\x01", CancelSessionReason.PPR_NOT_ALLOWED) == H(
        "BF41 06 800101 810103"
    )


def test_a_poll_reads_the_same_in_every_release() -> None:
    assert encode_get_eim_package(Eid.parse(EID_DIGITS)) == H("BF4F 12 5A10", EID_DIGITS)
