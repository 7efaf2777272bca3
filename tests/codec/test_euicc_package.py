"""eUICC packages and results: what is read from them, in both dialects, and that no byte of them changes."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult, as_package_result
from ipad_agent.codec.identifiers import Eid, Iccid
from ipad_agent.errors import CodecError
from ipad_agent.procedures.package_sentences import of_result

from .vectors import (
    EID_DIGITS,
    ICCID_DIGITS,
    PACKAGE_ECO,
    PACKAGE_ENABLE,
    RESULT_ERROR_SIGNED,
    RESULT_SIGNED,
    RESULT_SIGNED_V10,
    ROLLBACK_OK,
    SIGNATURE,
    H,
)


def package(*operations: str | bytes, kind: int = 0xA0) -> bytes:
    signed = tlv.encode(0x30, H("800165 5A10", EID_DIGITS, "810101"), tlv.encode(kind, H(*operations)))
    return tlv.encode(0xBF51, signed, SIGNATURE)


def result(*entries: str) -> EuiccPackageResult:
    signed = tlv.encode(0x30, H("800165 810101 830102"), tlv.encode(0x30, H(*entries)))
    return EuiccPackageResult.parse(tlv.encode(0xBF51, tlv.encode(0xA0, signed, SIGNATURE)))


def test_a_package_is_read_without_touching_it() -> None:
    read = EuiccPackageRequest.parse(PACKAGE_ENABLE)
    assert read.raw == PACKAGE_ENABLE
    assert (read.eim_id, read.eid, read.counter) == ("eim.example", Eid.parse(EID_DIGITS), 128)
    assert (read.eim_transaction_id, read.kind) == (b"\x01\x02", "psmo")
    assert [(op.name, op.iccid, op.rollback) for op in read.operations] == [
        ("enable", Iccid.parse(ICCID_DIGITS), True),
        ("listProfileInfo", None, False),
    ]
    assert read.may_change_state
    assert read.tolerances == ()


def test_the_same_tag_means_another_operation_in_an_eco_list() -> None:
    read = EuiccPackageRequest.parse(PACKAGE_ECO)
    assert [op.name for op in read.operations] == ["addEim", "deleteEim", "listEim"]
    assert (read.kind, read.eim_transaction_id, read.may_change_state) == ("eco", None, False)
    psmo = EuiccPackageRequest.parse(package("A80C 5A0A 989444999999990920F3", "A900"))
    assert [op.name for op in psmo.operations] == ["setFallbackAttribute", "unsetFallbackAttribute"]
    assert not psmo.may_change_state


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        ("A30C 5A0A 989444999999990920F3", True),
        ("A40C 5A0A 989444999999990920F3", True),
        ("A50C 5A0A 989444999999990920F3", True),
        ("A600", False),
        ("A702 8000", False),
        ("BF2D00", False),
        ("BF65 03 800178", False),
        ("B000", True),
    ],
)
def test_what_may_change_profiles_is_known_and_the_unknown_counts_as_that(operation: str, changes: bool) -> None:
    assert EuiccPackageRequest.parse(package(operation)).may_change_state is changes


def test_rollback_under_81_is_understood() -> None:
    read = EuiccPackageRequest.parse(package("A30E 5A0A 989444999999990920F3 8100"))
    assert (read.wants_rollback, read.tolerances) == (True, ("rollback-flag-81",))
    read = EuiccPackageRequest.parse(package("A30F 5A0A 989444999999990920F3 810100"))
    assert not read.wants_rollback


def test_a_mixed_package_is_left_to_the_euicc() -> None:
    signed = tlv.encode(0x30, H("800165 5A10", EID_DIGITS, "810101 A002 A600 A102 AB00"))
    read = EuiccPackageRequest.parse(tlv.encode(0xBF51, signed, SIGNATURE))
    assert [op.name for op in read.operations] == ["getRAT", "listEim"]
    assert read.tolerances == ("mixed-package",)


def test_an_eid_or_iccid_that_is_no_number_is_read_and_left_to_the_euicc() -> None:
    raw = package("A30C 5A0A 9868005B103254769810").replace(bytes.fromhex(EID_DIGITS), b"\xaa" * 16)
    read = EuiccPackageRequest.parse(raw)
    assert (read.eid, read.operations[0].iccid) == (Eid(b"\xaa" * 16), Iccid.parse("898600B5012345678901"))
    assert read.raw == raw
    assert read.tolerances == ("letters-in-identifier",)


def test_an_iccid_that_cannot_be_read_is_not_the_same_as_none() -> None:
    read = EuiccPackageRequest.parse(package("A30C 5A0A 98F444999999990920F3", "A304 5A02 9844", "A302 0500"))
    assert [str(one.iccid) for one in read.operations] == ["0x98F444999999990920F3", "0x9844", "None"]
    assert read.tolerances == ("unreadable-identifier",)


def test_an_operation_with_broken_content_is_left_to_the_euicc() -> None:
    read = EuiccPackageRequest.parse(package("A302 5A0A"))
    assert (read.operations[0].name, read.operations[0].iccid) == ("enable", None)
    assert read.tolerances == ("unreadable-operation",)


def test_a_doubled_outer_tag_is_taken_off_before_the_euicc_sees_it() -> None:
    read = EuiccPackageRequest.parse(tlv.encode(0xBF51, PACKAGE_ENABLE))
    assert (read.raw, read.tolerances) == (PACKAGE_ENABLE, ("doubled-tag",))


@pytest.mark.parametrize("missing", [b"\x80\x01\x65", H("5A10", EID_DIGITS), b"\x81\x01\x01", b"\xa0\x02\xa6\x00"])
def test_a_package_without_a_mandatory_part_is_refused(missing: bytes) -> None:
    signed = H("800165 5A10", EID_DIGITS, "810101 A002A600")
    assert EuiccPackageRequest.parse(tlv.encode(0xBF51, tlv.encode(0x30, signed), SIGNATURE))
    with pytest.raises(CodecError, match=r"is missing|without operations"):
        EuiccPackageRequest.parse(tlv.encode(0xBF51, tlv.encode(0x30, signed.replace(missing, b"")), SIGNATURE))


def test_a_package_without_signature_is_refused() -> None:
    with pytest.raises(CodecError, match="eimSignature"):
        EuiccPackageRequest.parse(tlv.encode(0xBF51, tlv.parse(PACKAGE_ENABLE).children()[0].raw))


# -- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("raw", "tolerances"), [(RESULT_SIGNED, ()), (RESULT_SIGNED_V10, ("bare-package-result",))])
def test_a_signed_result_is_read_in_both_dialects(raw: bytes, tolerances: tuple[str, ...]) -> None:
    read = EuiccPackageResult.parse(raw)
    assert (read.raw, read.relay_raw, read.tolerances) == (raw, RESULT_SIGNED, tolerances)
    assert (read.variant, read.eim_id, read.counter, read.seq_number) == ("signed", "eim.example", 128, 42)
    assert (read.eim_transaction_id, read.error_code) == (b"\x01\x02", None)
    assert [(entry.name, entry.code, entry.ok) for entry in read.results] == [
        ("enable", 0, True),
        ("listProfileInfo", None, True),
        ("addEim", None, True),
        ("processingTerminated", 2, False),
    ]
    assert read.results[2].association_token == 3
    assert read.switched
    assert not read.ok


def test_a_signed_refusal_has_a_code_and_no_number_to_remove() -> None:
    read = EuiccPackageResult.parse(RESULT_ERROR_SIGNED)
    assert (read.variant, read.seq_number, read.results) == ("error_signed", None, ())
    assert read.error_code is not None
    assert (read.error_code, read.error_code.name) == (4, "replayError")
    assert not read.ok


def test_an_unsigned_refusal_names_the_transaction_when_it_has_one() -> None:
    read = EuiccPackageResult.parse(H("BF51 0C A20A 800165 82020102 840103"))
    assert (read.variant, read.eim_transaction_id, read.association_token) == ("error_unsigned", b"\x01\x02", 3)
    assert read.error_code is None


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        # made with pycrate from the ASN.1 module of SGP.32 v1.3
        ("BF511BA219800B65696D2E6578616D706C6582040A0B0C0D8401038F010F", 15, "sizeOverflow (15), unsigned"),
        ("BF5112A210800B65696D2E6578616D706C658F017F", 127, "undefinedError (127), unsigned"),
        ("BF5105A203 8F0163", 99, "99 (99), unsigned"),
        ("BF5104A202 8F00", None, "it does not know this eIM, or the eIM's signature does not fit"),
    ],
)
def test_an_unsigned_refusal_says_why_since_v1_3(body: str, code: int | None, said: str) -> None:
    read = EuiccPackageResult.parse(H(body))
    assert read.variant == "error_unsigned"
    assert read.error_code == code
    assert of_result(read) == said
    assert read.relay_raw == H(body)


@pytest.mark.parametrize(
    ("entry", "name", "code", "ok"),
    [
        ("830100", "enable", 0, True),
        ("830102", "enable", 2, False),
        ("840105", "disable", 5, False),
        ("850115", "delete", 21, False),
        ("870101", "configureImmediateEnable", 1, False),
        ("890100", "deleteEim", 0, True),
        ("890102", "deleteEim", 2, True),
        ("8A0106", "updateEim", 6, False),
        ("8C0100", "rollback", 0, True),
        ("8D0102", "setFallbackAttribute", 2, False),
        ("8E0107", "unsetFallbackAttribute", 7, False),
        ("020101", "processingTerminated", 1, False),
        ("020100", "processingTerminated", 0, False),
        ("A600", "getRAT", None, True),
        ("A803 020102", "addEim", 2, False),
        ("A803 020100", "addEim", 0, True),
        ("AB02 A000", "listEim", None, True),
        ("AB03 81017F", "listEim", 127, False),
        ("BF2D 02 A000", "listProfileInfo", None, True),
        ("BF2D 03 81010B", "listProfileInfo", 11, False),
        ("BF2D 03 02010B", "listProfileInfo", 11, False),
        ("BF65 03 800100", "setDefaultDpAddress", 0, True),
        ("BF65 03 80017F", "setDefaultDpAddress", 127, False),
    ],
)
def test_every_kind_of_operation_result_is_read(entry: str, name: str, code: int | None, ok: bool) -> None:
    read = result(entry).results[0]
    assert (read.name, read.code, read.ok) == (name, code, ok)


def test_a_code_of_the_future_passes_through() -> None:
    code = result("830163").results[0].code
    assert code is not None
    assert (code, code.name, code.ok) == (0x63, "99", False)


@pytest.mark.parametrize("entry", ["8300", "BF2D 02 81FF", "A801 00", "AB00", "B100"])
def test_an_operation_result_beyond_reading_is_not_ok_and_hides_nothing(entry: str) -> None:
    read = result("840100", entry)
    assert [item.ok for item in read.results] == [True, False]
    assert read.switched
    assert not read.ok


def test_a_result_is_ok_when_every_entry_is_and_there_is_one() -> None:
    assert result("830100", "A600").ok
    assert not result("830100", "840101").ok
    assert not result().ok


def test_a_profile_list_with_a_sequence_too_many_counts_as_a_list() -> None:
    read = result("BF2D 04 3002A000")
    assert (read.results[0].ok, read.tolerances) == (True, ("extra-sequence",))


def test_a_rollbacks_own_result_is_a_switch() -> None:
    element = tlv.parse(ROLLBACK_OK).find(0xBF51)
    assert element is not None
    read = EuiccPackageResult.read(element)
    assert [entry.name for entry in read.results] == ["enable", "rollback"]
    assert read.switched
    assert read.seq_number == 43


@pytest.mark.parametrize(
    "data", ["BF51 00", "BF51 02 A300", "BF52 02 A000", "3000", "BF51 02 A000", "BF51 04 A0023000"]
)
def test_what_is_no_result_is_refused(data: str) -> None:
    with pytest.raises(CodecError):
        EuiccPackageResult.parse(H(data))


def test_only_results_are_wrapped_for_the_way_to_the_eim() -> None:
    assert as_package_result(RESULT_SIGNED_V10) == RESULT_SIGNED
    assert as_package_result(RESULT_SIGNED) == RESULT_SIGNED
    with pytest.raises(CodecError, match="cannot begin with 30"):
        as_package_result(H("3000"))


def test_the_schema_reads_the_same_from_the_same_bytes() -> None:
    value = asn1_schema.decode("EuiccPackageRequest", PACKAGE_ENABLE)
    assert value["euiccPackageSigned"]["counterValue"] == 128
    assert asn1_schema.encode("EuiccPackageRequest", value) == PACKAGE_ENABLE
    kind, content = asn1_schema.decode("EuiccPackageResult", RESULT_SIGNED)
    assert kind == "euiccPackageResultSigned"
    assert content["euiccPackageResultDataSigned"]["seqNumber"] == 42
    assert asn1_schema.encode("EuiccPackageResult", (kind, content)) == RESULT_SIGNED
