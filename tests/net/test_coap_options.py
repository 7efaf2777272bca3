"""Options of responses byte by byte, written by hand from RFC 7252 §3.1 and RFC 7959 §2.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.net.coap.blockwise_transfer import Block
from ipad_agent.net.coap.coap_options import ResponseOptions, split, understood

HEAD = "62 44 1234 AAAA "  # ACK, token of two bytes, 2.04, message id 1234


def read(text: str) -> ResponseOptions:
    options, _ = split(bytes.fromhex(HEAD + text))
    return understood(options)


def test_what_a_client_of_blocks_understands_is_read() -> None:
    # ETag E101 (4), Max-Age 300 (14), Block2 1/more/64 = 1A (23), Block1 0/last/1024 = 06 (27), Size2 2000 (28),
    # Echo 0102 (252 = 28 + 224: extended delta 224 - 13 = D3)
    options, payload = split(bytes.fromhex(HEAD + "42 E101 A2 012C 91 1A 41 06 12 07D0 D2D3 0102 FF 6162"))
    assert understood(options) == ResponseOptions(
        block1=Block(0, False, 6),
        block2=Block(1, True, 2),
        max_age_s=300,
        echo=b"\x01\x02",
        etag=b"\xe1\x01",
        size2=2000,
    )
    assert payload == b"ab"


def test_a_number_of_no_bytes_is_zero() -> None:
    assert read("D001 90") == ResponseOptions(max_age_s=0, block2=Block(0, False, 0))  # 14 = 13 + 1, then 23


def test_an_extended_delta_of_two_bytes_is_read() -> None:
    options, _ = split(bytes.fromhex(HEAD + "E1 FEED 05"))  # 65261 + 269 = 65530: elective, unknown
    assert options == [(65530, b"\x05")]
    assert understood(options) == ResponseOptions()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("91 00", "an unknown critical option (9)"),  # OSCORE
        ("D1 06 00", "an unknown critical option (19)"),  # Q-Block1
        ("D1 12 00", "an unknown critical option (31)"),  # Q-Block2
        ("B3 61 62 63", "an unknown critical option (11)"),  # Uri-Path, which has no meaning in a response
        ("E0 FEEC", "an unknown critical option (65529)"),
        ("D1 0A 1A 01 1A", "a second critical option (23)"),
        ("D4 0A 0000001A", "a malformed critical option (23)"),  # Block2 has 3 bytes at most
    ],
)
def test_a_critical_option_that_is_not_understood_refuses_the_response(text: str, words: str) -> None:
    assert read(text).refused == words


@pytest.mark.parametrize(
    "text",
    [
        "D5 01 000000003C",  # Max-Age of five bytes, whatever it says
        "DD 01 FF" + "FF" * 268,  # and of 268
        "40",  # an ETag of none
        "49 " + "11" * 9,  # and of nine
        "81 FF",  # Location-Path that is no UTF-8
        "D0 0F",  # Size2 of none would be good: 28 = 13 + 15
    ],
)
def test_an_elective_option_of_a_wrong_length_or_content_says_nothing(text: str) -> None:
    found = read(text)
    assert found.refused is None
    assert (found.max_age_s, found.etag) == (None, None)


def test_of_an_elective_option_that_is_there_twice_the_first_counts() -> None:
    assert read("D1 01 3C 01 78").max_age_s == 60


@pytest.mark.parametrize(
    "text",
    [
        "62 44 1234 AA",  # the token is cut off
        "69 44 1234" + "AA" * 9,  # a token of nine bytes
        HEAD + "FF",  # a marker without a payload
        HEAD + "42 E1",  # a value that is cut off
        HEAD + "D1",  # an extension that is cut off
        HEAD + "E1 00",
        HEAD + "1E 01",
        HEAD + "F0 00",  # delta 15
        HEAD + "0F 00",  # length 15
    ],
)
def test_a_message_format_error_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split(bytes.fromhex(text))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_way(data: bytes) -> None:
    try:
        options, payload = split(bytes.fromhex(HEAD) + data)
    except ValueError:
        return
    assert sum(len(value) for _, value in options) + len(payload) <= len(data)
    understood(options)
