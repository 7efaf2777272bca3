"""EID, ICCID, IMEI and PLMN: digits, packings, check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.identifiers import Eid, Iccid, Imei, Plmn, same_iccid, short_iccid
from ipad_agent.errors import CodecError

from .vectors import EID_DIGITS, ICCID_DIGITS

DIGIT = st.sampled_from("0123456789")


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGIT, min_size=count, max_size=count)


def test_an_eid_is_16_bytes_in_reading_order() -> None:
    eid = Eid.from_bytes(bytes.fromhex("89049032123451234512345678901235"))
    assert str(eid) == EID_DIGITS
    assert eid.bytes.hex() == EID_DIGITS
    assert eid.check_digits_ok
    assert eid.short == "8904…1235"


def test_a_wrong_check_digit_of_an_eid_is_told_and_not_refused() -> None:
    assert not Eid.parse("89049032123451234512345678901234").check_digits_ok


def test_an_eid_may_be_written_with_blanks_and_hyphens() -> None:
    assert Eid.parse(" 89049032 12345123-45123456 78901235\n") == Eid.parse(EID_DIGITS)


@pytest.mark.parametrize("text", ["", "8904", EID_DIGITS + "0", EID_DIGITS[:-1] + "G", EID_DIGITS[:-1] + "²"])
def test_what_is_not_32_digits_is_no_eid(text: str) -> None:
    with pytest.raises(CodecError, match="an EID needs 32 digits"):
        Eid.parse(text)


def test_an_eid_with_letters_is_its_octets_and_has_no_check_digits() -> None:
    # Conformance suites use such EIDs, and so do cards of the laboratory.
    eid = Eid.from_bytes(bytes.fromhex("89ABCDEF890490321234512345678901"))
    assert str(eid) == "89ABCDEF890490321234512345678901"
    assert Eid.parse("89abcdef890490321234512345678901") == eid
    assert eid.bytes.hex() == "89abcdef890490321234512345678901"
    assert not eid.regular
    assert not eid.check_digits_ok
    assert eid.short == "89AB…8901"


@pytest.mark.parametrize("data", [b"\x89", bytes(15), bytes(17)])
def test_an_eid_of_another_length_is_its_octets_too(data: bytes) -> None:
    eid = Eid.from_bytes(data)
    assert eid.bytes == data
    assert str(eid) == data.hex()
    assert not eid.regular
    assert not eid.check_digits_ok


def test_no_octets_are_no_eid() -> None:
    with pytest.raises(CodecError, match="without any octets"):
        Eid.from_bytes(b"")


@given(digits(32))
def test_eids_survive_the_way_to_the_wire_and_back(text: str) -> None:
    assert Eid.from_bytes(Eid.parse(text).bytes) == Eid.parse(text)


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        (ICCID_DIGITS, "989444999999990920F3"),
        ("89014103211118510720", "98101430121181157002"),
        ("890100000000000005", "981000000000000050FF"),
    ],
)
def test_an_iccid_is_packed_with_exchanged_nibbles_and_padded_with_f(text: str, packed: str) -> None:
    iccid = Iccid.parse(text)
    assert iccid.tbcd.hex().upper() == packed
    assert Iccid.from_tbcd(bytes.fromhex(packed)) == iccid
    assert str(iccid) == text


def test_a_modems_padding_is_taken_off_an_iccid() -> None:
    assert Iccid.parse(ICCID_DIGITS + "F") == Iccid.parse(ICCID_DIGITS + "f\r\n") == Iccid.parse(ICCID_DIGITS)


def test_an_iccid_of_9_bytes_is_read_as_the_one_with_padding() -> None:
    assert Iccid.from_tbcd(bytes.fromhex("981000000000000050")) == Iccid.parse("890100000000000005")


def test_the_luhn_digit_of_an_iccid_is_told_and_not_enforced() -> None:
    assert Iccid.parse(ICCID_DIGITS).luhn_ok
    assert not Iccid.parse("8949449999999990024").luhn_ok


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        # ICCIDs of operators in China have letters in the seventh to tenth place (898600B5…, 898602B…, 898604B7…).
        ("898600B5012345678901", "9868005B103254769810"),
        ("898602B012345678901", "9868200B2143658709F1"),
        ("898604B7012345678901", "9868407B103254769810"),
        ("89ABCDEABCDEABCDEA", "98BADCAECBEDBADCAEFF"),
    ],
)
def test_an_iccid_with_letters_is_packed_like_any_other(text: str, packed: str) -> None:
    iccid = Iccid.parse(text)
    assert iccid.tbcd.hex().upper() == packed
    assert Iccid.from_tbcd(bytes.fromhex(packed)) == iccid
    assert str(iccid) == text
    assert Iccid.parse(text.lower() + "f" * (20 - len(text))) == iccid
    assert iccid.readable
    assert not iccid.decimal
    assert not iccid.luhn_ok
    assert iccid.short == f"{text[:4]}…{text[-4:]}"


UNREADABLE = ["98" * 8, "98" * 11, "FF" * 10, "98F444999999990920F3", "F8" * 10, ""]


@pytest.mark.parametrize("packed", UNREADABLE)
def test_what_cannot_be_read_is_compared_and_shown_by_its_octets(packed: str) -> None:
    iccid = Iccid.from_tbcd(bytes.fromhex(packed))
    assert iccid.tbcd == bytes.fromhex(packed)
    assert str(iccid) == f"0x{packed}"
    assert Iccid.parse(str(iccid)) == Iccid.parse(str(iccid).lower()) == iccid
    assert not iccid.readable
    assert not iccid.decimal
    assert not iccid.luhn_ok


@pytest.mark.parametrize(
    "text", ["", "8949", ICCID_DIGITS[:17], ICCID_DIGITS + "11", ICCID_DIGITS[:-1] + "G", "0x8", "0xG0"]
)
def test_what_has_too_few_digits_or_others_is_no_iccid(text: str) -> None:
    with pytest.raises(CodecError, match="an ICCID needs"):
        Iccid.parse(text)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_no_two_octet_strings_have_the_same_text_and_every_text_is_read_back(one: bytes, other: bytes) -> None:
    first, second = Iccid.from_tbcd(one), Iccid.from_tbcd(other)
    assert (str(first) == str(second)) is (one == other)
    assert Iccid.parse(str(first)) == first


def test_what_begins_with_98_was_written_with_exchanged_nibbles() -> None:
    # ITU-T E.118: 89 is telecommunications; no ICCID begins otherwise.
    iccid = Iccid.parse(ICCID_DIGITS)
    turned = Iccid.from_tbcd(bytes.fromhex(ICCID_DIGITS + "F"))
    assert turned == iccid.turned != iccid
    assert turned.in_order == iccid.in_order == iccid
    assert same_iccid(str(turned), ICCID_DIGITS)
    assert same_iccid("98940000000000001082", "89490000000000000128")
    assert not same_iccid("89490000000000000128", "89490000000000000136")
    assert not same_iccid("unknown", "89490000000000000128")
    assert same_iccid("unknown", "unknown")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "no profile"),
        ("89490000000000000128", "8949…0128"),
        ("898600B5012345678901", "8986…8901"),
        ("0x98F444999999990920F3", "0x98…20F3"),
        ("0x", "0x"),
        ("unknown", "unknown"),
    ],
)
def test_an_identity_is_shortened_for_the_log(text: str | None, shown: str) -> None:
    assert short_iccid(text) == shown


@given(st.one_of(digits(18), digits(19), digits(20)))
def test_iccids_survive_the_way_to_the_wire_and_back(text: str) -> None:
    packed = Iccid.parse(text).tbcd
    assert len(packed) == 10
    assert Iccid.from_tbcd(packed) == Iccid.parse(text)


def test_an_imei_packs_as_the_device_information_wants_it() -> None:
    # SGP.22 v2.5 §4.2 with 3GPP TS 29.002 TBCD: TAC 35290611 is 53 92 60 11.
    imei = Imei.parse("352906111234565")
    assert imei.tac == bytes.fromhex("53926011")
    assert imei.tbcd == bytes.fromhex("539260112143655F")
    assert imei.check_digit_ok


def test_the_check_digit_is_added_to_14_digits_and_replaces_a_software_version() -> None:
    assert Imei.parse("35290611123456") == Imei.parse("3529061112345678") == Imei("352906111234565")


def test_a_wrong_check_digit_of_an_imei_is_told_and_not_refused() -> None:
    assert not Imei.parse("352906111234560").check_digit_ok


@pytest.mark.parametrize("text", ["", "3529061112345", "35290611123456789", "35290611123456X"])
def test_what_has_not_14_to_16_digits_is_no_imei(text: str) -> None:
    with pytest.raises(CodecError, match="an IMEI needs"):
        Imei.parse(text)


@given(digits(14))
def test_the_check_digit_that_is_added_is_right(text: str) -> None:
    assert Imei.parse(text).check_digit_ok


@pytest.mark.parametrize(
    ("text", "packed", "shown"),
    [("26201", "62F210", "262-01"), ("310410", "130014", "310-410"), ("262-01", "62F210", "262-01")],
)
def test_a_plmn_packs_as_in_ts_24_008(text: str, packed: str, shown: str) -> None:
    plmn = Plmn.parse(text)
    assert plmn.bytes.hex().upper() == packed
    assert str(plmn) == shown
    assert Plmn.from_bytes(bytes.fromhex(packed)) == plmn


@pytest.mark.parametrize("packed", ["62F2", "62F21000", "FFFFFF", "6AF210"])
def test_what_has_other_digits_is_no_plmn(packed: str) -> None:
    with pytest.raises(CodecError):
        Plmn.from_bytes(bytes.fromhex(packed))


@given(st.one_of(digits(5), digits(6)))
def test_plmns_survive_the_way_to_the_wire_and_back(text: str) -> None:
    assert Plmn.from_bytes(Plmn.parse(text).bytes) == Plmn.parse(text)


def test_identifiers_can_be_sorted_and_used_as_keys() -> None:
    low, high = Iccid.parse("890100000000000005"), Iccid.parse("890200000000000005")
    assert sorted([high, low]) == [low, high]
    assert {low: 1}[Iccid.parse("8901 0000 0000 0000 05")] == 1
