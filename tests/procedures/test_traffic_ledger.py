"""Traffic is counted over the life of the installation, and from a share of its limits on only results leave."""

from __future__ import annotations

import pytest

from ipad_agent.errors import NetworkError
from ipad_agent.policy.traffic_limits import TrafficLimits, reached
from ipad_agent.procedures.records.traffic_ledger import DOCUMENT, MAX_SHARES, RadioCounts, Share, TrafficLedger
from ipad_agent.procedures.retrieval.eim_package_retrieval import poll

from .downloads import bench, installation_result
from .fakes import FakeClock, FakeMemory

DAY_S = 86_400.0


def test_bytes_are_counted_by_carrier_purpose_and_profile_over_restarts() -> None:
    memory, clock = FakeMemory(), FakeClock()
    TrafficLedger(memory, clock).add("coaps", {"poll": 1000, "result": 300}, "8901")
    ledger = TrafficLedger(memory, clock)
    ledger.add("coaps", {"poll": 50}, "8902")
    assert ledger.shares == {
        Share("coaps", "poll", "8901"): 1000,
        Share("coaps", "result", "8901"): 300,
        Share("coaps", "poll", "8902"): 50,
    }
    assert (ledger.total_bytes, ledger.today_bytes) == (1350, 1350)


def test_a_day_ends_at_midnight_and_the_life_does_not() -> None:
    memory, clock = FakeMemory(), FakeClock()
    ledger = TrafficLedger(memory, clock)
    ledger.add("coaps", {"poll": 1000}, None)
    clock.passes(DAY_S)
    assert (ledger.total_bytes, ledger.today_bytes) == (1000, 0)
    clock.wall_s -= 5 * DAY_S  # a clock that goes back must not give a day's traffic twice
    ledger.add("coaps", {"poll": 7}, None)
    assert TrafficLedger(memory, clock).today_bytes == 7


def test_radio_cycles_and_wake_ups_are_kept_over_restarts_and_those_of_today_end_at_midnight() -> None:
    memory, clock = FakeMemory(), FakeClock()
    TrafficLedger(memory, clock).add("coaps", {"poll": 1000}, None, RadioCounts(1, 2))
    ledger = TrafficLedger(memory, clock)
    ledger.add("coaps", {}, None, RadioCounts(3, 4))  # a poll that sent nothing
    assert (ledger.radio, ledger.radio_today) == (RadioCounts(4, 6), RadioCounts(4, 6))
    clock.passes(DAY_S)
    assert (ledger.radio, ledger.radio_today) == (RadioCounts(4, 6), RadioCounts(0, 0))
    assert TrafficLedger(memory, clock).radio_today == RadioCounts(0, 0)


def test_profiles_that_come_and_go_do_not_fill_the_disk() -> None:
    memory = FakeMemory()
    ledger = TrafficLedger(memory, FakeClock())
    for number in range(2 * MAX_SHARES):
        ledger.add("coaps", {"poll": 1}, f"89{number}")
    assert len(ledger.shares) <= MAX_SHARES + 1
    assert ledger.total_bytes == 2 * MAX_SHARES


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"shares": 5, "day": "x", "today": -1, "radio": [-1, 2]},
        {"shares": [["a", "b", "c", "d"], 1], "radio_today": 7},
    ],
)
def test_a_damaged_document_is_an_empty_one(document: dict[str, object]) -> None:
    memory = FakeMemory()
    memory.save(DOCUMENT, document)
    ledger = TrafficLedger(memory, FakeClock())
    assert (ledger.total_bytes, ledger.radio) == (0, RadioCounts(0, 0))


@pytest.mark.parametrize(
    ("limits", "today", "total", "held"),
    [
        (TrafficLimits(), 10**9, 10**9, None),
        (TrafficLimits(day_bytes=1000, hold_at=None), 2000, 2000, None),
        (TrafficLimits(day_bytes=1000, hold_at=0.8), 799, 10**6, None),
        (TrafficLimits(day_bytes=1000, hold_at=0.8), 800, 800, "today's"),
        (TrafficLimits(total_bytes=1000, hold_at=1.0), 0, 1000, "the whole"),
    ],
)
def test_work_is_held_back_from_a_share_of_a_limit_on(
    limits: TrafficLimits, today: int, total: int, held: str | None
) -> None:
    found = reached(limits, today_bytes=today, total_bytes=total)
    assert (found is None) if held is None else (found is not None and held in found.sentence)


async def test_a_download_that_was_cut_off_waits_while_only_results_may_leave() -> None:
    made, server = bench(direct=False)
    server.failures["package"] = NetworkError("silence")
    with pytest.raises(NetworkError):
        await poll(made.context, made.eim)
    server.failures.clear()
    made.only_results = True
    await poll(made.context, made.eim, fetch=False)
    assert server.log.count("initiate") == 1
    made.only_results = False
    await poll(made.context, made.eim)
    assert made.link.notifications == [installation_result()]
