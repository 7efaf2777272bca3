"""Calls are followed now and then, whoever sends how many."""

from __future__ import annotations

import pytest

from ipad_agent.wakeup.wake_calls import WakeCalls


class Desk:
    def __init__(self, per_hour: int) -> None:
        self.now_s = 0.0
        self.spent: str | None = None
        self.woken: list[str] = []
        self.calls = WakeCalls(per_hour, self.woken.append, lambda: self.now_s, lambda: self.spent)


def test_so_many_calls_are_followed_in_an_hour() -> None:
    desk = Desk(6)
    assert [desk.calls.call("a knock", "10.0.0.1") for _ in range(8)] == [True] * 6 + [False] * 2
    desk.now_s = 599.0
    assert not desk.calls.call("a knock", "10.0.0.1")
    desk.now_s = 660.0
    assert desk.calls.call("an SMS", "+49…01")
    assert desk.woken == ["a knock"] * 6 + ["an SMS"]


def test_nothing_is_followed_when_the_days_traffic_is_spent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ipad_agent")
    desk = Desk(6)
    desk.spent = "today's traffic budget is used up"
    assert [desk.calls.call("a knock", "x") for _ in range(3)] == [False] * 3
    assert caplog.text.count("today's traffic budget is used up") == 1  # said once
    desk.spent = None
    assert desk.calls.call("a knock", "x")
