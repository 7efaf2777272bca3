"""ESipa messages of a download through the eIM."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.es10.es10_download import parse_cancel_session
from ipad_agent.codec.esipa import esipa_download
from ipad_agent.codec.esipa.download_trigger import UseDefaultSmdp
from ipad_agent.codec.esipa.esipa_download import (
    AuthenticateClientOk,
    AuthenticateClientSmds,
    InitiateAuthenticationOk,
    Refused,
)
from ipad_agent.errors import CodecError

from .vectors import (
    AUTH_OK,
    BPP_OK,
    CANCEL_OK,
    CERT,
    CLIENT_DS,
    CLIENT_OK,
    CTX_PARAMS1,
    INFO1,
    INITIATE_OK,
    METADATA,
    PREPARE_OK,
    SERVER_SIGNED1,
    SIGNATURE,
    SMDP_SIGNED2,
    H,
)

CHALLENGE = bytes([0xC1] * 16)


def test_the_opening_has_the_transaction_behind_the_info_as_the_schema_says() -> None:
    body = esipa_download.encode_initiate_authentication(
        CHALLENGE, smdp_address="d", euicc_info1=INFO1, eim_transaction_id=b"\x09"
    )
    assert body == H("BF39 50 8110", CHALLENGE, "830164", INFO1, "820109")
    value = asn1_schema.decode("InitiateAuthenticationRequestEsipa", body)
    assert asn1_schema.encode("InitiateAuthenticationRequestEsipa", value) == body
    assert esipa_download.encode_initiate_authentication(CHALLENGE) == H("BF39 12 8110", CHALLENGE)


def test_a_challenge_of_wrong_length_is_not_sent() -> None:
    with pytest.raises(CodecError, match="instead of 16"):
        esipa_download.encode_initiate_authentication(b"1")


def test_the_servers_opening_is_read_and_its_signed_parts_kept() -> None:
    read = esipa_download.parse_initiate_authentication_response(INITIATE_OK)
    assert isinstance(read, InitiateAuthenticationOk)
    assert (read.transaction_id, read.ci_pkid, read.matching_id) == (b"\x0a\x0b", b"\xf5\xf5", "ABC-1")
    assert read.server_signed1.raw == SERVER_SIGNED1
    assert (read.server_signed1.server_address, read.server_signed1.euicc_challenge) == ("smdp.example", CHALLENGE)
    assert (read.server_signature1, read.server_certificate, read.ctx_params1) == (SIGNATURE, CERT, CTX_PARAMS1)


def test_a_transaction_that_is_left_out_is_taken_from_the_signed_data() -> None:
    ok = tlv.parse(INITIATE_OK).children()[0]
    slim = tlv.encode(0xBF39, tlv.encode(0xA0, *(child.raw for child in ok if child.tag not in (0x80, 0x0C, 0xA2))))
    read = esipa_download.parse_initiate_authentication_response(slim)
    assert isinstance(read, InitiateAuthenticationOk)
    assert (read.transaction_id, read.matching_id, read.ctx_params1) == (b"\x0a\x0b", None, None)


def test_a_success_without_its_wrapper_is_read() -> None:
    ok = tlv.parse(INITIATE_OK).children()[0]
    read = esipa_download.parse_initiate_authentication_response(tlv.encode(0xBF39, ok.value))
    assert read.tolerances == ("unwrapped-choice",)


def test_a_package_without_the_wrapper_of_its_success_is_read() -> None:
    ok = tlv.parse(BPP_OK).children()[0]
    for content in (ok.value, ok.require(0xBF36).raw):
        read = esipa_download.parse_get_bound_profile_package_response(tlv.encode(0xBF3A, content))
        assert isinstance(read, esipa_download.BoundProfilePackage)
        assert (read.bpp, read.tolerances) == (BPP_OK[9:], ("unwrapped-choice",))


@pytest.mark.parametrize(
    ("body", "name"), [("BF39 03 810134", "invalidEimTransactionId"), ("BF39 03 02017F", "undefinedError")]
)
def test_a_refused_opening_has_a_name(body: str, name: str) -> None:
    read = esipa_download.parse_initiate_authentication_response(H(body))
    assert isinstance(read, Refused)
    assert read.code.name == name


def test_the_euiccs_answers_travel_as_they_came() -> None:
    assert esipa_download.encode_authenticate_client(b"\x0a", AUTH_OK) == H("BF3B 820153 80010A", AUTH_OK)
    assert esipa_download.encode_get_bound_profile_package(b"\x0a", PREPARE_OK) == H("BF3A 8197 80010A", PREPARE_OK)
    with pytest.raises(CodecError, match="should begin with BF38"):
        esipa_download.encode_authenticate_client(b"\x0a", PREPARE_OK)


def test_the_offer_of_the_smdp_is_read() -> None:
    read = esipa_download.parse_authenticate_client_response(CLIENT_OK)
    assert isinstance(read, AuthenticateClientOk)
    assert (read.transaction_id, read.hash_cc) == (b"\x0a\x0b", bytes([0xCC] * 32))
    assert read.smdp_signed2.raw == SMDP_SIGNED2
    assert read.smdp_signed2.confirmation_code_required
    assert (read.smdp_signature2, read.smdp_certificate) == (SIGNATURE, CERT)
    assert read.metadata is not None
    assert read.metadata.raw == METADATA


def test_an_event_of_the_smds_is_read() -> None:
    read = esipa_download.parse_authenticate_client_response(CLIENT_DS)
    assert isinstance(read, AuthenticateClientSmds)
    assert read.trigger is not None
    assert read.trigger.data == UseDefaultSmdp()


def test_a_refused_client_has_a_name() -> None:
    read = esipa_download.parse_authenticate_client_response(H("BF3B 03 820106"))
    assert isinstance(read, Refused)
    assert read.code.name == "matchingIdRefused"


def test_the_bound_profile_package_is_kept_as_it_came() -> None:
    read = esipa_download.parse_get_bound_profile_package_response(BPP_OK)
    assert isinstance(read, esipa_download.BoundProfilePackage)
    assert read.bpp == BPP_OK[9:]
    assert read.bpp[:2] == b"\xbf\x36"
    refused = esipa_download.parse_get_bound_profile_package_response(H("BF3A 03 81015F"))
    assert isinstance(refused, Refused)
    assert refused.code.name == "invalidTransactionId"


def test_cancelling_hands_on_the_euiccs_answer_without_its_own_tag() -> None:
    answer = parse_cancel_session(CANCEL_OK)
    body = esipa_download.encode_cancel_session(b"\x0a", answer)
    assert body == H("BF41 59 80010A A154", CANCEL_OK[3:])
    value = asn1_schema.decode("CancelSessionRequestEsipa", body)
    assert value["cancelSessionResponse"][0] == "cancelSessionResponseOk"


def test_cancelling_keeps_the_tag_of_the_euiccs_answer_for_those_who_want_it() -> None:
    # As asn1ct (OTP 27) and pycrate 0.8.1 write cancelSessionResponse [1] of CancelSessionRequestEsipa.
    body = esipa_download.encode_cancel_session(b"\x0a", parse_cancel_session(CANCEL_OK), nested=True)
    assert body == H("BF41 5C 80010A A157", CANCEL_OK)


def test_an_expired_order_has_its_name_where_v1_2_and_v1_3_have_its_number() -> None:
    client = esipa_download.parse_authenticate_client_response(H("BF3B 03 820112"))
    package = esipa_download.parse_get_bound_profile_package_response(H("BF3A 03 810106"))
    assert isinstance(client, Refused)
    assert isinstance(package, Refused)
    assert (client.code.name, package.code.name) == ("downloadOrderExpired", "downloadOrderExpired")
    later = esipa_download.parse_authenticate_client_response(H("BF3B 03 820113"))
    assert isinstance(later, Refused)
    assert int(later.code) == 19


@pytest.mark.parametrize("body", ["BF41 02 A000", "BF41 00", ""])
def test_a_closed_session_is_recognised(body: str) -> None:
    assert esipa_download.parse_cancel_session_response(H(body)) is None


def test_a_refused_cancel_has_a_name() -> None:
    refused = esipa_download.parse_cancel_session_response(H("BF41 03 810102"))
    assert refused is not None
    assert refused.code.name == "euiccSignatureInvalid"


@pytest.mark.parametrize("body", ["BF39 00", "BF39 03 9E0100", "BF3B 03 820106", "BF39 04 A0023000", "BF39 02 8100"])
def test_what_is_no_answer_to_the_opening_raises(body: str) -> None:
    with pytest.raises(CodecError):
        esipa_download.parse_initiate_authentication_response(H(body))
