"""Radio cycles: traffic after a rest begins a new one; and the budget's hold on the status."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from ipad_agent.agent.radio_use import RadioUse
from ipad_agent.agent.traffic_account import TrafficAccount
from ipad_agent.policy.traffic_limits import TrafficLimits
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.traffic_ledger import TrafficLedger
from ipad_agent.status import Board
from ipad_agent.status.traffic_budget import Budget
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem


@dataclass
class SetClock:
    now_s: float = 1000.0
    wall_s: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.wall_s

    def boot_id(self) -> str:
        return "boot"


def test_traffic_after_a_rest_begins_a_radio_cycle_and_what_follows_soon_does_not() -> None:
    clock = SetClock()
    radio = RadioUse(clock, idle_s=20)
    for passed_s in (0, 5, 20, 19, 20.1, 1, 3600):  # the rest is counted from the last packet, not from the first
        clock.now_s += passed_s
        radio.packet()
    assert radio.take() == (3, 0)


def test_a_cycle_that_goes_on_is_counted_once_although_it_is_asked_for_in_between() -> None:
    clock = SetClock()
    radio = RadioUse(clock)
    radio.packet()
    radio.woke_up()
    assert radio.take() == (1, 1)
    clock.now_s += 10
    radio.packet()
    assert radio.take() == (0, 0)


@pytest.mark.parametrize(("hold_at", "held"), [(0.8, True), (None, False)])
def test_the_status_says_when_only_results_leave(hold_at: float | None, held: bool) -> None:
    board = Board(SetClock(), version="1", budget=Budget(day_bytes=1000, total_bytes=5000, hold_at=hold_at))
    board.traffic("coaps", "poll", 799)
    assert not board.snapshot().traffic.only_results
    board.traffic("coaps", "poll", 1)
    traffic = board.snapshot().traffic
    assert (traffic.only_results, traffic.budget_bytes_total) == (held, 5000)


def test_radio_use_of_today_ends_at_midnight_also_on_the_status() -> None:
    clock = SetClock()
    board = Board(clock, version="1")
    board.traffic_by_profile([("8901", "coaps", "poll", 7)], radio=(12, 15), radio_today=(2, 3))
    shown = board.snapshot().traffic
    assert (shown.radio.cycles, shown.radio.cycles_today, shown.radio.wake_ups, shown.radio.wake_ups_today) == (
        12, 2, 15, 3,
    )  # fmt: skip
    assert shown.by_profile == (("8901", "coaps", "poll", 7),)
    clock.wall_s += 86_400
    radio = board.snapshot().traffic.radio
    assert (radio.cycles, radio.cycles_today, radio.wake_ups, radio.wake_ups_today) == (12, 0, 15, 0)


class Connector:
    """Counts as the real one does."""

    spent_bytes = 5_000


class Link:
    carrier = "coaps"

    def __init__(self) -> None:
        self.traffic_bytes = 100
        self.traffic_by_purpose: Counter[str] = Counter({"poll": 100})


def test_a_download_between_two_polls_is_counted_once_and_not_left_out() -> None:
    memory = Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")
    clock, connector = SetClock(), Connector()
    board = Board(clock, version="1")
    account = TrafficAccount(memory, clock, TrafficLimits(), board, StateChanges(memory), connector)
    connector.spent_bytes += 60_000  # by the word of a person
    account.direct()
    link: Any = Link()
    mark = account.begin(link)
    link.traffic_bytes += 40
    link.traffic_by_purpose["poll"] += 40
    connector.spent_bytes += 7  # within the poll
    account.end(link, mark)
    traffic = board.snapshot().traffic
    assert traffic.by_profile == (("unknown", "coaps", "poll", 40), ("unknown", "https", "download", 60_007))
    assert traffic.by == (("https", "download", 60_007),)  # a poll's own bytes come with its end
    assert TrafficLedger(memory, clock).total_bytes == 60_047
