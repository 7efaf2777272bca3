"""The screens, word by word. ``tests/cli/golden.py`` writes them anew."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import pytest

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, cells
from ipad_agent.cli.ipactl.screens.doctor_screen import item_lines
from ipad_agent.cli.ipactl.screens.eid_label import label_lines
from ipad_agent.cli.ipactl.screens.event_screen import event_lines
from ipad_agent.cli.ipactl.screens.list_screens import budget_lines, eim_lines, owed_lines, profile_lines
from ipad_agent.cli.ipactl.screens.plan_screen import plan_lines
from ipad_agent.cli.ipactl.screens.status_screen import eim_sentence, status_lines
from ipad_agent.local.status_model import DoctorItem
from situations import DOCTOR, HAPPENINGS, OWED, PLANS, SITUATIONS

from . import golden
from .golden import ESCAPE, FOLDER


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@cache
def screens() -> dict[str, list[str]]:
    """All of them, drawn once in the time zone of the fixture: each test looks at one."""
    return golden.screens()


NAMES = sorted(file.stem for file in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_is_word_for_word_as_it_was_read_and_approved(name: str) -> None:
    assert screens()[name] == (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_every_screen_is_kept_in_a_file() -> None:
    assert sorted(screens()) == NAMES


def test_there_are_at_least_twelve_situations() -> None:
    assert sum(name.startswith("status-") for name in NAMES) >= 12


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_the_paper(name: str) -> None:
    width = 50 if name.startswith("narrow") else 80 if name.startswith("ascii") else 100
    if not name.startswith("colour"):
        assert max(cells(line) for line in screens()[name]) <= width


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize(
    "output", [TerminalOutput(width=40), TerminalOutput(width=40, unicode=False)], ids=["unicode", "ascii"]
)
def test_every_screen_fits_on_the_narrowest_paper(name: str, output: TerminalOutput) -> None:
    status = SITUATIONS[name]
    lines = [*status_lines(status, output), *profile_lines(status, output), *eim_lines(status, output)]
    lines += [*budget_lines(status, output), *label_lines(status, output), *owed_lines(OWED, output)]
    for plan in PLANS.values():
        lines += plan_lines(plan, status.profiles, output)
    for items in DOCTOR.values():
        lines += [line for item in items for line in item_lines(DoctorItem(**item), output)]
    for event in HAPPENINGS:
        lines += event_lines(event, output, with_date=True)
    assert max(map(cells, lines)) <= 40
    assert output.unicode or all(line.isascii() for line in lines)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ascii")])
def test_a_screen_for_an_ascii_terminal_is_ascii(name: str) -> None:
    assert all(line.isascii() for line in screens()[name])


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("colour")])
def test_no_colour_is_used_unless_asked_for(name: str) -> None:
    assert not any(ESCAPE in line for line in screens()[name])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("status-")])
def test_the_first_line_says_in_one_word_how_it_is(name: str) -> None:
    dot, word, *_ = screens()[name][0].split()
    assert dot in "●○✗"
    assert word.replace("-", "").isalpha()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("status-")])
def test_a_bad_verdict_says_what_to_do(name: str) -> None:
    lines = screens()[name]
    assert lines[0][0] != "✗" or any("What to do: " in line for line in lines) or "rolling-back" in name


def test_a_poll_that_needed_no_handshake_says_so() -> None:
    eim = SITUATIONS["ready"].eims[0]
    assert "no handshake" not in eim_sentence(replace(eim, handshake="full"), 0.0)
    assert ", no handshake, " in eim_sentence(replace(eim, handshake="no"), 0.0)
