"""Parameters written by hand after ETSI TS 102 223 §8 (bearer description 35, buffer size 39, Network Access Name 47,
transport level 3C, other address 3E) and 3GPP TS 23.003 §9.1 (labels with their lengths)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.es10.connectivity_parameters import connection_of
from ipad_agent.codec.packet_connection import PacketConnection

NAN = "470C 03 696F74 07 6578616D706C65"  # iot.example
BARE = f"3507 02000003000002 3902 0578 {NAN} 3C03 0201BB 3E05 217F000001"


def apn_of(http_params: bytes) -> str | None:
    found = connection_of(http_params)
    return None if found is None else found.apn


@pytest.mark.parametrize(
    "params",
    [
        NAN,
        BARE,
        BARE.replace("470C", "C70C").replace("3507", "B507"),  # with the "comprehension required" flag
        f"8427 {BARE}",
        f"812B 8427 {BARE} 8A00",
        f"A1812E 812C 8427 {BARE} 860100",
        f"8428 {BARE} FF",  # filled up
        f"0000 {BARE} 00 FFFF",
        "47810C 03 696F74 07 6578616D706C65",
        "478300000C 03 696F74 07 6578616D706C65",
        "470B 696F742E6578616D706C65",  # as text, without labels
        f"{NAN} {NAN}",  # twice the same
        f"BF5F 0E {NAN}",
    ],
)
def test_the_apn_is_found_bare_and_in_envelopes(params: str) -> None:
    assert apn_of(bytes.fromhex(params)) == "iot.example"


@pytest.mark.parametrize(
    "params",
    [
        "",
        "4700",
        "3507 02000003000002",  # no name at all
        "0D0E 470C03696F74076578616D706C65",  # a text that only looks like one
        f"{NAN} 4703 02 6161",  # two that differ
        "470C 03 696F74 08 6578616D706C65",  # a label that is too long
        "470C 03 692074 07 6578616D706C65",  # a blank
        "470C 03 2D6F74 07 6578616D706C65",  # a label does not begin with a dash
        "470D 00 03 696F74 07 6578616D706C65",  # an empty label
        "470D 03 696F74 07 6578616D706C65",  # cut off
        f"8428 {BARE}",  # cut off
        "4784FFFFFFFF",
        "47840000000C 03 696F74 07 6578616D706C65",  # no such length
        f"8480 {NAN} 0000",  # the indefinite length is BER's, not DER's
        "4782",
        "BF",
        "BFFFFF",
    ],
)
def test_what_is_no_single_valid_name_is_none(params: str) -> None:
    assert apn_of(bytes.fromhex(params)) is None


def test_a_name_may_have_100_bytes_and_no_more() -> None:
    label = "3F" + "61" * 63
    assert apn_of(bytes.fromhex("4764" + label + "23" + "62" * 35)) == "a" * 63 + "." + "b" * 35
    assert apn_of(bytes.fromhex("4765" + label + "24" + "62" * 36)) is None


def test_envelopes_in_envelopes_end_somewhere() -> None:
    params = bytes.fromhex(NAN)
    for _ in range(20):
        params = b"\x84" + bytes([len(params)]) + params
    assert apn_of(params) is None


@given(st.binary(max_size=120))
def test_any_bytes_give_a_valid_name_or_none(params: bytes) -> None:
    found = apn_of(params)
    assert found is None or re.fullmatch(r"[A-Za-z0-9._-]{1,100}", found)


@given(st.integers(0, 38), st.integers(0, 255))
def test_one_damaged_byte_never_raises(place: int, value: int) -> None:
    params = bytearray.fromhex(BARE)
    params[place] = value
    found = apn_of(bytes(params))
    assert found is None or re.fullmatch(r"[A-Za-z0-9._-]{1,100}", found)


@pytest.mark.parametrize(
    ("bearer", "pdp_type"),
    [
        ("3507 02000003000002", "IP"),
        ("3507 02000003000007", "Non-IP"),
        ("3507 02000003000099", "IPV4V6"),
        ("3502 0921", "IP"),
        ("B503 090157", "IPV6"),
        ("3504 0B01028D", "IPV4V6"),
        ("3502 0C01", "IP"),
        ("3502 0CFA", "IPV6"),
        ("3502 0C05", "Ethernet"),
        ("3501 03", "IPV4V6"),
        ("3500", "IPV4V6"),
        ("", "IPV4V6"),
    ],
)
def test_the_pdp_type_follows_the_bearer_description(bearer: str, pdp_type: str) -> None:
    # ETSI TS 102 223 §8.52: the first byte is the bearer type, its parameters follow
    found = connection_of(bytes.fromhex(bearer + NAN))
    assert found is not None
    assert found.pdp_type == pdp_type


@pytest.mark.parametrize(
    ("texts", "user", "password"),
    [
        ("", "", None),
        ("0D06 04 6D65746572 0D04 04 315E32", "meter", "1^2"),
        ("8D06 04 6D65746572 8D00", "meter", ""),
        ("0D06 04 6D65746572", "meter", ""),
        ("0D06 00 ED32BD2C07 0D08 00 31D98C56B3DD70", "meter", "12345678"),  # 7 bits packed
        ("0D00 0D00", "", None),
        ("0D0B 08 006D0065007400650072 0D03 08 00E4", "meter", "ä"),  # UCS2
        ("0D03 04 0A07", "", None),  # no text
        ("0D81 06 04 6D65746572 0D81 04 04 315E32", "meter", "1^2"),
    ],
)
def test_user_and_password_are_the_two_text_strings(texts: str, user: str, password: str | None) -> None:
    for params in (NAN + texts, f"A1 81 {len(bytes.fromhex(NAN + texts)):02X} {NAN + texts}"):
        found = connection_of(bytes.fromhex(params))
        assert found == PacketConnection("iot.example", "IPV4V6", user, password)


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(PacketConnection("iot.example", "IP", "meter", "s3cret"))
