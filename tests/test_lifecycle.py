"""The page about states says what the code does, and the table has no dead ends."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ipad_agent.policy.switching.switch_table import TABLE, Happening, ImpossibleStep, Phase, Way, advance, time_over

ROOT = Path(__file__).parent.parent


def test_the_tables_on_the_page_are_those_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("gen_lifecycle", ROOT / "tools" / "gen_lifecycle.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    assert tool.filled(page) == page, "run: python tools/gen_lifecycle.py"


def test_every_phase_can_be_reached_and_left_for_good() -> None:
    reached, edge = set(), {Phase.ARMED}
    while edge:
        reached |= edge
        edge = {row.next for (phase, _), row in TABLE.items() if phase in reached and row.next is not None} - reached
    assert reached == set(Phase)
    ending = {phase for (phase, _), row in TABLE.items() if row.next is None}
    assert ending == set(Phase)


def test_in_no_phase_that_waits_is_time_alone_without_consequence() -> None:
    for phase in (Phase.PROVING, Phase.BACK):
        assert (phase, time_over(Way.NONE)) in TABLE
    assert (Phase.PROVING, time_over(Way.ROLLBACK)) in TABLE


def test_the_way_back_is_taken_once() -> None:
    """From the phases behind it no happening leads into going back again."""
    after = {Phase.BACK, Phase.UNPROVED}
    assert not any(row.next is Phase.GOING_BACK for (phase, _), row in TABLE.items() if phase in after)


def test_what_cannot_happen_is_a_defect_that_shows() -> None:
    with pytest.raises(ImpossibleStep, match="cannot happen to a switch that is armed"):
        advance(Phase.ARMED, Happening.TOLD)


def test_every_row_gives_its_clause_or_reason() -> None:
    assert all(len(row.why) > 10 and row.does for row in TABLE.values())
