"""The manual page, the completions and the help: all made from the command line itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ipad_agent.cli.ipactl import command_line, command_runner, main
from ipad_agent.cli.ipactl.exit_codes import MEANING, Exit
from ipad_agent.cli.ipactl.man_page import JSON_FORMS, page
from ipad_agent.cli.ipactl.parser_contents import commands_of
from ipad_agent.local.varlink import varlink_interface

ROOT = Path(__file__).parent.parent.parent
COMMANDS = sorted(commands_of(command_line.build()))
Capture = pytest.CaptureFixture[str]


def test_the_manual_page_is_up_to_date() -> None:
    kept = (ROOT / "packaging" / "ipactl.1").read_text(encoding="utf-8")
    assert kept == "\n".join(page()) + "\n", "python -m ipad_agent.cli.ipactl.man_page > packaging/ipactl.1"


def test_no_line_of_the_manual_page_is_taken_for_a_macro_by_accident() -> None:
    known = {".TH", ".SH", ".TP", ".B", ".I", ".BR", ".RI", ".RS", ".RE"}
    assert {line.split()[0] for line in page() if line.startswith((".", "'"))} <= known


def test_every_command_has_a_handler_a_json_form_and_a_place_in_the_manual() -> None:
    assert sorted(command_runner.HANDLERS) == sorted(JSON_FORMS) == COMMANDS
    lines = list(page())
    for command in COMMANDS:
        assert any(line.startswith(".B " + command.replace("-", "\\-")) for line in lines), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_handler_is_there(command: str) -> None:
    from ipad_agent.cli.ipactl.command_runner import _handler

    assert callable(_handler(command))


def test_the_parts_of_a_reset_are_those_of_the_interface() -> None:
    assert set(command_line.MEMORY_PARTS) == varlink_interface.MEMORY_PARTS


def test_every_exit_status_is_explained() -> None:
    assert set(MEANING) == set(Exit)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: ipactl {command}")


ASK = 'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ipactl; echo "${COMPREPLY[@]}"'


def complete(*words: str) -> set[str]:
    """What bash offers for the last of these words."""
    script = subprocess.run(
        [
            "bash",
            "-c",
            ASK,
            "bash",
            "ipactl",
            *words,
        ],
        input="\n".join(_completions("bash")),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(script.stdout.split())


def _completions(shell: str) -> list[str]:
    from ipad_agent.cli.ipactl import shell_completion

    made = {"bash": shell_completion.bash, "zsh": shell_completion.zsh, "fish": shell_completion.fish}[shell]
    return list(made(command_line.build()))


def test_bash_completes_commands() -> None:
    assert complete("s") == {"setup", "status", "switch"}
    assert complete("") >= set(COMMANDS)


def test_bash_completes_options_and_choices_of_the_command() -> None:
    assert complete("switch", "--d") == {"--dry-run"}
    assert complete("emergency", "o") == {"on", "off"}
    assert complete("--json", "varlink", "c") == {"call"}
    assert complete("reset-euicc", "--what", "e") == {"eims"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_told_every_command(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS)


def test_an_apostrophe_in_a_help_text_does_not_end_the_string() -> None:
    from ipad_agent.cli.ipactl.shell_completion import _quoted

    said = subprocess.run(
        ["bash", "-c", f"echo {_quoted(chr(39) + 'it' + chr(39) + 's')}"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "'it's\n"
