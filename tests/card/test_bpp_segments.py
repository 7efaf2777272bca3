from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.card import bpp_segments
from ipad_agent.card.errors import MalformedBpp

# Written by hand after the table of SGP.22 v2.5 §2.5.5; contents shortened, lengths partly in long form as real
# SM-DP+ write them.
INIT = "BF230A" + "820101" + "80021122" + "A60100"
FIRST_87 = "8703AABBCC"
METADATA_1 = "880411223344"
METADATA_2 = "88810155"
KEYS_87 = "8702EEFF"
ELEMENT_1 = "868203FC" + "5A" * 1020
ELEMENT_2 = "86020102"

A0 = "A005" + FIRST_87
A1 = "A10A" + METADATA_1 + METADATA_2
A2 = "A204" + KEYS_87
A3 = "A3820404" + ELEMENT_1 + ELEMENT_2


def package(*parts: str) -> str:
    content = "".join(parts)
    return f"BF3682{len(content) // 2:04X}" + content


def segments(hexadecimal: str) -> list[str]:
    return [segment.data.hex().upper() for segment in bpp_segments.split(bytes.fromhex(hexadecimal))]


def test_a_package_with_session_keys_is_cut_into_its_segments() -> None:
    whole = package(INIT, A0, A1, A2, A3)
    assert segments(whole) == [
        whole[:10] + INIT,
        "A005" + FIRST_87,
        "A10A",
        METADATA_1,
        METADATA_2,
        "A204" + KEYS_87,
        "A3820404",
        ELEMENT_1,
        ELEMENT_2,
    ]


def test_a_package_without_session_keys_has_no_segment_for_them() -> None:
    whole = package(INIT, A0, A1, A3)
    assert segments(whole)[4:6] == [METADATA_2, "A3820404"]


def test_a_second_87_travels_alone() -> None:
    whole = package(INIT, "A007" + FIRST_87 + "8700", A1, A3)
    assert segments(whole)[1:3] == ["A007" + FIRST_87, "8700"]


def test_offsets_and_parts_tell_where_a_segment_comes_from() -> None:
    whole = bytes.fromhex(package(INIT, A0, A1, A2, A3))
    found = bpp_segments.split(whole)
    assert [segment.part for segment in found] == [0xBF23, 0xA0, 0xA1, 0xA1, 0xA1, 0xA2, 0xA3, 0xA3, 0xA3]
    assert all(whole[segment.start : segment.end] == segment.data for segment in found)
    assert [segment.start for segment in found[1:]] == [segment.end for segment in found[:-1]]
    assert b"".join(segment.data for segment in found) == whole


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (INIT, A0, A1),
        (INIT, A1, A0, A3),
        (INIT, A0, A1, A3, A2),
        (A0, INIT, A1, A3),
        (INIT, A0, A0, A1, A3),
        (INIT, A0, A1, A2, A2, A3),
        (INIT, A0, A1, A3, "0400"),
        (INIT, "A000", A1, A3),
        (INIT, "A005" + "8603AABBCC", A1, A3),
        (INIT, A0, "A1028700", A3),
        (INIT, A0, A1, "A3028800"),
        (INIT, A0, A1, "A3048600FF"),
    ],
)
def test_what_is_not_built_as_prescribed_is_refused_whole(parts: tuple[str, ...]) -> None:
    with pytest.raises(MalformedBpp):
        segments(package(*parts))


@pytest.mark.parametrize(
    "data", ["", "BF36", "3000", "BF3600", package(INIT, A0, A1, A3)[:-2], package(INIT, A0, A1, A3) + "00"]
)
def test_what_is_no_package_is_refused(data: str) -> None:
    with pytest.raises(MalformedBpp):
        segments(data)


def test_a_segment_that_no_chain_can_carry_is_refused() -> None:
    body = "86" + "83010000" + "00" * 65536
    content = INIT + A0 + A1 + "A383" + f"{len(body) // 2:06X}" + body
    whole = "BF3683" + f"{len(content) // 2:06X}" + content
    with pytest.raises(MalformedBpp, match="256 blocks"):
        segments(whole)


@given(st.data())
def test_a_mutated_package_raises_only_its_own_error_and_loses_no_byte(data: st.DataObject) -> None:
    whole = bytearray.fromhex(package(INIT, A0, A1, A2, "A3058603010203"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = bpp_segments.split(bytes(whole))
    except MalformedBpp:
        return
    assert b"".join(segment.data for segment in found) == bytes(whole)


def test_of_very_many_parts_the_first_are_told() -> None:
    with pytest.raises(MalformedBpp) as caught:
        bpp_segments.split(bytes.fromhex(package(*["BF2300"] * 5000)))
    assert len(caught.value.message) < 200
