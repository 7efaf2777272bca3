"""The lab's own TLV reader and writer, against hand-made bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.lab.crypto import der


def test_nested_elements_keep_the_received_slices() -> None:
    node = der.parse(bytes.fromhex("BF51073005800161A200"))
    assert node.tag == 0xBF51
    assert node.header == bytes.fromhex("BF5107")
    inner = node.get(0x30)
    assert inner.raw == bytes.fromhex("3005800161A200")
    assert [child.tag for child in inner.children] == [0x80, 0xA2]
    assert node.path(0x30, 0x80).text() == "a"
    assert node.find(0x5A) is None


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "020100"),
        (127, "02017F"),
        (128, "02020080"),
        (255, "020200FF"),
        (256, "02020100"),
        (-1, "0201FF"),
        (-128, "020180"),
        (-129, "0202FF7F"),
        (8388607, "02037FFFFF"),
    ],
)
def test_integers_take_the_fewest_bytes(value: int, encoded: str) -> None:
    assert der.integer(value).hex().upper() == encoded
    assert der.parse(bytes.fromhex(encoded)).integer() == value


@pytest.mark.parametrize(
    ("ones", "encoded"),
    [((), "030100"), ((0,), "03020780"), ((0, 1, 2), "030205E0"), ((7,), "03020001"), ((8,), "0303070080")],
)
def test_named_bits_have_no_trailing_zeros(ones: tuple[int, ...], encoded: str) -> None:
    assert der.bits(ones).hex().upper() == encoded
    assert der.parse(bytes.fromhex(encoded)).bits() == frozenset(ones)


def test_object_identifiers_both_ways() -> None:
    # id-rspRole-dp-auth 2.23.146.1.2.1.4 = 67 81 12 01 02 01 04 (2*40+23 = 103 = 67; 146 = 81 12)
    assert der.oid("2.23.146.1.2.1.4").hex() == "060767811201020104"
    assert der.parse(bytes.fromhex("060767811201020104")).oid() == "2.23.146.1.2.1.4"
    # prime256v1 1.2.840.10045.3.1.7
    assert der.oid("1.2.840.10045.3.1.7").hex() == "06082a8648ce3d030107"


def test_long_lengths_take_the_shortest_form() -> None:
    assert der.tlv(0x04, b"\0" * 127)[:2].hex() == "047f"
    assert der.tlv(0x04, b"\0" * 128)[:3].hex() == "048180"
    assert der.tlv(0xBF2D, b"\0" * 256)[:5].hex() == "bf2d820100"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "30",
        "3001",
        "300200",
        "3080",
        "30810100",
        "3082000100",
        "1F8181818100",
        "BF",
        "020100FF",
        "3085010000000000",
    ],
)
def test_malformed_bytes_are_refused(bad: str) -> None:
    with pytest.raises(der.DerError):
        der.parse(bytes.fromhex(bad))


def test_longer_length_forms_are_ber_only() -> None:
    assert der.parse(bytes.fromhex("30810100"), ber=True).value == b"\0"


def test_integers_with_padding_are_ber_only() -> None:
    with pytest.raises(der.DerError):
        der.parse(bytes.fromhex("02020001")).integer()
    assert der.parse(bytes.fromhex("02020001"), ber=True).integer() == 1


def test_announced_size_waits_for_the_header() -> None:
    assert der.announced_size(b"") is None
    assert der.announced_size(bytes.fromhex("BF")) is None
    assert der.announced_size(bytes.fromhex("BF2D82")) is None
    assert der.announced_size(bytes.fromhex("BF2D820100")) == 261


def test_too_deep_nesting_is_refused() -> None:
    data = b""
    for _ in range(der.MAX_DEPTH + 3):
        data = der.seq(data)
    with pytest.raises(der.DerError):
        _walk(der.parse(data))


def _walk(node: der.Node) -> None:
    if node.constructed:
        for child in node.children:
            _walk(child)


@given(st.binary(max_size=64), st.booleans())
def test_only_der_errors_escape(data: bytes, ber: bool) -> None:
    try:
        node = der.parse(data, ber=ber)
        assert node.raw == data
        _walk(node)
        for read in (node.integer, node.boolean, node.text, node.bits, node.oid):
            try:
                read()
            except der.DerError:
                continue
    except der.DerError:
        pass


@given(st.integers(-(1 << 70), 1 << 70))
def test_every_integer_survives(value: int) -> None:
    assert der.parse(der.integer(value)).integer() == value


@given(st.sampled_from([0x04, 0x80, 0x5F37, 0xBF51]), st.binary(max_size=700))
def test_every_element_survives(tag: int, value: bytes) -> None:
    node = der.parse(der.tlv(tag, value))
    assert (node.tag, node.value) == (tag, value)
