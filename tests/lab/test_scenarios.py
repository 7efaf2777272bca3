"""The whole agent against the lab: the shortest of the stories that ``ipad-agent lab run --all`` tells."""

from __future__ import annotations

from ipad_agent.lab.scenarios.scenario_runner import load_all, run_scenario


async def test_the_real_agent_polls_provisions_and_ends_in_order() -> None:
    report = await run_scenario(load_all()["poll-empty"])
    assert report.ok, report.to_text()
