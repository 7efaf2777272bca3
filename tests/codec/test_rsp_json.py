"""JSON answers of ES9+ and ESipa. Objects are the vectors of the ASN.1 messages, in base64."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk
from ipad_agent.codec.rsp import es9_messages
from ipad_agent.codec.rsp.es9_messages import EventEntries, EventEntry
from ipad_agent.codec.rsp.rsp_json import FunctionStatus, JsonAnswer
from ipad_agent.codec.rsp.rsp_status_codes import ERROR_NUMBERS, REASONS, error_number
from ipad_agent.errors import CodecError

from .vectors import AUTH_OK, CERT, INFO1, METADATA, SERVER_SIGNED1, SIGNATURE, SMDP_SIGNED2, H

TRANSACTION = b"\x0a\x0b"
SUCCESS = {"functionExecutionStatus": {"status": "Executed-Success"}}


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


OPENING: dict[str, Any] = {
    "header": SUCCESS,
    "transactionId": "0A0B",
    "serverSigned1": b64(SERVER_SIGNED1),
    "serverSignature1": b64(SIGNATURE),
    "euiccCiPKIdToBeUsed": b64(H("0414", "F5" * 20)),
    "serverCertificate": b64(CERT),
}
CLIENT: dict[str, Any] = {
    "header": SUCCESS,
    "transactionId": "0A0B",
    "profileMetadata": b64(METADATA),
    "smdpSigned2": b64(SMDP_SIGNED2),
    "smdpSignature2": b64(SIGNATURE),
    "smdpCertificate": b64(CERT),
}


def answer(fields: object) -> JsonAnswer:
    return JsonAnswer.parse(json.dumps(fields).encode())


# -- requests ----------------------------------------------------------------------------------------------------------


def test_opening_has_the_bare_challenge_and_the_whole_info() -> None:
    # 16 bytes C1 are wcHB... in base64; "vyA1" begins BF20 35.
    body = es9_messages.initiate_authentication_request(
        challenge=b"\xc1" * 16, euicc_info1=INFO1, smdp_address="smdp.example"
    )
    assert body.startswith(b'{"euiccChallenge":"wcHBwcHBwcHBwcHBwcHBwQ==","euiccInfo1":"vyA1')
    assert body.endswith(b'","smdpAddress":"smdp.example"}')


def test_transaction_is_sent_in_upper_case() -> None:
    body = json.loads(es9_messages.authenticate_client_request(b"\xab\xcd", AUTH_OK))
    assert body == {"transactionId": "ABCD", "authenticateServerResponse": b64(AUTH_OK)}


@pytest.mark.parametrize(
    "encode",
    [
        es9_messages.authenticate_client_request,
        es9_messages.get_bound_profile_package_request,
        es9_messages.cancel_session_request,
    ],
)
def test_something_else_than_the_cards_answer_is_not_sent(encode: Any) -> None:
    with pytest.raises(CodecError):
        encode(TRANSACTION, b"\x30\x00")


# -- answers -----------------------------------------------------------------------------------------------------------


def test_opening_keeps_what_the_server_signed() -> None:
    read = es9_messages.read_initiate_authentication(answer(OPENING))
    assert (read.server_signed1.raw, read.server_signature1, read.server_certificate) == (
        SERVER_SIGNED1,
        SIGNATURE,
        CERT,
    )
    assert (read.transaction_id, read.ci_pkid) == (TRANSACTION, b"\xf5" * 20)
    assert read.tolerances == ()


@pytest.mark.parametrize("more", [{}, {"rspCapability": "A0IDAA=="}, {"rspCapability": {}, "ofReleasesToCome": [1]}])
def test_members_of_later_releases_are_passed_over(more: dict[str, object]) -> None:
    """SGP.22 v3 servers tell their rspCapability."""
    read = es9_messages.read_initiate_authentication(answer({**OPENING, **more}))
    assert read.server_signed1.raw == SERVER_SIGNED1
    assert read.tolerances == ()


def test_profile_offer_is_read() -> None:
    read = es9_messages.read_authenticate_client(answer(CLIENT), TRANSACTION)
    assert isinstance(read, AuthenticateClientOk)
    assert (read.smdp_signed2.raw, read.smdp_signed2.confirmation_code_required) == (SMDP_SIGNED2, True)
    assert read.metadata is not None
    assert read.metadata.raw == METADATA
    assert read.tolerances == ()


def _capitals(fields: dict[str, Any], change: Any) -> dict[str, Any]:
    return {
        change(name): _capitals(value, change) if isinstance(value, dict) else value for name, value in fields.items()
    }


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda name: name[:1].upper() + name[1:]])
def test_members_are_known_in_any_capital_letters_and_that_is_noted(change: Any) -> None:
    opening = es9_messages.read_initiate_authentication(answer(_capitals(OPENING, change)))
    assert (opening.server_signed1.raw, opening.transaction_id) == (SERVER_SIGNED1, TRANSACTION)
    assert opening.tolerances == ("json-field-case",)
    refused = {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": DATA}}}
    assert status(_capitals(refused, change)) == (REFUSED, ("json-field-case",))
    events = {"header": SUCCESS, "eventEntries": [_capitals({"eventId": "EV-1", "rspServerAddress": "a"}, change)]}
    read = es9_messages.read_authenticate_client(answer(_capitals(events, change)), TRANSACTION)
    assert isinstance(read, EventEntries)
    assert read.entries == (EventEntry("EV-1", "a"),)


def test_of_two_members_that_differ_in_capital_letters_only_the_right_one_counts_and_no_wrong_one() -> None:
    right = {**OPENING, "TRANSACTIONID": "0A0C", "transactionid": "0A0D"}
    assert es9_messages.read_initiate_authentication(answer(right)).tolerances == ()
    wrong = {name: value for name, value in right.items() if name != "transactionId"}
    assert es9_messages.read_initiate_authentication(answer(wrong)).tolerances == ("json-without-transaction",)


# An element in whose base64 the alphabets differ.
_STANDARD = b64(H("3003", "FBEFFF"))


@pytest.mark.parametrize("text", ["MAP77_8", "MAP77_8="])
def test_base64_in_the_alphabet_for_urls_is_read_and_noted(text: str) -> None:
    read = answer({"serverCertificate": text})
    assert read.require("serverCertificate", 0x30) == H("3003FBEFFF")
    assert "base64-url" in read.tolerances
    assert answer({"serverCertificate": _STANDARD}).require("serverCertificate", 0x30) == H("3003FBEFFF")


@pytest.mark.parametrize("text", ["MAP7/_8=", "MAP77_8=A", "-", "MAP77_é="])
def test_a_mixture_of_alphabets_or_half_a_text_is_no_base64(text: str) -> None:
    with pytest.raises(CodecError, match="no base64"):
        answer({"serverCertificate": text}).require("serverCertificate", 0x30)


def test_events_of_an_sm_ds_are_read_and_broken_ones_left_out() -> None:
    entries = [
        {"eventId": "EV-1", "rspServerAddress": "smdp.example"},
        {"eventId": "EV-2"},
        "EV-3",
        {"eventId": "EV 4", "rspServerAddress": "smdp.example"},
    ]
    read = es9_messages.read_authenticate_client(
        answer({"header": SUCCESS, "transactionId": "0A0B", "eventEntries": entries}), TRANSACTION
    )
    assert read == EventEntries(TRANSACTION, (EventEntry("EV-1", "smdp.example"),), ("unreadable-element",))


@pytest.mark.parametrize("named", ["0A0C", "0A0B00"])
def test_answer_of_another_transaction_is_refused(named: str) -> None:
    with pytest.raises(CodecError, match="transaction"):
        es9_messages.read_initiate_authentication(answer({**OPENING, "transactionId": named}))
    with pytest.raises(CodecError, match="transaction"):
        es9_messages.read_authenticate_client(answer({**CLIENT, "transactionId": named}), TRANSACTION)
    with pytest.raises(CodecError, match="transaction"):
        es9_messages.read_bound_profile_package(
            answer({"transactionId": named, "boundProfilePackage": b64(H("BF36 03 BF2300"))}), TRANSACTION
        )


def test_signed_part_of_another_transaction_is_refused_although_the_field_is_right() -> None:
    with pytest.raises(CodecError, match="smdpSigned2"):
        es9_messages.read_authenticate_client(
            answer({**CLIENT, "smdpSigned2": b64(H("30 07 80020A0C 010100"))}), TRANSACTION
        )


@pytest.mark.parametrize("missing", ["serverSigned1", "serverSignature1", "serverCertificate"])
def test_opening_without_a_signed_part_is_refused_by_name(missing: str) -> None:
    with pytest.raises(CodecError, match=missing):
        es9_messages.read_initiate_authentication(answer({**OPENING, missing: None}))


@pytest.mark.parametrize(
    "value", [5, True, [], {}, "!!!", "A", "MA==A", b64(H("3000 00")), b64(H("31 00")), "\ud800", "é"]
)
def test_field_that_holds_no_such_object_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        es9_messages.read_initiate_authentication(answer({**OPENING, "serverSigned1": value}))


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 200_000, b"1" * 5000, b"null"])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        JsonAnswer.parse(body)


# -- status ------------------------------------------------------------------------------------------------------------


def status(document: object) -> tuple[FunctionStatus | None, tuple[str, ...]]:
    read = answer(document)
    return read.status, read.tolerances


DATA = {"subjectCode": "8.2.6", "reasonCode": "3.8", "subjectIdentifier": "X", "message": "Refused\n"}
REFUSED = FunctionStatus(False, "8.2.6", "3.8", "Refused", "X")


def test_failure_is_read_with_its_code_and_words() -> None:
    document = {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": DATA}}}
    assert status(document) == (REFUSED, ())
    assert REFUSED.sentence == "8.2.6/3.8 (Refused)"


@pytest.mark.parametrize(
    "document",
    [
        {"header": {"functionExecutionStatus": {"status": "failed", "statusCodeData": DATA}}},
        {"header": {"functionExecutionStatus": {"status": "FAILED", "statusCodeData": [DATA]}}},
        {"header": {"functionExecutionStatus": "Failed", "statusCodeData": DATA}},
        {"header": {"functionExecutionStatus": {"status": "Failed"}, "statusCodeData": DATA}},
        {"header": {"functionExecutionStatus": {"status": "Failed"}}, "statusCodeData": DATA},
        {"functionExecutionStatus": {"status": "Failed", "statusCodeData": DATA}},
        {
            "header": {
                "functionExecutionStatus": {
                    "status": "Failed",
                    "statusCodeData": {
                        "subject": " 8.2.6. ",
                        "reason": 3.8,
                        "message": "Refused",
                        "subjectIdentifier": "X",
                    },
                }
            }
        },
    ],
)
def test_failure_in_another_form_is_read_and_noted(document: object) -> None:
    assert status(document) == (REFUSED, ("json-status-form",))


@pytest.mark.parametrize("word", ["Executed-Success", "Executed-WithWarning"])
def test_success_with_or_without_warning_is_a_success(word: str) -> None:
    read, tolerances = status({"header": {"functionExecutionStatus": {"status": word}}})
    assert read is not None
    assert (read.executed, tolerances) == (True, ())


def test_expired_is_a_failure() -> None:
    read, _ = status({"header": {"functionExecutionStatus": {"status": "Expired"}}})
    assert read is not None
    assert not read.executed


@pytest.mark.parametrize("word", ["", "Maybe", 5, None, {}])
def test_status_nobody_knows_is_no_success(word: object) -> None:
    with pytest.raises(CodecError):
        status({"header": {"functionExecutionStatus": {"status": word}}})


NAMES = [
    "header",
    "functionExecutionStatus",
    "status",
    "statusCodeData",
    "subjectCode",
    "transactionId",
    "eventEntries",
]
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
)


@given(DOCUMENTS)
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        read = answer(document)
        es9_messages.read_authenticate_client(read, TRANSACTION)
    except CodecError:
        return


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "code", "number"),
    [
        ("InitiateAuthentication", "8.31.2/3.10", 52),
        ("InitiateAuthentication", "8.8.1/3.8", 1),
        ("AuthenticateClient", "8.2.6/3.8", 6),
        ("AuthenticateClient", "8.2.8/1.2", 50),
        ("AuthenticateClient", "8.8.5/4.10", 18),
        ("GetBoundProfilePackage", "8.2.9/3.11", 50),
        ("GetBoundProfilePackage", "8.2.7/6.4", 4),
        ("GetEimPackage", "8.1.1/3.9", 2),
        ("CancelSession", "8.10.1/3.9", 1),
        ("CancelSession", "8.8/3.10", 127),
        ("GetEimPackage", "9.9/9.9", 127),
    ],
)
def test_status_codes_have_the_numbers_of_the_asn1_binding(function: str, code: str, number: int) -> None:
    subject, _, reason = code.partition("/")
    assert error_number(function, subject, reason) == number


def test_every_reason_of_the_table_has_words() -> None:
    assert {reason for _, _, reason in ERROR_NUMBERS} <= set(REASONS)
