"""Random histories of the whole agent: every promise is kept, and a seed tells the same story every time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ipad_agent.torture.faults.fault_effects import KINDS
from ipad_agent.torture.history.fault_history import History, write
from ipad_agent.torture.history.feature_faults import write_with
from ipad_agent.torture.history.features import ALL, DEFAULT, EMULATED, FEATURES, HALF_EMULATED
from ipad_agent.torture.run.history_run import live_through, run_seed
from ipad_agent.torture.run.many_seeds import shortest

from .seed_sample import lived, sample

SEEDS = 300
BLOCK = 20
PLAIN = lived([write(seed) for seed in range(SEEDS)], times=3)
WIDENED = lived([write_with(seed, DEFAULT) for seed in range(SEEDS)], times=1)


def blocks(histories: list[History]) -> list[object]:
    """Parameters of some histories each, named by the first seed."""
    starts = range(0, len(histories), BLOCK)
    return [pytest.param(histories[start : start + BLOCK], id=str(histories[start].seed)) for start in starts]


@pytest.mark.parametrize("histories", blocks(PLAIN))
def test_every_promise_is_kept_whatever_happens(histories: list[History]) -> None:
    broken = {
        history.seed: {violation.name: violation.sentence for violation in ended.violations}
        for history in histories
        if (ended := live_through(history)).violations
    }
    assert not broken, f"see the story with: ipad-agent lab torture --seed {min(broken)} ({broken})"


@pytest.mark.parametrize("seed", [0, 6, 25, 42])
def test_a_seed_tells_the_same_story_every_time(seed: int) -> None:
    assert run_seed(seed).log.digest == run_seed(seed).log.digest


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    script = (
        "from ipad_agent.torture.run.history_run import run_seed\n"
        "print(*(run_seed(seed).log.digest for seed in (0, 3, 6, 11)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1


def test_histories_differ_and_reach_every_way_and_every_fault() -> None:
    histories = [write(seed) for seed in range(SEEDS)]
    assert len(set(histories)) == SEEDS
    assert {(h.setting.way, h.setting.carrier) for h in histories} == {
        ("at", "coap"),
        ("at", "straight"),
        ("reader", "coap"),
        ("reader", "straight"),
    }
    widened = [write_with(seed, FEATURES) for seed in range(SEEDS)]
    assert {fault.kind for history in (*histories, *widened) for fault in history.faults} == KINDS


@pytest.mark.parametrize("histories", blocks(WIDENED))
def test_every_promise_is_kept_in_a_wider_world(histories: list[History]) -> None:
    broken = {history.seed: sorted(ended.names) for history in histories if (ended := live_through(history)).violations}
    features = ",".join(sorted(DEFAULT))
    assert not broken, f"see: ipad-agent lab torture --seed {min(broken)} --with {features} ({broken})"


def test_the_histories_lived_through_have_every_fault_over_every_way_and_carrier_of_all() -> None:
    histories = [write(seed) for seed in range(SEEDS)]
    chosen = sample(histories, times=1)

    def met(of: list[History]) -> set[tuple[str, str, str]]:
        return {(one.setting.way, one.setting.carrier, fault.kind) for one in of for fault in one.faults}

    assert met(chosen) == met(histories)
    assert len(chosen) < SEEDS / 4
    assert met(chosen[:-1]) != met(histories)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_changes_histories_and_leaves_the_deeds_of_the_others(feature: str) -> None:
    plain, widened = [write(seed) for seed in range(40)], [write_with(seed, [feature]) for seed in range(40)]
    assert plain != widened
    for before, after in zip(plain, widened, strict=True):
        assert set(before.faults) <= set(after.faults)
        assert list(after.faults) == sorted(after.faults, key=lambda fault: fault.at_s)
        assert after.heal_at_s >= before.heal_at_s
    assert [write_with(seed, []) for seed in range(40)] == plain


def test_with_everything_half_of_the_cards_are_emulated_and_the_others_have_the_deeds_of_iot_cards() -> None:
    emulated = {seed for seed in range(SEEDS) if write_with(seed, ALL).setting.emulated}
    assert 0.4 * SEEDS < len(emulated) < 0.6 * SEEDS
    for seed in range(SEEDS):
        without_card = write_with(seed, ALL - {HALF_EMULATED})
        assert (write_with(seed, ALL) == without_card) is (seed not in emulated)
        assert write_with(seed, [EMULATED, HALF_EMULATED]) == write_with(seed, [EMULATED])


def test_a_wide_seed_tells_the_same_story_every_time() -> None:
    for seed in (
        next(s for s in range(9) if write_with(s, ALL).setting.emulated is wanted) for wanted in (True, False)
    ):
        assert run_seed(seed, features=ALL).log.digest == run_seed(seed, features=ALL).log.digest


def test_a_broken_promise_is_told_with_the_deeds_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from .guards import GUARDS

    GUARDS["server_is_judged_after_every_handshake"](monkeypatch)
    seed = next(seed for seed in range(100) if "betrayed" in run_seed(seed).names)
    whole = live_through(write(seed))
    short = shortest(whole.history, whole.names)
    assert "betrayed" in short.names
    assert len(short.history.faults) < len(whole.history.faults)
    assert "impostor" in str(short.log)
