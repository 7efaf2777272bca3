"""One who floods is stopped by his own share, many by the share of all; time gives it back."""

from __future__ import annotations

from ipad_agent.inject.request_limits import (
    MOST_ADDRESSES,
    MOST_CONNECTIONS,
    MOST_PER_ADDRESS,
    Attempts,
    Connections,
)


def test_an_address_has_so_many_attempts_a_minute() -> None:
    attempts = Attempts(6)
    assert [attempts.allowed("a", 0.0) for _ in range(8)] == [True] * 6 + [False] * 2
    assert attempts.allowed("b", 0.0)
    assert not attempts.allowed("a", 9.0)
    assert attempts.allowed("a", 20.0)


def test_all_together_have_twice_as_many() -> None:
    attempts = Attempts(6)
    assert sum(attempts.allowed(f"address {number}", 0.0) for number in range(40)) == 12
    assert attempts.allowed("another", 6.0)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    attempts = Attempts(1)
    assert attempts.allowed("a", 100.0)
    assert not attempts.allowed("a", 0.0)


def test_so_many_addresses_are_remembered_and_no_more() -> None:
    attempts = Attempts(600)
    for number in range(10 * MOST_ADDRESSES):
        attempts.allowed(f"address {number}", 0.0)
    assert len(attempts._of) == MOST_ADDRESSES


def test_connections_are_counted_by_address_and_altogether() -> None:
    connections = Connections()
    assert [connections.enter("a") for _ in range(MOST_PER_ADDRESS + 1)] == [True] * MOST_PER_ADDRESS + [False]
    others = [connections.enter(f"other {number}") for number in range(MOST_CONNECTIONS)]
    assert sum(others) == MOST_CONNECTIONS - MOST_PER_ADDRESS
    connections.leave("a")
    assert connections.enter("b")
    connections.leave("nobody's")
