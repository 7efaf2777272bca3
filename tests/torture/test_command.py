"""``ipad-agent lab torture`` as a person and a machine use it."""

from __future__ import annotations

import json

import pytest

from ipad_agent.cli.ipad_agent_command import run
from ipad_agent.torture.history.feature_faults import write_with
from ipad_agent.torture.history.features import HALF_EMULATED

from .guards import GUARDS


def test_many_seeds_end_with_a_summary_and_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "torture", "--seeds", "3", "--first", "4", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 seeds in ")
    assert "Every promise was kept." in out


def test_json_gives_one_object_per_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "torture", "--seeds", "2", "--first", "4", "--jobs", "1", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seed"] for row in rows] == [4, 5]
    assert all(row["ok"] and row["violations"] == {} and row["polls"] > 0 for row in rows)


def test_several_processes_tell_the_same_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for jobs in ("1", "2"):
        run(["lab", "torture", "--seeds", "4", "--jobs", jobs, "--json"])
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_one_seed_is_told_as_a_story_with_time_and_who_did_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "torture", "--seed", "6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("  0:00:00.000  check  seed 6: card by ")
    assert {line.split()[1] for line in lines if line[:1] == " "} >= {"agent", "card", "eIM", "fate"}
    assert lines[-1].startswith("Seed 6, story ")
    assert lines[-1].endswith("every promise was kept")


def test_a_broken_promise_is_named_and_gives_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    GUARDS["removal_only_after_acknowledgement"](monkeypatch)
    assert run(["lab", "torture", "--seeds", "2", "--jobs", "1"]) == 1
    said = capsys.readouterr()
    assert "seed 0: removed-early: " in said.out
    assert "2 seeds broke a promise: removed-early 2" in said.out
    assert "--seed 0 tells the story" in said.err


def test_a_broken_story_can_be_shortened(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    GUARDS["removal_only_after_acknowledgement"](monkeypatch)
    assert run(["lab", "torture", "--seed", "0", "--shrink", "--json"]) == 1
    short = json.loads(capsys.readouterr().out)
    assert run(["lab", "torture", "--seed", "0", "--json"]) == 1
    assert short["deeds"] < json.loads(capsys.readouterr().out)["deeds"]
    assert "removed-early" in short["violations"]


def test_a_story_and_a_summary_tell_which_kind_of_card_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    first = next(seed for seed in range(40) if len({_emulated(seed), _emulated(seed + 1)}) == 2)
    for seed in (first, first + 1):
        run(["lab", "torture", "--seed", str(seed), "--with", HALF_EMULATED, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["card"] == ("emulated" if _emulated(seed) else "iot")
        assert told["story"][0].endswith("; a consumer card, emulated" if _emulated(seed) else "; an IoT card")
    run(["lab", "torture", "--first", str(first), "--seeds", "2", "--jobs", "1", "--with", HALF_EMULATED])
    assert "; cards: emulated 1, iot 1)" in capsys.readouterr().out


def _emulated(seed: int) -> bool:
    return write_with(seed, [HALF_EMULATED]).setting.emulated


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--jobs", "0"], ["--seed", "x"]])
def test_wrong_numbers_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run(["lab", "torture", *words])
    assert refused.value.code == 2
