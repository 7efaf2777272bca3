"""The scenarios with Connection IDs: ``make test-cid``, which has the library that agent and eIM need."""

from __future__ import annotations

import json

import pytest

from ipad_agent.lab.scenarios.scenario_runner import load_all

from .test_scenarios import _lab, _last_resort_s

NAMES = ("cid-agent-restart", "cid-lost", "cid-new-address")


def test_all_of_them_are_told() -> None:
    assert tuple(sorted(name for name in load_all() if name.startswith("cid-"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_scenario_ends_well(name: str) -> None:
    run = _lab("run", name, "--json", limit_s=_last_resort_s(load_all()[name].deadline_s))
    assert run.stdout, run.stderr
    report = json.loads(run.stdout)
    assert report["ok"] is True, report.get("why")
    assert all(step["ok"] for step in report["steps"])
