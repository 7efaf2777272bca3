"""Limits are for what is stuck: they grow on a slow machine and while something moves, and they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from ipad_agent.lab.bench import real_time_limits
from ipad_agent.lab.bench.real_time_limits import MOST_EXTENSION, MOST_SLOWNESS, MOVES, measure, scaled, stuck_after
from virtual_time import run

T = TypeVar("T")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time_limits, "_slowness", 1.0)
    monkeypatch.setattr(real_time_limits, "measure", lambda: 1.0)


async def ended_after(limit_s: float, moves: Callable[[], dict[str, float]], lasts_s: float = 1e9) -> tuple[float, str]:
    """How long a wait was allowed to last, and what its limit says of it; nothing when it came to its end."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        async with stuck_after(limit_s, moves) as waiting:
            await asyncio.sleep(lasts_s)
    except TimeoutError:
        assert waiting.over
        return loop.time() - began_s, waiting.sentence
    assert not waiting.over
    return loop.time() - began_s, ""


def at(story: Callable[[], Awaitable[T]]) -> T:
    return run(story())  # type: ignore[arg-type]


def test_what_is_stuck_ends_at_its_limit_and_tells_what_did_not_move() -> None:
    spent_s, sentence = at(lambda: ended_after(20.0, lambda: {"the log": 3, "commands": 7}))
    assert spent_s == pytest.approx(20.0, abs=0.1)
    assert sentence == "20 s; did not move: the log, commands"


def test_what_moves_is_waited_for_until_it_stands_still() -> None:
    async def story() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + 25.0
        return await ended_after(20.0, lambda: {"the log": min(loop.time(), until_s), "commands": 7})

    spent_s, sentence = at(story)
    assert 30.0 <= spent_s <= 40.1
    assert "moved: the log; did not move: commands" in sentence


def test_what_moves_for_ever_is_waited_for_three_times_the_limit() -> None:
    spent_s, _ = at(lambda: ended_after(20.0, lambda: {"the log": asyncio.get_running_loop().time()}))
    assert spent_s == pytest.approx(20.0 * MOST_EXTENSION, abs=0.1)


def test_what_comes_late_but_moves_is_no_failure() -> None:
    spent_s, sentence = at(lambda: ended_after(20.0, lambda: {"x": asyncio.get_running_loop().time()}, lasts_s=35.0))
    assert (round(spent_s), sentence) == (35, "")


def test_a_machine_that_was_slow_from_the_start_has_longer_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time_limits, "_slowness", 2.5)
    spent_s, sentence = at(lambda: ended_after(20.0, lambda: {"x": 1}))
    assert spent_s == pytest.approx(50.0, abs=0.1)
    assert sentence == "20 s (50 s on this machine, 2.5 times slower than a quiet one); did not move: x"
    assert scaled(20.0) == 50.0


def test_a_machine_that_became_slow_is_measured_again_when_a_limit_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time_limits, "measure", lambda: 2.0)
    spent_s, _ = at(lambda: ended_after(20.0, lambda: {"x": 1}))
    assert spent_s == pytest.approx(40.0, abs=0.1)


def test_the_bench_in_use_tells_what_moves() -> None:
    async def story() -> str:
        MOVES.set(lambda: {"datagrams": 1})
        try:
            async with stuck_after(1.0) as waiting:
                await asyncio.sleep(5.0)
        except TimeoutError:
            return waiting.sentence
        return ""

    assert at(story) == "1 s; did not move: datagrams"


def test_the_speed_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(real_time_limits, "_crowd", lambda: 1e6)
    assert measure() == MOST_SLOWNESS
    monkeypatch.setattr(real_time_limits, "_crowd", lambda: 0.0)
    monkeypatch.setattr(real_time_limits, "_sample_s", lambda: 1e-9)
    assert measure() == 1.0
    monkeypatch.setattr(real_time_limits, "_sample_s", lambda: 2 * real_time_limits._QUIET_S)
    assert measure() == 2.0


def test_what_is_done_inside_may_fail_in_its_own_way() -> None:
    async def story() -> None:
        async with stuck_after(1.0):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        at(story)
