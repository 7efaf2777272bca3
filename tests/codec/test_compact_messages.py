"""The compact forms of SGP.32 v1.2 §6.3.2, byte by byte; lengths counted by hand from the tables of the ASN.1 module.

Keys, certificates and signatures are of the right shape only. What the short forms are put together to again is tested
with the lab's eIM, which has its own code for it: ``tests/whole/test_compact_download.py``.
"""

from __future__ import annotations

import pytest

from ipad_agent.codec.esipa import compact_messages
from ipad_agent.codec.esipa.compact_messages import KnownSession
from ipad_agent.codec.identifiers import Eid
from ipad_agent.records import replace

from .vectors import EID_DIGITS, H

EID = Eid.parse(EID_DIGITS)
SIGNATURE = "5F37 02 AABB"
EUICC, EUM = "30 03 020101", "30 03 020102"  # certificates in shape
CONTEXT = "A0 03 800131"  # ctxParams1 { matchingId "1" }
# 80 03 (5) + 83 03 "a.b" (5) + 84 04 (6) = 16; the server's challenge is short for once
SESSION = KnownSession(
    bytes.fromhex("010203"),
    server_address="a.b",
    server_challenge=bytes.fromhex("0A0B0C0D"),
    server_oid="2.999.10",
    iccid=bytes.fromhex("98" * 10),
)
INFO2 = "BF22 0A 8102 0205 8404 81020010"  # 81, extCardResource
# 5 + 5 + 6 + 13 + 5 = 34 = 22
SIGNED1 = H("30 22 8003010203 8303612E62 84040A0B0C0D", INFO2, CONTEXT)
# 36 + 5 + 5 + 5 = 51 = 33; 53 = 35
AUTHENTICATED = H("BF38 35 A0 33", SIGNED1, SIGNATURE, EUICC, EUM)


def test_an_eim_that_knows_card_and_certificates_gets_the_free_memory_and_the_context() -> None:
    # A0 { 84 (6), A2 { A0 (5) } (7) } = 13 = 0D; 15 + 5 = 20 = 14; 22 = 16
    short = H("BF38 16 A2 14 A0 0D 840481020010 A2 05", CONTEXT, SIGNATURE)
    assert compact_messages.authenticate_response(AUTHENTICATED, SESSION, info2=True, certificates=True) == short


def test_a_context_that_the_eim_made_is_left_out() -> None:
    known = replace(SESSION, context=bytes.fromhex(CONTEXT))
    # A0 { 84 (6) } = 8; 8 + 5 = 13 = 0D; 15 = 0F
    short = H("BF38 0F A2 0D A0 06 840481020010", SIGNATURE)
    assert compact_messages.authenticate_response(AUTHENTICATED, known, info2=True, certificates=True) == short


def test_an_eim_that_knows_the_certificates_only_gets_what_the_card_signed_whole() -> None:
    # 36 + 5 = 41 = 29; 43 = 2B
    short = H("BF38 2B A2 29", SIGNED1, SIGNATURE)
    assert compact_messages.authenticate_response(AUTHENTICATED, SESSION, info2=False, certificates=True) == short


def test_an_eim_that_knows_the_card_only_gets_the_certificates_under_tags_of_their_own() -> None:
    # 15 + 5 + 5 + 5 = 30 = 1E; 32 = 20
    short = H("BF38 20 A2 1E A0 0D 840481020010 A2 05", CONTEXT, SIGNATURE, "A1 03 020101 A2 03 020102")
    assert compact_messages.authenticate_response(AUTHENTICATED, SESSION, info2=True, certificates=False) == short


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, transaction_id=bytes(3)),
        replace(SESSION, server_address="a.c"),
        replace(SESSION, server_challenge=bytes(4)),
    ],
    ids=["transaction", "address", "challenge"],
)
def test_what_would_be_put_together_otherwise_is_not_left_out(other: KnownSession) -> None:
    assert compact_messages.authenticate_response(AUTHENTICATED, other, info2=True, certificates=False) is None


def test_a_signed_part_with_an_unknown_field_is_not_shortened() -> None:
    # the same with 99 01 00 at the end: 34 + 3 = 37 = 25, 54 = 36, 56 = 38
    signed = H("30 25 8003010203 8303612E62 84040A0B0C0D", INFO2, CONTEXT, "990100")
    full = H("BF38 38 A0 36", signed, SIGNATURE, EUICC, EUM)
    assert compact_messages.authenticate_response(full, SESSION, info2=True, certificates=False) is None


def test_a_refusal_of_the_card_has_no_compact_form() -> None:
    refusal = bytes.fromhex("BF38 0A A1 08 8003010203 020105")
    assert compact_messages.authenticate_response(refusal, SESSION, info2=True, certificates=True) is None
    assert compact_messages.card_facts(refusal) is None


def test_free_memory_is_no_part_of_what_is_remembered_of_euicc_info2() -> None:
    facts = compact_messages.card_facts(AUTHENTICATED)
    assert facts is not None
    assert facts.euicc_info2 == bytes.fromhex("BF22 06 8102 0205 8400")
    assert facts.certificates == H(EUICC, EUM)
    assert compact_messages.info2_without_memory(bytes.fromhex("BF22 04 8102 0205")) is None


# euiccSigned2 { 80, 5F49, 04? }: 5 + 5 = 10 = 0A; 12 + 5 = 17 = 11; 19 = 13
PREPARED = H("BF21 13 A0 11 30 0A 8003010203 5F49 02 0405", SIGNATURE)


def test_the_transaction_is_left_out_of_the_answer_to_prepare_download() -> None:
    # 30 { 5F49 (5) } = 7; 7 + 5 = 12 = 0C; 14 = 0E
    short = H("BF21 0E A2 0C 30 05 5F49 02 0405", SIGNATURE)
    assert compact_messages.prepare_download_response(PREPARED, SESSION) == short


def test_a_one_time_key_that_the_server_offered_is_left_out() -> None:
    # 2 + 5 = 7; 9
    short = H("BF21 09 A2 07 30 00", SIGNATURE)
    assert compact_messages.prepare_download_response(PREPARED, replace(SESSION, otpk=b"\x04\x05")) == short


def test_a_confirmation_hash_is_always_shown() -> None:
    # 10 + 4 = 14 = 0E; 16 + 5 = 21 = 15; 23 = 17 / 30 { 5 + 4 = 9 }: 11 + 5 = 16 = 10; 18 = 12
    full = H("BF21 17 A0 15 30 0E 8003010203 5F49 02 0405 04 02 0607", SIGNATURE)
    short = H("BF21 12 A2 10 30 09 5F49 02 0405 04 02 0607", SIGNATURE)
    assert compact_messages.prepare_download_response(full, SESSION) == short


# euiccCancelSessionSigned { 80, 81 oid, 82 reason }: 5 + 5 + 3 = 13 = 0D; 15 + 5 = 20 = 14; 22 = 16
CANCELLED = H("BF41 16 A0 14 30 0D 8003010203 810388370A 820103", SIGNATURE)


def test_a_cancellation_is_its_reason_and_its_signature() -> None:
    # 30 { 80 } = 5; 5 + 5 = 10 = 0A; 12 = 0C
    assert compact_messages.cancel_session_response(CANCELLED, SESSION) == H("BF41 0C A2 0A 30 03 800103", SIGNATURE)


def test_a_cancellation_of_another_server_is_sent_whole() -> None:
    assert compact_messages.cancel_session_response(CANCELLED, replace(SESSION, server_oid="2.999.11")) is None
    assert compact_messages.cancel_session_response(CANCELLED, replace(SESSION, server_oid=None)) is None
    assert compact_messages.cancel_session_response(bytes.fromhex("BF41 03 810105"), SESSION) is None


# BF2F { seqNumber 5, install, "a.b", ICCID }: 3 + 4 + 5 + 12 = 24 = 18
METADATA = "BF2F 18 800105 81020780 0C03612E62 5A0A" + "98" * 10
AID = "4F10 A0000005591010FFFFFFFF8900001200"
# A0 { 4F (18), 04 (11) } = 29 = 1D; A2 1F; BF27: 5 + 27 + 5 + 33 = 70 = 46; BF37: 73 + 5 = 78 = 4E
INSTALLED = H(
    "BF37 4E BF27 46 8003010203", METADATA, "0603 88370A A21F A01D", AID, "0409 3007A0053003800100", SIGNATURE
)


def test_a_good_installation_result_is_two_bytes_of_its_aid() -> None:
    # A0 { 4F (4) } = 6; A2 8; A0 { 5 + 3 + 8 = 16 = 10 }; 18 + 5 = 23 = 17
    short = H("A0 17 A0 10 8003010203 020105 A206 A004 4F021200", SIGNATURE)
    assert compact_messages.installation_result(INSTALLED, SESSION) == short


def test_an_unusual_sima_response_is_shown() -> None:
    # the last byte is 01: A0 { 4 + 11 = 15 = 0F } = 17; A2 19; A0 { 5 + 3 + 19 = 27 = 1B }; 29 + 5 = 34 = 22
    full = INSTALLED.replace(bytes.fromhex("3003800100"), bytes.fromhex("3003800101"))
    short = H("A0 22 A0 1B 8003010203 020105 A211 A00F 4F021200 0409 3007A0053003800101", SIGNATURE)
    assert compact_messages.installation_result(full, SESSION) == short


def test_a_failed_installation_keeps_its_reason() -> None:
    # A1 06: BF27: 5 + 27 + 5 + 10 = 47 = 2F; BF37: 50 + 5 = 55 = 37
    full = H("BF37 37 BF27 2F 8003010203", METADATA, "0603 88370A A208 A106 800103 81010A", SIGNATURE)
    # A0 { 5 + 3 + 10 = 18 = 12 }; 20 + 5 = 25 = 19
    short = H("A0 19 A0 12 8003010203 020105 A208 A106 800103 81010A", SIGNATURE)
    assert compact_messages.installation_result(full, SESSION) == short


def test_a_result_without_an_iccid_says_so() -> None:
    # BF2F 0C; BF27: 5 + 15 + 5 + 10 = 35 = 23; BF37: 38 + 5 = 43 = 2B
    metadata = "BF2F 0C 800105 81020780 0C03612E62"
    full = H("BF37 2B BF27 23 8003010203", metadata, "0603 88370A A208 A106 800103 81010A", SIGNATURE)
    # 5 + 3 + 3 + 10 = 21 = 15; 23 + 5 = 28 = 1C
    short = H("A0 1C A0 15 8003010203 020105 010100 A208 A106 800103 81010A", SIGNATURE)
    assert compact_messages.installation_result(full, SESSION) == short


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, transaction_id=bytes(3)),
        replace(SESSION, server_address="a.c"),
        replace(SESSION, server_oid="2.999.11"),
        replace(SESSION, iccid=bytes(10)),
        replace(SESSION, iccid=None),
    ],
    ids=["transaction", "receiver", "server", "profile", "profile not known"],
)
def test_a_result_of_another_session_is_sent_whole(other: KnownSession) -> None:
    assert compact_messages.installation_result(INSTALLED, other) is None


def test_an_aid_of_another_maker_is_sent_whole() -> None:
    other = INSTALLED.replace(bytes.fromhex("A000000559"), bytes.fromhex("A000000558"))
    assert compact_messages.installation_result(other, SESSION) is None


# 30 { BF2F (27), 5F37 (5), certificates (10) } = 42 = 2A
NOTIFICATION = H("30 2A", METADATA, SIGNATURE, EUICC, EUM)


def test_a_notification_without_its_certificates_names_the_card() -> None:
    # 5A 10 (18) + 27 + 5 = 50 = 32; with certificates as short as these nothing would be saved
    long = "30 1E 041C" + "00" * 28  # a certificate of 32 bytes
    # 27 + 5 + 32 + 32 = 96 = 60
    full = H("30 60", METADATA, SIGNATURE, long, long)
    assert compact_messages.certificates_in(full) == H(long, long)
    short = H("A1 32 5A10", EID_DIGITS, METADATA, SIGNATURE)
    assert compact_messages.other_notification(full, EID) == short


def test_nothing_is_shortened_that_would_get_longer() -> None:
    assert compact_messages.other_notification(NOTIFICATION, EID) is None


@pytest.mark.parametrize("raw", ["", "30", "A100", "BF3700", "3003BF2F", "30030201"])
def test_what_cannot_be_read_is_sent_as_it_is(raw: str) -> None:
    damaged = bytes.fromhex(raw)
    assert compact_messages.other_notification(damaged, EID) is None
    assert compact_messages.certificates_in(damaged) is None
    assert compact_messages.installation_result(damaged, SESSION) is None
    assert compact_messages.prepare_download_response(damaged, SESSION) is None
    assert compact_messages.cancel_session_response(damaged, SESSION) is None
    assert compact_messages.authenticate_response(damaged, SESSION, info2=True, certificates=True) is None
