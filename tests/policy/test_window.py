from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.policy.polling.daily_window import DAY_MIN, DailyWindow


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("09:00-17:30", (540, 1049), (539, 1050, 0)),
        ("22:00-05:00", (1320, 1439, 0, 299), (300, 1319)),
        ("20:00-24:00", (1200, 1439), (0, 1199)),
        ("00:00-24:00", (0, 1439), ()),
        ("23:59-00:00", (1439,), (0, 1438)),
    ],
)
def test_a_window_may_go_over_midnight_and_ends_before_its_end(
    text: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    window = DailyWindow.parse(text)
    assert all(minute in window for minute in inside)
    assert not any(minute in window for minute in outside)
    assert str(window) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9:00-17:00",
        "24:00-05:00",
        "09:60-10:00",
        "09:00-24:01",
        "09:00 - 10:00",
        "08:00-08:00",
        "00:00-00:00",
        "٠٩:00-10:00",
        "09:00-10:00\n",
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time of the form|begins when it ends"):
        DailyWindow.parse(text)


@given(st.text(alphabet="0123456789:-", max_size=12))
def test_any_text_is_a_window_or_a_value_error(text: str) -> None:
    try:
        window = DailyWindow.parse(text)
    except ValueError:
        return
    assert 0 < sum(minute in window for minute in range(DAY_MIN)) <= DAY_MIN
