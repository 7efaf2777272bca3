"""Traffic budgets are shown and said, once for each share."""

from __future__ import annotations

import pytest

from ipad_agent.local.status_model import Traffic
from ipad_agent.status.traffic_budget import Budget, BudgetWatch

BUDGET = Budget(day_bytes=1000, total_bytes=10_000, warn=(0.5, 0.8))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(":")[0] for record in caplog.records]


def test_below_every_share_nothing_is_shown() -> None:
    assert BUDGET.warnings(Traffic(total_bytes=499, today_bytes=499)) == ()


def test_a_passed_share_is_a_warning_with_what_was_used() -> None:
    (warning,) = BUDGET.warnings(Traffic(total_bytes=500, today_bytes=500))
    assert warning.sentence == "50% of today's traffic budget is used up."
    assert warning.id == "IPA-1012"


def test_both_budgets_may_be_used_up() -> None:
    assert len(BUDGET.warnings(Traffic(total_bytes=20_000, today_bytes=1200))) == 2


def test_without_a_budget_no_traffic_is_too_much() -> None:
    assert Budget(warn=(0.5,)).warnings(Traffic(total_bytes=10**9, today_bytes=10**9)) == ()


def test_each_share_is_said_once_and_again_on_a_new_day(caplog: pytest.LogCaptureFixture) -> None:
    watch = BudgetWatch(Budget(day_bytes=1000, warn=(0.5, 0.8)))
    for today_bytes in (400, 500, 600, 850, 900):
        watch.look(Traffic(today_bytes=today_bytes))
    assert said(caplog) == ["50% of today's traffic budget is used up", "80% of today's traffic budget is used up"]
    watch.look(Traffic(today_bytes=10))
    watch.look(Traffic(today_bytes=950))
    assert len(said(caplog)) == 3
