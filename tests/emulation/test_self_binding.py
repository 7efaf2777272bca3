"""What an answer to the self-binding means (T38); what the whole agent does with it is in tests/whole."""

from __future__ import annotations

import pytest

from ipad_agent.emulation.registration.self_binding import Answer, meaning_of, wait_of


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (204, Answer.BOUND),
        (409, Answer.BOUND),
        (403, Answer.REFUSED),
        (429, Answer.LATER),
        (500, Answer.LATER),
        (503, Answer.LATER),
        (200, Answer.UNUSABLE),
        (302, Answer.UNUSABLE),
        (400, Answer.UNUSABLE),
        (401, Answer.UNUSABLE),
        (404, Answer.UNUSABLE),
    ],
)
def test_t38_each_status_has_its_meaning(status: int, meaning: Answer) -> None:
    assert meaning_of(status) is meaning


@pytest.mark.parametrize(
    ("asked_s", "waited_s"),
    [(None, None), (0.0, 0.0), (30.0, 30.0), (86_400.0, 86_400.0), (1e7, 86_400.0), (-5.0, 0.0)],
)
def test_t38_an_eim_sends_a_device_away_for_a_day_at_most(asked_s: float | None, waited_s: float | None) -> None:
    assert wait_of(asked_s) == waited_s
