"""Today's agent takes up the state of every released version: it finishes the order and loses nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import released_states
from ipad_agent.lab.bench.journal_view import owed
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK

TROUBLE = {"IPA-1006", "IPA-1201", "IPA-1202", "IPA-1203", "IPA-1204", "IPA-1205", "IPA-1213", "IPA-1292"}
"""What the store says when it cannot read something, and what the loop says of a fault of its own."""


def test_a_state_is_kept_of_every_version_that_has_a_section_in_the_changelog() -> None:
    changelog = (Path(__file__).resolve().parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, flags=re.MULTILINE)
    assert set(released) <= set(released_states.versions())
    assert "0.1.0" in released_states.versions()


@pytest.mark.parametrize("version", released_states.versions())
async def test_an_order_that_was_owed_at_an_upgrade_is_finished(version: str, tmp_path: Path) -> None:
    folder = released_states.copy(version, tmp_path / "lab")
    assert {entry.kind for entry in owed(folder / "agent-state")} == {"package", "switch"}
    async with Bench(released_states.options(), folder) as bench:
        order = next(one for one in bench.eim.eim.devices[bench.eid].queue if one.label == released_states.LABEL)
        assert order.state not in ("done", "failed")
        await bench.power_back()  # whoever upgrades a system starts it again
        await bench.agent.event(NO_MORE_WORK, deadline_s=60, where=lambda _: order.state in ("done", "failed"))
        await bench.agent.kill()
        assert order.state == "done"
        assert len([entry for entry in bench.eim.seen("result") if entry.get("order") == order.label]) == 1
        assert owed(folder / "agent-state") == []
        assert bench.card.enabled_iccid == bench.modem.module.uicc.iccid == OPERATOR_A
        assert (bench.card.state.results, bench.card.state.notifications) == ([], [])
        assert [str(event) for event in bench.agent.events if event.id in TROUBLE] == []
