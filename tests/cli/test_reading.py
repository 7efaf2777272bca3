"""From the JSON form back to the model, whatever the agent's version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.cli.ipactl.commands.watch_command import Follower
from ipad_agent.cli.ipactl.errors import NoAnswerError
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput
from ipad_agent.cli.ipactl.output.value_texts import clock
from ipad_agent.cli.ipactl.screens.status_screen import status_lines
from ipad_agent.cli.ipactl.status_exit_code import exit_of
from ipad_agent.local.status_model import Happening, Plan, State, Status, to_plain
from situations import HAPPENINGS, PLANS, SITUATIONS


def plain(value: object) -> Any:
    return json.loads(json.dumps(to_plain(value)))


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_status_comes_back_as_it_was(name: str) -> None:
    assert read(Status, plain(SITUATIONS[name])) == SITUATIONS[name]


def test_events_and_plans_come_back_as_they_were() -> None:
    assert [read(Happening, plain(event)) for event in HAPPENINGS] == list(HAPPENINGS)
    assert [read(Plan, plain(plan)) for plan in PLANS.values()] == list(PLANS.values())


def test_a_field_of_a_newer_agent_is_passed_over() -> None:
    newer = plain(SITUATIONS["ready"]) | {"mood": {"good": True}}
    newer["card"]["colour"] = "blue"
    assert read(Status, newer) == SITUATIONS["ready"]


def test_a_field_that_an_older_agent_has_not_got_is_blank() -> None:
    older = plain(SITUATIONS["ready"])
    del older["trouble"], older["version"], older["verdict"]["advice"], older["card"]["kind"]
    value = read(Status, older)
    assert (value.trouble, value.version, value.verdict.advice) == (None, "", None)
    assert value.card is not None
    assert value.card.kind == ""


def test_a_state_of_a_newer_agent_is_shown_in_its_own_word() -> None:
    newer = plain(SITUATIONS["ready"])
    newer["verdict"] |= {"state": "hibernating", "severity": "bad"}
    value = read(Status, newer)
    assert status_lines(value, TerminalOutput())[0].startswith("✗ hibernating")
    assert exit_of(value) == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("taken_at_s", "yesterday"),
        ("taken_at_s", True),
        ("clock_set", 1),
        ("uptime_s", float("inf")),
        ("uptime_s", float("nan")),
        pytest.param("uptime_s", 10**400, id="uptime_s-huge"),
        ("uptime_s", False),
        ("profiles", {}),
        ("profiles", [1]),
        ("card", []),
        ("verdict", None),
        ("verdict", {"state": 5}),
        ("traffic", {"by": [["coaps", "poll", 5]]}),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(place: str, value: object) -> None:
    with pytest.raises(NoAnswerError, match=f"Status.{place}"):
        read(Status, plain(SITUATIONS["ready"]) | {place: value})


def test_a_moment_that_no_calendar_has_is_shown_as_a_number() -> None:
    assert clock(10**30) == str(10**30)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.just(10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(plain(SITUATIONS["switch-armed"]))), JSON))
def test_any_json_is_shown_or_refused(changes: dict[str, Any]) -> None:
    try:
        value = read(Status, plain(SITUATIONS["switch-armed"]) | changes)
    except NoAnswerError:
        return
    assert status_lines(value, TerminalOutput())
    assert Follower(TerminalOutput()).take({"status": plain(SITUATIONS["switch-armed"]) | changes})


def test_every_state_has_an_exit_status_of_its_own_choosing() -> None:
    from ipad_agent.cli.ipactl import status_exit_code

    assert set(status_exit_code._OF_STATE) == set(State)


@pytest.mark.parametrize(
    ("situation", "exit"),
    [
        ("starting", 4),
        ("fresh", 7),
        ("ready", 0),
        ("ready-with-debts", 4),
        ("polling", 0),
        ("downloading", 0),
        ("switch-armed", 4),
        ("rolling-back", 4),
        ("rolled-back", 1),
        ("no-card", 5),
        ("consumer-card", 5),
        ("ipae-card", 5),
        ("no-modem", 6),
        ("port-held", 6),
        ("no-coverage", 1),
        ("eim-unreachable", 7),
        ("held", 4),
        ("fallback", 1),
        ("emergency", 4),
        ("trouble", 1),
    ],
)
def test_the_exit_status_follows_the_state(situation: str, exit: int) -> None:
    assert exit_of(SITUATIONS[situation]) == exit
