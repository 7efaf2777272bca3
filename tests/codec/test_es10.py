"""ES10 functions: requests to the byte, answers of good and odd cards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.es10_requests import CancelSessionReason, ResetOption
from ipad_agent.codec.es10.notifications import NotificationEvent
from ipad_agent.codec.identifiers import Eid, Iccid
from ipad_agent.errors import CodecError

from .vectors import (
    AUTH_OK,
    AUTH_REQUEST,
    CANCEL_OK,
    CERT,
    CERTS,
    CTX_PARAMS1,
    EID_DIGITS,
    ICCID_DIGITS,
    PACKAGE_ENABLE,
    PREPARE_OK,
    PREPARE_REQUEST,
    RESULT_SIGNED,
    ROLLBACK_OK,
    SERVER_SIGNED1,
    SIGNATURE,
    SMDP_SIGNED2,
    H,
)

ICCID = Iccid.parse(ICCID_DIGITS)
ALL_AND_EIM = [ResetOption.OPERATIONAL_PROFILES, ResetOption.EIM_CONFIGURATION]
# 5A 4F 9F70 90 91 92 95 B6 B7 99 9F26 9F67 9F7B
IOT_TAGS = "5A4F9F7090919295B6B7999F269F679F7B"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (es10_requests.get_eid_request(), "BF3E 03 5C015A"),
        (es10_requests.get_euicc_info1_request(), "BF20 00"),
        (es10_requests.get_euicc_info2_request(), "BF22 00"),
        (es10_requests.get_rat_request(), "BF43 00"),
        (es10_requests.get_profiles_request(), "BF2D 13 5C11" + IOT_TAGS),
        (es10_requests.get_profiles_request(tag_list=None), "BF2D 00"),
        (
            es10_requests.get_profiles_request(iccid=ICCID, tag_list=b"\x5a"),
            "BF2D 11 A00C 5A0A 989444999999990920F3 5C015A",
        ),
        (es10_requests.get_certs_request(), "BF56 00"),
        (es10_requests.get_certs_request(b"\xf5\xf5"), "BF56 04 8002F5F5"),
        (es10_requests.get_configured_addresses_request(), "BF3C 00"),
        (es10_requests.get_connectivity_parameters_request(), "BF5F 00"),
        (es10_requests.retrieve_notifications_request(), "BF2B 00"),
        (es10_requests.list_notifications_request(), "BF28 00"),
        (
            es10_requests.list_notifications_request([NotificationEvent.INSTALL, NotificationEvent.DELETE]),
            "BF28 04 81020490",
        ),
        (es10_requests.remove_notification_request(200), "BF30 04 800200C8"),
        (es10_requests.set_default_dp_request("a.b"), "BF65 05 8003612E62"),
        (es10_requests.set_default_dp_request(""), "BF65 02 8000"),
        (
            es10_requests.memory_reset_request([ResetOption.OPERATIONAL_PROFILES, ResetOption.EIM_CONFIGURATION]),
            "BF64 04 82020284",
        ),
        (es10_requests.memory_reset_request([ResetOption.EIM_CONFIGURATION], v1_0=True), "BF34 04 82020410"),
        (es10_requests.configure_immediate_enabling_request(enable=False), "BF59 00"),
        (
            es10_requests.configure_immediate_enabling_request(enable=True, smdp_oid=H("2B06"), smdp_address="d"),
            "BF59 09 8000 81022B06 820164",
        ),
        (es10_requests.ipae_activation_request(), "BF42 04 80020780"),
        (es10_requests.immediate_enable_request(refresh=False), "BF5A 03 800100"),
        (es10_requests.immediate_enable_request(refresh=True, v1_0=True), "BF5A 00"),
        (es10_requests.profile_rollback_request(refresh=True), "BF58 03 8001FF"),
        (es10_requests.execute_fallback_request(refresh=True), "BF5D 03 8001FF"),
        (es10_requests.return_from_fallback_request(refresh=False), "BF5E 03 800100"),
        (es10_requests.enable_emergency_profile_request(refresh=True), "BF5B 03 8001FF"),
        (es10_requests.disable_emergency_profile_request(refresh=True), "BF5C 03 8001FF"),
        (es10_requests.get_challenge_request(), "BF2E 00"),
        (
            es10_requests.cancel_session_request(b"\x0a\x0b", CancelSessionReason.UNDEFINED_REASON),
            "BF41 07 80020A0B 81017F",
        ),
    ],
)
def test_requests_are_these_bytes(request_: bytes, expected: str) -> None:
    assert request_ == H(expected)


def test_requests_of_a_download_carry_what_the_server_signed() -> None:
    authenticate = es10_requests.authenticate_server_request(
        server_signed1=SERVER_SIGNED1,
        server_signature1=SIGNATURE,
        ci_pkid=bytes([0xF5] * 20),
        server_certificate=CERT,
        ctx_params1=CTX_PARAMS1,
    )
    assert authenticate == AUTH_REQUEST
    assert (
        asn1_schema.encode("AuthenticateServerRequest", asn1_schema.decode("AuthenticateServerRequest", AUTH_REQUEST))
        == AUTH_REQUEST
    )
    prepare = es10_requests.prepare_download_request(
        smdp_signed2=SMDP_SIGNED2,
        smdp_signature2=SIGNATURE,
        smdp_certificate=CERT,
        hash_cc=bytes([0xCC] * 32),
    )
    assert prepare == PREPARE_REQUEST
    with pytest.raises(CodecError, match="smdpSignature2 should begin with 5F37"):
        es10_requests.prepare_download_request(smdp_signed2=SMDP_SIGNED2, smdp_signature2=CERT, smdp_certificate=CERT)


def test_only_a_package_goes_to_the_euicc_as_one() -> None:
    assert es10_requests.load_euicc_package_request(PACKAGE_ENABLE) == PACKAGE_ENABLE
    with pytest.raises(CodecError):
        es10_requests.load_euicc_package_request(RESULT_SIGNED)


def test_a_v1_0_card_is_not_asked_to_reset_what_it_cannot() -> None:
    with pytest.raises(CodecError, match="PRE_LOADED_TEST_PROFILES"):
        es10_requests.memory_reset_request([ResetOption.PRE_LOADED_TEST_PROFILES], v1_0=True)


Parser = Callable[[bytes], ResultCode]


@pytest.mark.parametrize(
    ("parser", "tag", "code", "name"),
    [
        (es10_requests.parse_remove_notification, 0xBF30, 1, "nothingToDelete"),
        (es10_requests.parse_set_default_dp, 0xBF65, 0, "ok"),
        (es10_requests.parse_configure_immediate_enabling, 0xBF59, 2, "associatedEimAlreadyExists"),
        (es10_requests.parse_ipae_activation, 0xBF42, 1, "notSupported"),
        (es10_requests.parse_immediate_enable, 0xBF5A, 4, "noSessionContext"),
        (es10_requests.parse_execute_fallback, 0xBF5D, 104, "ecallActive"),
        (es10_requests.parse_return_from_fallback, 0xBF5E, 6, "fallbackNotAvailable"),
        (es10_requests.parse_enable_emergency_profile, 0xBF5B, 8, "ecallNotAvailable"),
        (es10_requests.parse_disable_emergency_profile, 0xBF5C, 2, "profileNotInEnabledState"),
        (es10_requests.parse_disable_emergency_profile, 0xBF5C, 8, "ecallNotAvailable"),
    ],
)
def test_single_numbers_have_names_and_are_read_under_other_tags_too(
    parser: Parser, tag: int, code: int, name: str
) -> None:
    for inner in (0x80, 0x02, 0x81):
        read = parser(tlv.encode(tag, tlv.encode_integer(inner, code)))
        assert (read, read.name, read.ok) == (code, name, code == 0)
    assert parser(tlv.encode(tag, tlv.encode_integer(0x80, 77))).name == "77"
    for broken in (b"", tlv.encode(tag), tlv.encode(tag, b"\x80\x00"), H("BF7F 03 800100")):
        with pytest.raises(CodecError):
            parser(broken)


def test_the_eid_is_read() -> None:
    assert es10_requests.parse_get_eid(H("BF3E 12 5A10", EID_DIGITS)) == Eid.parse(EID_DIGITS)
    with pytest.raises(CodecError):
        es10_requests.parse_get_eid(H("BF3E 02 5A00"))


@pytest.mark.parametrize("wrapped", [CERTS, H("BF56 36 A034 A518", CERT, "A618", CERT)])
def test_certificates_come_out_whole(wrapped: bytes) -> None:
    read = es10_requests.parse_get_certs(wrapped)
    assert (read.eum_certificate, read.euicc_certificate, read.error) == (CERT, CERT, None)


@pytest.mark.parametrize(
    ("body", "eum", "euicc"),
    [
        ("BF56 0E A005 A503 020101 A105 A603 020102", "3003020101", "3003020102"),  # as a virtual eUICC answers
        ("BF56 0A A503 020101 A603 020102", "3003020101", "3003020102"),
        ("BF56 07 A005 A603 020102", None, "3003020102"),
        ("BF56 0B A009 A502 30FF A603 020102", None, "3003020102"),
        ("BF56 09 A007 A500 A603 020102", None, "3003020102"),
        ("BF56 09 A002 30FF A603 020102", None, "3003020102"),
    ],
)
def test_a_certificate_that_cannot_be_read_hides_no_other(body: str, eum: str | None, euicc: str | None) -> None:
    read = es10_requests.parse_get_certs(H(body))
    found = [None if one is None else one.hex() for one in (read.eum_certificate, read.euicc_certificate)]
    assert found == [eum, euicc]
    assert read.error is None
    assert read.tolerances or eum is None


def test_refused_certificates_have_a_name() -> None:
    for body, tolerances in (("BF56 03 810101", ()), ("BF56 03 020101", ("universal-integer",))):
        read = es10_requests.parse_get_certs(H(body))
        assert read.error is not None
        assert (read.error.name, read.tolerances) == ("invalidCiPKId", tolerances)
    with pytest.raises(CodecError):
        es10_requests.parse_get_certs(H("BF56 00"))


def test_configured_addresses_may_be_empty() -> None:
    read = es10_requests.parse_get_configured_addresses(H("BF3C 08 8003 612E62 810164"))
    assert (read.default_smdp, read.root_smds) == ("a.b", "d")
    read = es10_requests.parse_get_configured_addresses(H("BF3C 04 8000 8100"))
    assert (read.default_smdp, read.root_smds) == (None, None)


def test_connectivity_parameters_are_opaque() -> None:
    assert es10_requests.parse_get_connectivity_parameters(H("BF5F 05 A003 810142")).http_params == b"B"
    assert es10_requests.parse_get_connectivity_parameters(H("BF5F 02 A000")).http_params is None
    refused = es10_requests.parse_get_connectivity_parameters(H("BF5F 03 810101"))
    assert refused.error is not None
    assert refused.error.name == "parametersNotAvailable"
    with pytest.raises(CodecError):
        es10_requests.parse_get_connectivity_parameters(H("BF5F 00"))


def test_the_tokens_of_added_eims_keep_their_order() -> None:
    read = es10_requests.parse_add_initial_eim(H("BF57 0A A008 0500 840103 840104"))
    assert (read.tokens, read.error) == ((None, 3, 4), None)


def test_refused_and_empty_answers_to_adding_eims() -> None:
    refused = es10_requests.parse_add_initial_eim(H("BF57 03 810102"))
    assert refused.error is not None
    assert refused.error.name == "associatedEimAlreadyExists"
    assert es10_requests.parse_add_initial_eim(H("BF57 00")).tolerances == ("empty-answer",)
    assert es10_requests.parse_add_initial_eim(H("BF57 03 020107")).tolerances == ("universal-integer",)
    with pytest.raises(CodecError):
        es10_requests.parse_add_initial_eim(H("BF57 02 9E00"))


def test_every_part_of_a_reset_has_its_result() -> None:
    read = es10_requests.parse_memory_reset(H("BF64 09 800100 810102 820101"))
    assert (read.result, read.eim_result, read.immediate_enable_result) == (0, 2, 1)
    assert es10_requests.parse_memory_reset(H("BF34 03 800101")).result.name == "nothingToDelete"


def test_a_rollback_brings_the_result_that_replaces_the_old_one() -> None:
    read = es10_requests.parse_profile_rollback(ROLLBACK_OK)
    assert read.result.ok
    assert read.package_result is not None
    assert read.package_result.seq_number == 43


def test_a_rollback_of_a_v1_0_or_simulated_card() -> None:
    bare = H("BF58 5B 800100", ROLLBACK_OK[9:])
    read = es10_requests.parse_profile_rollback(bare)
    assert read.package_result is not None
    assert read.tolerances == ("context-integer", "bare-package-result")
    refused = es10_requests.parse_profile_rollback(H("BF58 03 020101"))
    assert (refused.result.name, refused.package_result) == ("rollbackNotAllowed", None)
    with pytest.raises(CodecError):
        es10_requests.parse_profile_rollback(H("BF58 00"))


def test_the_challenge_is_16_bytes() -> None:
    assert es10_requests.parse_get_challenge(H("BF2E 12 8010", "C1" * 16)) == bytes([0xC1] * 16)
    with pytest.raises(CodecError, match="15 bytes"):
        es10_requests.parse_get_challenge(H("BF2E 11 800F", "C1" * 15))


def test_answers_of_a_download_are_kept_as_they_came() -> None:
    authenticated = es10_requests.parse_authenticate_server(AUTH_OK)
    assert (authenticated.raw, authenticated.error, authenticated.transaction_id) == (AUTH_OK, None, b"\x0a\x0b")
    prepared = es10_requests.parse_prepare_download(PREPARE_OK)
    assert (prepared.raw, prepared.error, prepared.transaction_id) == (PREPARE_OK, None, b"\x0a\x0b")
    cancelled = es10_requests.parse_cancel_session(CANCEL_OK)
    assert (cancelled.raw, cancelled.choice_raw, cancelled.error) == (CANCEL_OK, CANCEL_OK[3:], None)


def test_refusals_of_a_download_have_names() -> None:
    refused = es10_requests.parse_authenticate_server(H("BF38 08 A106 80010A 020106"))
    assert refused.error is not None
    assert (refused.error.name, refused.transaction_id) == ("euiccChallengeMismatch", b"\x0a")
    unprepared = es10_requests.parse_prepare_download(H("BF21 08 A106 80010A 020104"))
    assert unprepared.error is not None
    assert unprepared.error.name == "noSessionContext"
    for body in ("BF41 03 810105", "BF41 03 020105"):
        refusal = es10_requests.parse_cancel_session(H(body))
        assert refusal.error is not None
        assert (refusal.error.name, refusal.choice_raw) == ("invalidTransactionId", H("810105"))
    for parser in (
        es10_requests.parse_authenticate_server,
        es10_requests.parse_prepare_download,
        es10_requests.parse_cancel_session,
    ):
        with pytest.raises(CodecError):
            parser(H("BF7F 00"))


@pytest.mark.parametrize(
    ("type_name", "value", "request_"),
    [
        (
            "GetEimConfigurationDataRequest",
            {"searchCriteria": ("eimId", "x")},
            es10_requests.get_eim_configuration_request("x"),
        ),
        ("ProfileInfoListRequest", {"tagList": H(IOT_TAGS)}, es10_requests.get_profiles_request()),
        (
            "EuiccMemoryResetRequest",
            {"resetOptions": (b"\x84", 8)},
            es10_requests.memory_reset_request([ResetOption(0), ResetOption(5)]),
        ),
        ("IpaeActivationRequest", {"ipaeOption": (b"\x80", 1)}, es10_requests.ipae_activation_request()),
        ("SetDefaultDpAddressRequest", {"defaultDpAddress": "a.b"}, es10_requests.set_default_dp_request("a.b")),
        (
            "CancelSessionRequest",
            {"transactionId": b"\x0a", "reason": 3},
            es10_requests.cancel_session_request(b"\x0a", 3),
        ),
        ("GetCertsRequest", {"euiccCiPKId": b"\xf5"}, es10_requests.get_certs_request(b"\xf5")),
        (
            "ConfigureImmediateProfileEnablingRequest",
            {"immediateEnableFlag": None, "defaultSmdpOid": "1.3.6.1", "defaultSmdpAddress": "d"},
            es10_requests.configure_immediate_enabling_request(enable=True, smdp_oid=H("2B0601"), smdp_address="d"),
        ),
    ],
)
def test_the_schema_writes_the_same_requests(type_name: str, value: object, request_: bytes) -> None:
    assert asn1_schema.encode(type_name, value) == request_
