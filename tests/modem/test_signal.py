"""Answers and their meaning from the tables of 3GPP TS 27.007 §8.5 and §8.69."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.modem.at.signal_quality import Signal, read_extended, read_plain


@pytest.mark.parametrize(
    ("line", "dbm"),
    [
        ("+CSQ: 0,99", -113),  # 0: -113 dBm or less
        ("+CSQ: 1,99", -111),
        ("+CSQ: 2,0", -109),  # 2...30: -109 ... -53 dBm
        ("+CSQ: 30,7", -53),
        ("+CSQ:31,99", -51),  # 31: -51 dBm or greater
        ("+CSQ: 99,99", None),  # not known or not detectable
        ("+CSQ: 32,99", None),
        ("+CSQ: 199,99", None),
        ("+CSQ: ", None),
        ("+CSQ: -5,99", None),
        ("+CSQ: 7;9", None),
    ],
)
def test_rssi_is_read_as_the_specification_has_it(line: str, dbm: int | None) -> None:
    assert read_plain([line]) == (None if dbm is None else Signal(dbm, "RSSI"))


@pytest.mark.parametrize(
    ("line", "dbm"),
    [
        ("+CESQ: 99,99,255,255,20,0", -141),  # rsrp < -140 dBm
        ("+CESQ: 99,99,255,255,20,1", -140),  # -140 <= rsrp < -139
        ("+CESQ: 99,99,255,255,20,96", -45),  # -45 <= rsrp < -44
        ("+CESQ:99,99,255,255,20,97", -44),  # -44 <= rsrp
        ("+CESQ: 99,99,255,255,20,98", None),
        ("+CESQ: 99,99,255,255,255,255", None),
        ("+CESQ: 99,99,30,40,255,255", None),  # UMTS
        ("+CESQ: 99,99,255,255,255,255,30,0,40", -157),  # ss_rsrp < -156 dBm
        ("+CESQ: 99,99,255,255,255,255,30,126,40", -31),  # -31 <= ss_rsrp
        ("+CESQ: 99,99,255,255,255,255,255,255,255", None),
        ("+CESQ: 99,99,255,255,20,51,30,60,40", -90),  # LTE with NR: the anchor counts
        ("+CESQ: 99,99,255,255,20", None),
        ("+CESQ: (0-63,99),(0-7,99)", None),
    ],
)
def test_rsrp_is_read_as_the_specification_has_it(line: str, dbm: int | None) -> None:
    assert read_extended([line]) == (None if dbm is None else Signal(dbm, "RSRP"))


def test_two_answers_to_one_question_are_none() -> None:
    assert read_plain(["+CSQ: 20,99", "+CSQ: 21,99"]) is None
    assert read_extended([]) is None


@given(st.lists(st.one_of(st.text(max_size=30), st.from_regex(r"\+CE?SQ: ?[0-9,]{0,30}", fullmatch=True)), max_size=2))
def test_any_answer_is_a_plausible_signal_or_none(lines: list[str]) -> None:
    for reader in (read_plain, read_extended):
        found = reader(lines)
        assert found is None or -157 <= found.dbm <= -31
