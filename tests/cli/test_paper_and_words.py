"""How lines are made: widths, characters, times and sizes; and that nothing from outside reaches a terminal as a
command."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.cli.ipactl.output.terminal_output import GLUE, TerminalOutput, cells, clean, wrap
from ipad_agent.cli.ipactl.output.value_texts import grouped, size, span, until, when
from ipad_agent.local.status_model import Time


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (252, "4 min 12 s"),
        (1500, "25 min"),
        (3600, "1 h"),
        (11_040, "3 h 4 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (180_000, "2 d 2 h"),
        (900_000, "10 d"),
        (-5, "0 s"),
    ],
)
def test_a_time_is_said_in_two_units_at_most(seconds: float, said: str) -> None:
    assert span(seconds).replace(GLUE, " ") == said


def test_ages_look_back_and_plans_look_ahead() -> None:
    assert when(Time(0, 11_040.0)).replace(GLUE, " ") == "3 h 4 min ago"
    assert when(Time(0, -18_720.0)).replace(GLUE, " ") == "in 5 h 12 min"
    assert when(Time(0, 0.4)) == "now"


def test_an_age_grows_and_a_plan_draws_near_while_the_screen_is_looked_at() -> None:
    assert when(Time(0, 10.0), 5.0).replace(GLUE, " ") == "15 s ago"
    assert until(Time(0, -10.0), 4.0).replace(GLUE, " ") == "in 6 s"


def test_what_is_overdue_happens_now() -> None:
    assert until(Time(0, -10.0), 12.0) == "now"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (412_000, "412 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_000_000, "2.0 MB"),
        (5_000_000_000_000, "5000 GB"),
    ],
)
def test_a_size_has_two_or_three_figures(count: int, said: str) -> None:
    assert size(count).replace(GLUE, " ") == said


def test_digits_are_read_in_groups_of_four() -> None:
    assert grouped("8943012345678904713") == "8943 0123 4567 8904 713"


@given(st.text(max_size=60))
def test_no_text_can_move_the_cursor_or_turn_the_direction_of_writing(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in clean(text))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(2, 60))
def test_no_wrapped_line_is_too_wide_and_no_character_is_lost(text: str, width: int) -> None:
    text = clean(text)
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_number_stays_with_its_unit() -> None:
    assert wrap(f"it takes 4{GLUE}min 12{GLUE}s", 14) == ["it takes 4 min", "12 s"]


def test_wide_characters_take_two_columns() -> None:
    assert cells("北京") == 4
    assert wrap("北京北京", 5) == ["北京", "北京"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_an_ascii_paper_writes_nothing_but_ascii(text: str) -> None:
    assert all(line.isascii() for line in TerminalOutput(unicode=False).row("x", clean(text)))


def test_a_terminal_has_colours_and_a_file_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert TerminalOutput.of(Terminal()).colour
    assert not TerminalOutput.of(io.StringIO()).colour


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    output = TerminalOutput.of(Terminal())
    assert output.terminal
    assert not output.colour


def test_a_dumb_terminal_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not TerminalOutput.of(Terminal()).terminal


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("9", 40), ("500", 120), ("x", 100), ("", 100), ("²", 100)])
def test_off_a_terminal_the_width_is_that_of_columns(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert TerminalOutput.of(io.StringIO()).width == width


def test_a_stream_that_knows_no_unicode_gets_ascii() -> None:
    assert not TerminalOutput.of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")).unicode
    assert TerminalOutput.of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).unicode


def test_a_long_text_is_cut_to_the_width_with_a_sign() -> None:
    assert TerminalOutput().cut("abcdefgh", 5) == "abcd…"
    assert TerminalOutput(unicode=False).cut("abcdefgh", 5) == "abc.."
    assert TerminalOutput().cut("abcde", 5) == "abcde"


@pytest.mark.parametrize(("done", "total", "full"), [(0, 10, 0), (5, 10, 5), (10, 10, 10), (20, 10, 10), (1, 0, 0)])
def test_a_bar_is_as_full_as_the_work_is_done(done: int, total: int, full: int) -> None:
    assert TerminalOutput().bar(done, total, 10) == "█" * full + "░" * (10 - full)
