"""The walker: what it takes, what it refuses, and that it never changes a byte."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.ber import tlv
from ipad_agent.errors import CodecError


def hexb(text: str) -> bytes:
    return bytes.fromhex(text)


def test_tags_of_one_two_and_three_bytes_are_read() -> None:
    elements = tlv.parse_all(hexb("80 01 05  5F37 02 AABB  BF51 03 020101  BF8101 00"))
    assert [element.tag for element in elements] == [0x80, 0x5F37, 0xBF51, 0xBF8101]
    assert [element.value for element in elements] == [b"\x05", b"\xaa\xbb", b"\x02\x01\x01", b""]


def test_raw_and_header_are_the_received_bytes_even_when_lengths_are_not_minimal() -> None:
    data = hexb("30 8200 04  80 8101 7F")
    element = tlv.parse(data)
    assert element.raw == data
    assert element.header == hexb("30 820004")
    assert element.children()[0].raw == hexb("80 81017F")
    assert element.children()[0].integer() == 127


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "a tag was expected"),
        ("80", "the length of 80 is missing"),
        ("BF", "a tag that does not end"),
        ("BF81818101 00", "a tag that does not end"),
        ("30 80 0000", "indefinite length"),
        ("80 02 01", "says 2 bytes, 1 are there"),
        ("80 85 0000000001 01", "a length of 5 bytes"),
        ("80 FF", "a length of 127 bytes"),
        ("80 82 01", "a length of 2 bytes"),
        ("80 84 FFFFFFFF 00", "says 4294967295 bytes"),
        ("80 01 05 00", "1 bytes after the end of 80"),
    ],
)
def test_what_is_not_exactly_one_element_is_refused(data: str, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        tlv.parse(hexb(data))


def test_a_child_that_claims_more_than_its_parent_holds_is_refused() -> None:
    outer = tlv.parse_all(hexb("30 03 80 05 01  04 02 0000"))[0]
    with pytest.raises(CodecError, match="says 5 bytes, 1 are there"):
        outer.children()


def test_bytes_between_children_are_refused() -> None:
    with pytest.raises(CodecError, match="the length of 05 is missing"):
        tlv.parse(hexb("30 04 020101 05")).children()


def test_nesting_stops_at_the_limit() -> None:
    data = b""
    for _ in range(tlv.MAX_DEPTH + 2):
        data = tlv.encode(0x30, data)
    element = tlv.parse(data)
    for _ in range(tlv.MAX_DEPTH):
        element = element.children()[0]
    with pytest.raises(CodecError, match="levels of nesting"):
        element.children()


def test_a_list_of_too_many_elements_is_refused() -> None:
    with pytest.raises(CodecError, match="more than 8192 elements"):
        tlv.parse_all(b"\x05\x00" * (tlv.MAX_ELEMENTS + 1))


def test_data_beyond_the_size_limit_is_refused_without_reading_it() -> None:
    data = tlv.encode(0x04, bytes(tlv.MAX_SIZE_BYTES))
    started = time.process_time()
    with pytest.raises(CodecError, match="larger than the limit"):
        tlv.parse(data)
    assert time.process_time() - started < 0.1


def test_the_offset_of_an_error_counts_from_the_start_of_the_buffer() -> None:
    with pytest.raises(CodecError) as caught:
        tlv.parse(hexb("30 05 020101 8005")).children()
    assert caught.value.offset == 5


# -- integers, texts, bits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "value"),
    [("00", 0), ("7F", 127), ("0080", 128), ("FF", -1), ("80", -128), ("7FFFFF", 0x7FFFFF), ("0001", 1)],
)
def test_integers_are_twos_complement(content: str, value: int) -> None:
    assert tlv.parse(tlv.encode(0x02, hexb(content))).integer() == value


@pytest.mark.parametrize("content", ["", "00" * 17])
def test_integers_without_content_or_of_absurd_length_are_refused(content: str) -> None:
    with pytest.raises(CodecError, match="an INTEGER of"):
        tlv.parse(tlv.encode(0x02, hexb(content))).integer()


@given(st.integers(min_value=-(1 << 127), max_value=(1 << 127) - 1))
def test_integers_come_back_as_they_were_written(value: int) -> None:
    element = tlv.parse(tlv.encode_integer(0x84, value))
    assert element.integer() == value
    sign_bits = int.from_bytes(element.value[:2], "big") >> 7
    assert len(element.value) == 1 or sign_bits not in (0, 0x1FF), "the first nine bits must not all be alike"


@given(st.sets(st.integers(0, 63)))
def test_bits_come_back_as_they_were_written(bits: set[int]) -> None:
    element = tlv.parse(tlv.encode_bits(0x80, bits))
    assert element.bits() == bits
    assert not bits or element.value[-1] != 0


@pytest.mark.parametrize("content", ["", "08FF", "01", "00" + "FF" * 9])
def test_what_is_no_bit_string_is_refused(content: str) -> None:
    with pytest.raises(CodecError, match="no BIT STRING"):
        tlv.parse(tlv.encode(0x03, hexb(content))).bits()


def test_text_is_utf8_and_bounded() -> None:
    assert tlv.parse(hexb("0C 03 E282AC")).text() == "€"
    with pytest.raises(CodecError, match="no UTF-8"):
        tlv.parse(hexb("0C 01 FF")).text()
    with pytest.raises(CodecError, match="over 4096 bytes"):
        tlv.parse(tlv.encode(0x0C, b"a" * 4097)).text()


def test_any_byte_but_zero_is_true() -> None:
    assert [tlv.parse(bytes((1, 1, value))).boolean() for value in (0, 1, 0xFF)] == [False, True, True]
    with pytest.raises(CodecError, match="not one byte"):
        tlv.parse(hexb("01 00")).boolean()


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "header"),
    [(0, "0400"), (127, "047F"), (128, "048180"), (255, "0481FF"), (256, "04820100"), (65536, "0483010000")],
)
def test_lengths_are_written_in_their_shortest_form(size: int, header: str) -> None:
    assert tlv.encode(0x04, bytes(size)).hex().upper().startswith(header)


@given(st.sampled_from([0x30, 0x5A, 0x5F37, 0xBF51, 0x9F70]), st.binary(max_size=300))
def test_what_is_written_is_read_back(tag: int, content: bytes) -> None:
    element = tlv.parse(tlv.encode(tag, content))
    assert (element.tag, element.value) == (tag, content)


# -- announced_size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ("", None),
        ("BF", None),
        ("BF2B", None),
        ("BF2B 82", None),
        ("BF2B 8201", None),
        ("BF2B 820100", 261),
        ("80 05", 7),
    ],
)
def test_the_size_is_known_as_soon_as_the_header_is_there(data: str, size: int | None) -> None:
    assert tlv.announced_size(hexb(data)) == size


@pytest.mark.parametrize("data", ["30 80", "BF818181", "30 85", "30 84 FFFFFFFF"])
def test_a_header_that_can_never_be_right_is_not_waited_for(data: str) -> None:
    with pytest.raises(CodecError):
        tlv.announced_size(hexb(data))


@given(st.binary(min_size=1, max_size=40))
def test_the_walker_and_the_announced_size_agree(data: bytes) -> None:
    try:
        element = tlv.read(data)
    except CodecError:
        return
    assert tlv.announced_size(data) == element.end


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_codec_errors(data: bytes) -> None:
    try:
        for element in tlv.parse_all(data):
            assert element.raw in data
    except CodecError:
        pass


def test_a_list_of_elements_is_shown_without_their_message_each_time() -> None:
    assert len(repr(tlv.parse_all(b"\x80\x01\x2a" * 1000))) < 200 * 1000
