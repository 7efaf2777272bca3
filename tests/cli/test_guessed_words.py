"""Words that are not there: a person who guesses is told what was probably meant, on a small screen."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from ipad_agent.cli.ipactl import command_line, main, parser_contents
from ipad_agent.cli.ipactl.guessed_words.field_terms import TERMS
from ipad_agent.similar_names import plain

Capture = pytest.CaptureFixture[str]
COMMANDS = parser_contents.commands_of(command_line.build())
OPERANDS = {"ICCID": "4711", "ID": "IPA-1005", "FILE": "x", "CODE": "1$a$b", "PART": "eims", "ADDRESS": "a.example"}


@pytest.fixture(autouse=True)
def _small_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def told(line: str, capsys: Capture) -> str:
    """What is said of this line, in one row."""
    with pytest.raises(SystemExit) as end:
        main(shlex.split(line))
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) <= 8, "it does not fill a screen"
    return " ".join(said.err.split())


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("stat", "ipactl status"),
        ("eim list", "ipactl eims"),
        ("profile list", "ipactl profiles"),
        ("AddInitialEim", "ipactl provision FILE"),
        ("GetEimPackage", "ipactl poll"),
        ("ExecuteFallbackMechanism", "ipactl fallback"),
        ("list-notification", "ipactl owed"),
        ("euicc-memory-reset", "ipactl reset-euicc"),
        ("enable 4711", "ipactl plan ICCID"),
        ("disable 4711", "by order of their manager"),
        ("restart", "systemctl restart ipad-agent"),
        ("why", "ipactl doctor"),
        ("histroy", "ipactl history"),
        ("xyzzy", "ipactl --help"),
        ("config validate", "One of check, show."),
        ("config chekc", "Perhaps `ipactl config check`."),
        ("config", "needs one of check, show."),
        ("record", "needs one of start, stop, status, export."),
        ("status --jsno", "Perhaps --json."),
        ("poll --eim one", "`ipactl poll EIM`"),
        ("profiles list", "`ipactl profiles` does not know what to do with `list`."),
        ("switch", "`ipactl switch` needs ICCID."),
        ("modem at", "needs PORT, AT."),
    ],
)
def test_a_guess_is_answered_by_what_was_meant(line: str, meant: str, capsys: Capture) -> None:
    assert meant in told(line, capsys)


def test_the_usage_that_is_shown_is_of_the_command_and_short(capsys: Capture) -> None:
    assert told("poll --eim one", capsys).startswith("usage: ipactl poll [--now] [EIM] ✗")


@pytest.mark.parametrize("word", sorted(TERMS))
def test_what_is_told_of_a_term_of_the_field_can_be_typed(word: str) -> None:
    assert word == plain(word), "it would never be found"
    assert word not in {plain(name) for name in COMMANDS}
    for line in re.findall(r"`ipactl ([^`]+)`", TERMS[word]):
        words = [OPERANDS.get(each, each) for each in line.split()]
        if words[-1] == "--help":
            assert words[0] in COMMANDS
        else:
            command_line.build(words[0]).parse_args(words)


def test_wrong_words_are_told_in_json_where_json_is_asked_for(capsys: Capture) -> None:
    for line in ("statsu --json", "-o json statsu", "status extra --format json", "switch --json"):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        assert end.value.code == 2
        said = capsys.readouterr()
        assert json.loads(said.out)["error"]["name"] == "Usage"
        assert json.loads(said.out)["error"]["exit"] == 2
        assert said.err == ""


def test_a_word_cannot_speak_to_the_terminal(capsys: Capture) -> None:
    assert "\x1b" not in told("'\x1b[2Jx'", capsys)


@pytest.mark.parametrize(
    ("line", "begins"),
    [("help poll", "usage: ipactl poll"), ("help", "usage: ipactl ["), ("version", "ipactl "), ("-V", "ipactl ")],
)
def test_help_and_version_may_be_asked_for_as_elsewhere(line: str, begins: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert not end.value.code
    assert capsys.readouterr().out.startswith(begins)
